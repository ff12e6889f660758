"""Configurations that can't be started are refused here, before anything is changed."""

from __future__ import annotations

from runtime.errors import ContainerError
from runtime.linux.clone import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.spec import Process, Spec


def check(spec: Spec) -> Process:
    """The process to start, unless the configuration can't be.

    Raises ContainerError that names the field.
    """
    process = spec.process
    if process is None:
        raise ContainerError("There is no process: name the program to run.")
    if not process.args or not process.args[0]:
        raise ContainerError("process.args is empty: name the program to run.")
    if not process.cwd.startswith("/"):
        raise ContainerError(f"process.cwd is {process.cwd!r}: it must be an absolute path.")
    for word in (*process.args, *process.env, process.cwd, spec.hostname):
        if "\0" in word:
            raise ContainerError(f"{word!r} holds a NUL, which no argument of a program can.")
    for namespace in spec.linux.namespaces:
        if namespace.type not in FLAGS:
            raise ContainerError(f"linux.namespaces: there is no namespace {namespace.type!r}.")
    types = [namespace.type for namespace in spec.linux.namespaces]
    if len(types) != len(set(types)):
        raise ContainerError("linux.namespaces names a namespace twice.")
    if "mount" not in types:
        raise ContainerError("linux.namespaces has no mount namespace: mounts would be the host's.")
    for mount in spec.mounts:
        if not mount.destination.startswith("/") or ".." in mount.destination.split("/"):
            raise ContainerError(
                f"mounts: the destination {mount.destination!r} must be absolute and without `..`."
            )
    _check_kernel_paths(spec)
    resources = spec.linux.resources
    for name, value in (
        ("memory.limit", resources.memory.limit if resources.memory else None),
        ("cpu.period", resources.cpu.period if resources.cpu else None),
        ("pids.limit", resources.pids.limit if resources.pids else None),
    ):
        if value is not None and value <= 0 and value != -1:
            raise ContainerError(f"linux.resources.{name} is {value}: it must be above 0, or -1.")
    return process


def _check_kernel_paths(spec: Spec) -> None:
    """Refuse paths below /proc, /sys or /dev that would be the image's own, and may be its links.

    (CVE-2025-31133 and its like: what is masked, and by what, must be the kernel's.)
    """
    mounted = {mount.destination for mount in spec.mounts if mount.type != "bind"}
    hidden = [*spec.linux.masked_paths, *spec.linux.readonly_paths]
    for path in hidden:
        if not path.startswith(("/proc/", "/sys/")) or ".." in path.split("/"):
            raise ContainerError(
                f"linux: only paths of /proc and /sys can be hidden, not {path!r}."
            )
    needed = [*(mount.destination for mount in spec.mounts), *hidden]
    if spec.linux.masked_paths:
        needed.append("/dev/null")
    for path in needed:
        top = "/" + path.split("/")[1]
        if top in {"/proc", "/sys", "/dev"} and path != top and top not in mounted:
            raise ContainerError(f"mounts: {path} needs a mount of {top}, which there is not.")
