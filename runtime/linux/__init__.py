"""The kernel's interface, a subject a module: calls that raise OSError, constants, no policy."""
