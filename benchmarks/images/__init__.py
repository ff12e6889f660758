"""Benchmarks of images beside docker, podman, skopeo and umoci."""
