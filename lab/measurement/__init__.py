"""A run: its request, its plan, its rounds, and its continuation after an interruption."""
