"""One machine: its life, events, states and ports."""
