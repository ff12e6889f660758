"""A container runtime in process: namespaces, cgroups, overlayfs and OCI, by system calls.

The names of this package are imported at their first use, so that a command of tonnage-oci loads
no more than it needs.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.container import DEFAULT_ROOT, Container
    from runtime.container.root_directory import clean
    from runtime.errors import (
        AlreadyExists,
        ContainerError,
        CorruptState,
        HookFailed,
        InvalidConfig,
        InvalidState,
        NotFound,
        Unavailable,
    )
    from runtime.spec.config import Spec
    from runtime.spec.defaults import default_spec
else:
    from runtime.lazy import attributes

    __getattr__ = attributes(
        __name__,
        {
            "DEFAULT_ROOT": "container.container",
            "Container": "container.container",
            "clean": "container.root_directory",
            "default_spec": "spec.defaults",
            "AlreadyExists": "errors",
            "ContainerError": "errors",
            "CorruptState": "errors",
            "HookFailed": "errors",
            "InvalidConfig": "errors",
            "InvalidState": "errors",
            "NotFound": "errors",
            "Unavailable": "errors",
            "Spec": "spec.config",
        },
    )

__all__ = [
    "DEFAULT_ROOT",
    "AlreadyExists",
    "Container",
    "ContainerError",
    "CorruptState",
    "HookFailed",
    "InvalidConfig",
    "InvalidState",
    "NotFound",
    "Spec",
    "Unavailable",
    "clean",
    "default_spec",
]
