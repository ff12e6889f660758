"""One run: its plan, its rounds and its harness."""
