"""The notebook: magics, the dashboard, and what is shown of a flow."""
