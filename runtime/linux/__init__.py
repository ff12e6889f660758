"""The kernel's interface, typed, one subject a module: calls that raise OSError, and no policy."""
