"""Summaries and comparisons of runs, and where their figures come from."""
