"""What faces render: runs, operations and stacks at one moment, as data."""
