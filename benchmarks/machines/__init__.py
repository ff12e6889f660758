"""Benchmarks of machines."""
