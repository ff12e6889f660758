"""What can run a workload, one module a target."""
