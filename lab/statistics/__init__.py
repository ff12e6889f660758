"""Estimates with intervals, and when a run has enough rounds."""
