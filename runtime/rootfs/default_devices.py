"""The devices of a configuration, completed by those that every container has."""

from __future__ import annotations

import stat

from runtime.rootfs.mount_sources import normalized
from runtime.spec.config import Device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# OCI config-linux.md, "Default Devices".
_DEFAULT = tuple(
    Device(path=f"/dev/{name}", type="c", major=major, minor=minor, file_mode=0o666, uid=0, gid=0)
    for name, major, minor in (
        ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
        ("tty", 5, 0),
    )
)  # fmt: skip
KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def with_defaults(configured: Iterable[Device]) -> dict[str, Device]:
    """Return the configured devices and the other default devices, by their paths."""
    by_path = {device.path: device for device in _DEFAULT}
    by_path.update((normalized(device.path), device) for device in configured)
    return by_path
