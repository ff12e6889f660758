"""Benchmarks of planning: packing by time, cost and proven gap."""
