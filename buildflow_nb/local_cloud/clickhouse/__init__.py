"""ClickHouse on this machine: its HTTP interface over the embedded engine chdb."""
