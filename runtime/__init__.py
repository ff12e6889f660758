"""A container runtime in process: namespaces, cgroups, overlayfs and OCI, by system calls."""

from runtime.container import DEFAULT_ROOT, Container, clean
from runtime.errors import ContainerError
from runtime.spec import Spec, default_spec

__all__ = ["DEFAULT_ROOT", "Container", "ContainerError", "Spec", "clean", "default_spec"]
