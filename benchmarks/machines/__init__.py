"""Benchmarks of virtual machines and of their driver."""
