"""Readers: services and hosts from the output of other tools and from public traces."""
