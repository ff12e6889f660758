"""The network of containers."""
