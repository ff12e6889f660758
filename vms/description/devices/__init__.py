"""Devices of a machine, as elements of its domain XML."""
