"""Benchmarks of our containers beside their peers."""
