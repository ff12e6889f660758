"""Targets that are virtual machines."""
