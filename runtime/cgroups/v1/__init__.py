"""Control groups version 1."""
