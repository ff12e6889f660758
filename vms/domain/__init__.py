"""Domains: a machine's life, ports, events and states."""
