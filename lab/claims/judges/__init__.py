"""Judges of claims, by subject."""
