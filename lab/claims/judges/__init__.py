"""Judges of claims, a file per subject."""
