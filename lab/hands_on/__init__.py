"""Processes, clean-up and requirements of notebooks that show containers and machines."""
