"""A container runtime in process: namespaces, cgroups, overlayfs and OCI, by system calls."""

from runtime.container import DEFAULT_ROOT, Container, clean
from runtime.defaults import default_spec
from runtime.errors import ContainerError
from runtime.spec import Spec

__all__ = ["DEFAULT_ROOT", "Container", "ContainerError", "Spec", "clean", "default_spec"]
