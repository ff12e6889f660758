"""Namespaces, mappings of user IDs, and kernel parameters of namespaces."""
