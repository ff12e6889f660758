"""Container targets: the lab's own runtime, OCI runtimes, and engines."""
