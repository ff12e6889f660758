"""Benchmarks of our container runtime against its peers."""
