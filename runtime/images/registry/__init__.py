"""Registries: the client's side of the distribution specification.

Only pull and push import this package.
"""
