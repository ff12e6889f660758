"""Seccomp filters: compiled, condensed and kept."""
