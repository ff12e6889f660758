"""Numbers in the files of a cgroup, as both versions write them. Missing files count as empty."""

from __future__ import annotations

from runtime.cgroups import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def text(path: str) -> str:
    """Return the text of a file, or an empty string if the kernel has no such file."""
    return files.read_if_there(path) or ""


def number(path: str) -> int:
    """Return the number in a file: 0 if there is no such file, 2^64 - 1 if it says `max`."""
    return _or_largest(text(path) or "0", 64)


def pairs(path: str) -> dict[str, int]:
    """Return the names and numbers in a file with one pair a line."""
    lines = (line.split() for line in text(path).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2}


def rdma(directory: str) -> dict[str, Any]:
    """Return usage and limits of RDMA devices: {"current": [...], "limit": [...]}."""
    document = {}
    for key, file in (("current", "rdma.current"), ("limit", "rdma.max")):
        entries = []
        for line in text(f"{directory}/{file}").splitlines():
            device, *words = line.split()
            values = dict(word.split("=") for word in words)
            entries.append({
                "device": device,
                "hcaHandles": _or_largest(values.get("hca_handle", "0"), 32),
                "hcaObjects": _or_largest(values.get("hca_object", "0"), 32),
            })  # fmt: skip
        document[key] = entries
    return document


def _or_largest(text: str, bits: int) -> int:
    return (1 << bits) - 1 if text == "max" else int(text)
