"""The part of the OCI runtime-spec that a container is started from, as typed structs.

Names are the specification's, in Python's spelling; documents are checked when they are decoded.
(OCI runtime-spec 1.2, config.md and config-linux.md)
"""

from __future__ import annotations

import msgspec

from runtime.errors import ContainerError
from runtime.linux.clone import FLAGS

# Docker's, without CAP_MKNOD: what a container needs of devices is made for it.
DEFAULT_CAPABILITIES = [
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID",
    "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
]  # fmt: skip
DEFAULT_ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
DEFAULT_NAMESPACES = ("pid", "network", "ipc", "uts", "mount", "cgroup")


class _Struct(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Every part of a document: frozen, spelt in camel case outside."""


class User(_Struct, frozen=True):
    """config.md, "User"."""

    uid: int = 0
    gid: int = 0
    umask: int = 0o022
    additional_gids: list[int] = []


class Capabilities(_Struct, frozen=True):
    """config.md, "Linux Process": the five sets, by name."""

    bounding: list[str] = []
    effective: list[str] = []
    permitted: list[str] = []
    inheritable: list[str] = []
    ambient: list[str] = []


class Process(_Struct, frozen=True):
    """config.md, "Process"."""

    args: list[str]
    cwd: str = "/"
    env: list[str] = []
    user: User = User()
    capabilities: Capabilities | None = None
    no_new_privileges: bool = False


class Mount(_Struct, frozen=True):
    """config.md, "Mounts"; `type` and `source` as mount(8) has them."""

    destination: str
    type: str = ""
    source: str = ""
    options: list[str] = []


class Namespace(_Struct, frozen=True):
    """config-linux.md, "Namespaces": a new one of that type."""

    type: str


class Memory(_Struct, frozen=True):
    """config-linux.md, "Memory": bytes."""

    limit: int | None = None


class Cpu(_Struct, frozen=True):
    """config-linux.md, "CPU": shares are relative, quota and period in microseconds."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None


class Pids(_Struct, frozen=True):
    """config-linux.md, "PIDs"."""

    limit: int | None = None


class Resources(_Struct, frozen=True):
    """config-linux.md, "Control groups"."""

    memory: Memory = Memory()
    cpu: Cpu = Cpu()
    pids: Pids = Pids()


class Linux(_Struct, frozen=True):
    """config-linux.md."""

    namespaces: list[Namespace] = []
    resources: Resources = Resources()
    masked_paths: list[str] = []
    readonly_paths: list[str] = []


class Spec(_Struct, frozen=True):
    """config.md: what to run, in what."""

    process: Process
    hostname: str = ""
    mounts: list[Mount] = []
    linux: Linux = Linux()


_DEFAULT_MOUNTS = [
    Mount(destination="/proc", type="proc", source="proc", options=["nosuid", "noexec", "nodev"]),
    Mount(destination="/dev", type="tmpfs", source="tmpfs",
          options=["nosuid", "strictatime", "mode=755", "size=65536k"]),
    Mount(destination="/dev/pts", type="devpts", source="devpts",
          options=["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
    Mount(destination="/dev/shm", type="tmpfs", source="shm",
          options=["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    Mount(destination="/dev/mqueue", type="mqueue", source="mqueue",
          options=["nosuid", "noexec", "nodev"]),
    Mount(destination="/sys", type="sysfs", source="sysfs",
          options=["nosuid", "noexec", "nodev", "ro"]),
    Mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup",
          options=["nosuid", "noexec", "nodev", "relatime", "ro"]),
]  # fmt: skip
_MASKED_PATHS = [
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
]  # fmt: skip
_READONLY_PATHS = [
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
]  # fmt: skip


def default_spec(
    args: list[str],
    env: list[str] | None = None,
    hostname: str = "tonnage",
    resources: Resources | None = None,
) -> Spec:
    """What docker's defaults are, for these arguments: namespaces, mounts, masks, capabilities.

    `env` holds NAME=VALUE words; without it there is a PATH and nothing else.
    """
    return Spec(
        process=Process(
            args=args,
            env=DEFAULT_ENVIRONMENT if env is None else env,
            capabilities=Capabilities(
                bounding=DEFAULT_CAPABILITIES,
                effective=DEFAULT_CAPABILITIES,
                permitted=DEFAULT_CAPABILITIES,
            ),
            no_new_privileges=True,
        ),
        hostname=hostname,
        mounts=_DEFAULT_MOUNTS,
        linux=Linux(
            namespaces=[Namespace(type=name) for name in DEFAULT_NAMESPACES],
            resources=resources or Resources(),
            masked_paths=_MASKED_PATHS,
            readonly_paths=_READONLY_PATHS,
        ),
    )


def check(spec: Spec) -> None:
    """Refuse what can't be started, before anything is changed.

    Raises ContainerError that names the field.
    """
    process = spec.process
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
    for name, value in (
        ("memory.limit", spec.linux.resources.memory.limit),
        ("cpu.period", spec.linux.resources.cpu.period),
        ("pids.limit", spec.linux.resources.pids.limit),
    ):
        if value is not None and value <= 0 and value != -1:
            raise ContainerError(f"linux.resources.{name} is {value}: it must be above 0, or -1.")


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
