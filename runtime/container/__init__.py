"""The life of a container: creation, execution, state, hooks, checkpoints, removal."""
