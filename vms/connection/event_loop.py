"""libvirt's event loop, in a thread of this process."""

from __future__ import annotations

import functools
import threading

import libvirt


@functools.cache
def run() -> None:
    """Start the event loop's thread, once a process; suppress libvirt's messages on stderr.

    Errors are raised as exceptions anyway.
    """
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_loop, name="libvirt events", daemon=True).start()


def _loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
