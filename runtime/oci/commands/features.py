"""`features`: print the features of this runtime.

(OCI runtime-spec, features.md and features-linux.md)
"""

from __future__ import annotations

from runtime.cgroups.hierarchies import WITHOUT
from runtime.linux import capabilities
from runtime.namespaces.namespaces import FLAGS
from runtime.process import attributes
from runtime.spec.mount_options import known_options
from runtime.version import SPECIFICATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings

_HOOKS = (
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
)  # fmt: skip


def main(_: str, __: Sequence[str], ___: Settings) -> int:
    """Print the document as JSON."""
    import json

    print(json.dumps(document(), indent=2))
    return 0


def document() -> dict[str, object]:
    """Return the document."""
    from runtime.version import version

    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPECIFICATION,
        "hooks": list(_HOOKS),
        "mountOptions": sorted(known_options()),
        "linux": {
            "namespaces": sorted(FLAGS),
            "capabilities": list(capabilities.NAMES[: capabilities.last_known() + 1]),
            "cgroup": {
                "v1": True, "v2": True, "systemd": True, "systemdUser": False, "rdma": True,
            },
            "seccomp": _seccomp(),
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "intelRdt": {"enabled": False},
            "memoryPolicy": {
                "modes": sorted(attributes.MEMORY_MODES), "flags": sorted(attributes.MEMORY_FLAGS),
            },
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": True},
        },
        "potentiallyUnsafeConfigAnnotations": [WITHOUT],
        "annotations": {
            "io.github.tonnage.version": version(),
            "io.github.tonnage.checkpoint.enabled": "true",  # by criu, if that is installed
        },
    }  # fmt: skip


def _seccomp() -> dict[str, object]:
    from runtime.seccomp import compiler

    return {
        "enabled": True,
        "actions": sorted(compiler.ACTIONS),
        "operators": sorted(compiler.OPERATORS),
        "archs": sorted(compiler.ARCHITECTURES),
        "knownFlags": sorted(compiler.FLAGS),
        "supportedFlags": sorted(compiler.FLAGS),
    }
