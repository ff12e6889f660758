"""The readers by name: each turns a file, a folder or an address into an inventory.

A reader is a module with a function `read`. Lines that it can't use are in the inventory's `broken`
with their numbers; a source that is no such thing at all is one InvalidConfig.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from lab.errors import NotFound

if TYPE_CHECKING:
    from lab.planning.inventory import Inventory

_MODULES = {
    "alibaba-2017": "alibaba_2017",
    "alibaba-2018": "alibaba_2018",
    "alibaba-gpu-2023": "alibaba_gpu_2023",
    "azure-packing-2020": "azure_packing_2020",
    "docker": "docker_inspect",
    "google-2011": "google_2011",
    "kubectl": "kubectl",
    "libvirt": "libvirt_domains",
    "rvtools": "rvtools",
    "vbp": "vbp",
}
NAMES = tuple(_MODULES)


class _Reader(Protocol):
    def read(self, source: str) -> Inventory: ...


def read(name: str, source: str) -> Inventory:
    """Return the inventory that the reader of that name finds in the source.

    `source` is a path; for libvirt it is the address of a connection. Raise NotFound for an unknown
    name, and InvalidConfig for a source that can't be read or is of another kind.
    """
    if name not in _MODULES:
        raise NotFound(f"There is no reader {name!r}; choose from {', '.join(NAMES)}.")
    module = cast("_Reader", import_module(f"lab.planning.readers.{_MODULES[name]}"))
    return module.read(source)
