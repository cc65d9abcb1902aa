"""The cockpit: what shows a flow and takes clicks, in a notebook and on a page of its own."""
