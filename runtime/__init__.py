"""A container runtime in process: namespaces, cgroups, overlayfs and OCI, by system calls."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container import DEFAULT_ROOT, Container, clean
    from runtime.defaults import default_spec
    from runtime.errors import ContainerError
    from runtime.spec import Spec

__all__ = ["DEFAULT_ROOT", "Container", "ContainerError", "Spec", "clean", "default_spec"]

_HOMES = {
    "DEFAULT_ROOT": "container",
    "Container": "container",
    "ContainerError": "errors",
    "Spec": "spec",
    "clean": "container",
    "default_spec": "defaults",
}


def __getattr__(name: str) -> object:
    """What is asked for, from its module: the command line needs only some of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
