"""Devices of a machine and their elements in its domain XML."""
