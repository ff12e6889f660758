"""The environment and the mount of a container that is a service of systemd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import default_spec
from runtime.container.notify_socket import with_listen_fds, with_notify_socket

if TYPE_CHECKING:
    import pytest


def test_passed_sockets_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDNAMES", "web:admin")
    spec = default_spec(["true"])
    assert spec.process
    process = spec.process.replace(env=("LISTEN_PID=7", "PATH=/bin"))
    changed = with_listen_fds(spec.replace(process=process), 2)
    assert changed.process
    assert changed.process.env == (
        "PATH=/bin", "LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=web:admin",
    )  # fmt: skip


def test_the_notify_socket_is_mounted_read_only() -> None:
    spec = with_notify_socket(default_spec(["true"]), "/run/box/notify")
    assert spec.process
    assert "NOTIFY_SOCKET=/run/notify/notify.sock" in spec.process.env
    mount = spec.mounts[-1]
    assert (mount.source, mount.destination) == ("/run/box/notify", "/run/notify")
    assert {"bind", "ro"} <= set(mount.options)
