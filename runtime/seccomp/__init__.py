"""Seccomp filters: compiled from a configuration, optimized, and cached."""
