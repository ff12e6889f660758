"""A configuration with docker's defaults."""

from __future__ import annotations

from runtime.lazy import remembered
from runtime.spec import docker_profile
from runtime.spec.config import (
    Capabilities,
    Linux,
    Mount,
    Namespace,
    Process,
    Resources,
    Seccomp,
    Spec,
)
from runtime.spec.json_structs import convert
from runtime.version import SPECIFICATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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


def default_spec(
    args: Sequence[str],
    env: Sequence[str] | None = None,
    hostname: str = "tonnage",
    resources: Resources | None = None,
) -> Spec:
    """Return docker's default configuration for these arguments.

    `env` holds NAME=VALUE words; without it the environment is PATH alone.
    """
    return Spec(
        oci_version=SPECIFICATION,
        process=Process(
            cwd="/",
            args=tuple(args),
            env=DEFAULT_ENVIRONMENT if env is None else tuple(env),
            capabilities=Capabilities(
                bounding=docker_profile.CAPABILITIES,
                effective=docker_profile.CAPABILITIES,
                permitted=docker_profile.CAPABILITIES,
            ),
            no_new_privileges=True,
        ),
        hostname=hostname,
        mounts=_DEFAULT_MOUNTS,
        linux=Linux(
            namespaces=tuple(Namespace(type=name) for name in DEFAULT_NAMESPACES),
            resources=resources or Resources(),
            seccomp=_seccomp(),
            masked_paths=docker_profile.masked_paths(),
            readonly_paths=docker_profile.READONLY_PATHS,
        ),
    )


@remembered
def _seccomp() -> Seccomp:
    return convert(Seccomp, docker_profile.seccomp(), "linux.seccomp")
