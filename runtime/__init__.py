"""A container runtime in process: namespaces, cgroups, overlayfs and OCI, by system calls.

A command imports what it uses and no more, hence the names of this package are imported late.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.container import DEFAULT_ROOT, Container, clean
    from runtime.errors import ContainerError
    from runtime.spec.config import Spec
    from runtime.spec.defaults import default_spec
else:
    from runtime.lazy import attributes

    __getattr__ = attributes(
        __name__,
        {
            "DEFAULT_ROOT": "container.container",
            "Container": "container.container",
            "clean": "container.container",
            "default_spec": "spec.defaults",
            "ContainerError": "errors",
            "Spec": "spec.config",
        },
    )

__all__ = ["DEFAULT_ROOT", "Container", "ContainerError", "Spec", "clean", "default_spec"]
