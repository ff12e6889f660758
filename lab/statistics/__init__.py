"""Estimates with intervals, and the stopping rule of a run."""
