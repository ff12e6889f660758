"""Benchmarks: timed claims, each a ratio against a peer in one interleaved run."""
