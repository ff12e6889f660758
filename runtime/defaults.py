"""The configuration that docker's defaults come to."""

from __future__ import annotations

from runtime.spec import (
    VERSION,
    Capabilities,
    Linux,
    Mount,
    Namespace,
    Process,
    Resources,
    Spec,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Docker's, without CAP_MKNOD: what a container needs of devices is made for it.
DEFAULT_CAPABILITIES = (
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID",
    "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip
DEFAULT_ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
DEFAULT_NAMESPACES = ("pid", "network", "ipc", "uts", "mount", "cgroup")

_DEFAULT_MOUNTS = (
    Mount(destination="/proc", type="proc", source="proc", options=("nosuid", "noexec", "nodev")),
    Mount(destination="/dev", type="tmpfs", source="tmpfs",
          options=("nosuid", "strictatime", "mode=755", "size=65536k")),
    Mount(destination="/dev/pts", type="devpts", source="devpts",
          options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")),
    Mount(destination="/dev/shm", type="tmpfs", source="shm",
          options=("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),
    Mount(destination="/dev/mqueue", type="mqueue", source="mqueue",
          options=("nosuid", "noexec", "nodev")),
    Mount(destination="/sys", type="sysfs", source="sysfs",
          options=("nosuid", "noexec", "nodev", "ro")),
    Mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup",
          options=("nosuid", "noexec", "nodev", "relatime", "ro")),
)  # fmt: skip
_MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
)  # fmt: skip
_READONLY_PATHS = (
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
)  # fmt: skip


def default_spec(
    args: Sequence[str],
    env: Sequence[str] | None = None,
    hostname: str = "tonnage",
    resources: Resources | None = None,
) -> Spec:
    """What docker's defaults are, for these arguments: namespaces, mounts, masks, capabilities.

    `env` holds NAME=VALUE words; without it there is a PATH and nothing else.
    """
    return Spec(
        oci_version=VERSION,
        process=Process(
            cwd="/",
            args=tuple(args),
            env=DEFAULT_ENVIRONMENT if env is None else tuple(env),
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
            namespaces=tuple(Namespace(type=name) for name in DEFAULT_NAMESPACES),
            resources=resources or Resources(),
            masked_paths=_MASKED_PATHS,
            readonly_paths=_READONLY_PATHS,
        ),
    )
