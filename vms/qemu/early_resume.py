"""Starts in which the guest runs before libvirt is done.

Before it lets a machine go, libvirt asks QEMU some four hundred things about the CPU, one by one. A
monitor of our own connects the ports and lets the guest go meanwhile. libvirt hears of it by QEMU's
event, as of any other resume.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from xml.etree import ElementTree as ET

from vms.qemu.qmp import MONITOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vms.qemu.qmp import Monitor

_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
ET.register_namespace("qemu", _QEMU)


class Origin(Protocol):
    """What a machine begins from, where that is not a cold boot."""

    def words(self) -> Sequence[str]:
        """What QEMU's command line needs to say for it."""

    def load(self, monitor: Monitor) -> None:
        """Bring QEMU to where the machine begins. Raises MachineError."""


def with_words(xml: str, words: Sequence[str]) -> str:
    """The domain's XML with words for QEMU's command line. (libvirt, drvqemu.html)"""
    domain = ET.fromstring(xml)
    line = ET.SubElement(domain, f"{{{_QEMU}}}commandline")
    for word in words:
        ET.SubElement(line, f"{{{_QEMU}}}arg", value=word)
    return ET.tostring(domain, encoding="unicode")


def without_monitor(xml: str) -> str:
    """The domain's XML without the words for a monitor of ours, which nobody listens for now."""
    domain = ET.fromstring(xml)
    line = domain.find(f"{{{_QEMU}}}commandline")
    words = [] if line is None else line.findall(f"{{{_QEMU}}}arg")
    for option, value in zip(words[::2], words[1::2], strict=False):
        if line is not None and MONITOR in value.get("value", ""):
            line.remove(option)
            line.remove(value)
    return ET.tostring(domain, encoding="unicode")


@contextmanager
def beside(act: Callable[[], object], give_up: Callable[[], object]) -> Iterator[None]:
    """Have another thread act while the block runs, and wait for it.

    If the block fails, the thread is told to give up, and the block's failure is what is raised.
    """
    with ThreadPoolExecutor(1) as threads:
        acting = threads.submit(act)
        try:
            yield
        except BaseException:
            give_up()
            raise
        acting.result()
