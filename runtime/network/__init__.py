"""Network devices of containers."""
