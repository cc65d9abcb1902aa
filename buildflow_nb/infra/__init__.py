"""Cloud resources: what a flow manages becomes a Pulumi program, run on the stack at hand."""
