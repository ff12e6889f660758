"""`spec`: write a default configuration."""

from __future__ import annotations

import os

from runtime.errors import ContainerError
from runtime.oci.arguments import SWITCH, VALUE, parse
from runtime.spec.config import IdMapping, Namespace, Resources, Root, Spec
from runtime.spec.defaults import default_spec
from runtime.spec.json_structs import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.cli import Settings


def main(_: str, words: Sequence[str], __: Settings) -> int:
    """Write config.json to the bundle."""
    import json

    options = parse(
        words, {"--bundle": VALUE, "--rootless": SWITCH}, {"-b": "--bundle"}, mixed=True
    )
    path = os.path.join(options.value("--bundle", "."), "config.json")
    spec = _default()
    if options.has("--rootless"):
        spec = _without_root(spec)
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(json.dumps(json.loads(encode(spec)), indent=2) + "\n")
    except FileExistsError as error:
        raise ContainerError(f"{path} exists already: remove it first.") from error
    except OSError as error:
        raise ContainerError(f"Can't write {path}: {error.strerror}.") from error
    return 0


def _default() -> Spec:
    spec = default_spec(["sh"])
    assert spec.process
    terminal = spec.process.replace(terminal=True, env=(*spec.process.env, "TERM=xterm"))
    return spec.replace(process=terminal, root=Root(path="rootfs", readonly=True))


def _without_root(spec: Spec) -> Spec:
    """Return the configuration for a user without root.

    One id is mapped, the network is that of the host, and there are no limits.
    """
    kinds = [each for each in spec.linux.namespaces if each.type not in {"network", "cgroup"}]
    bound = ("rbind", "nosuid", "noexec", "nodev", "ro")
    mounts = tuple(
        each.replace(source="/sys", type="none", options=bound)
        if each.destination == "/sys"
        else each.replace(options=tuple(o for o in each.options if not o.startswith("gid=")))
        for each in spec.mounts
        if each.type != "cgroup"
    )
    return spec.replace(
        mounts=mounts,
        linux=spec.linux.replace(
            namespaces=(*kinds, Namespace(type="user")),
            uid_mappings=(IdMapping(container_id=0, host_id=os.geteuid(), size=1),),
            gid_mappings=(IdMapping(container_id=0, host_id=os.getegid(), size=1),),
            resources=Resources(),
        ),
    )
