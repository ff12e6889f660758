"""Amounts of resources as a plan file writes them and a table shows them: "512 MiB", "100 Mbit/s".

Bytes have binary units (KiB, MiB, GiB, TiB, PiB) or decimal ones (kB, MB, GB, TB, PB); network has
bit/s with a decimal prefix; CPUs are a number, or a string such as "250m" for thousandths.
"""

from __future__ import annotations

import math
import re

from lab import units
from lab.errors import InvalidConfig
from lab.language.message import Message, in_context
from lab.planning.inventory import (
    CPUS,
    DISK_BYTES,
    GPUS,
    MEMORY_BYTES,
    NETWORK_BITS_PER_SECOND,
)

_BITS = {f"{prefix}bit/s": 1000**power for power, prefix in enumerate(("", "k", "M", "G", "T"))}
_SCALES = {
    MEMORY_BYTES: units.BYTE_UNITS,
    DISK_BYTES: units.BYTE_UNITS,
    NETWORK_BITS_PER_SECOND: _BITS,
}
_EXAMPLES = {MEMORY_BYTES: "512 MiB", DISK_BYTES: "20 GiB", NETWORK_BITS_PER_SECOND: "100 Mbit/s"}
_LABELS = {
    CPUS: Message("CPU"),
    MEMORY_BYTES: Message("memory"),
    DISK_BYTES: in_context("resource", "disk"),
    NETWORK_BITS_PER_SECOND: Message("network"),
    GPUS: Message("GPU"),
}
_COUNTED = {CPUS, GPUS}
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)


def label(resource: str) -> str:
    """Return the resource's name for display."""
    return _LABELS.get(resource, resource)


def written(resource: str, amount: float) -> str:
    """Return the amount with its unit: 2 CPUs, 512 MiB, 100 Mbit/s."""
    if resource in {MEMORY_BYTES, DISK_BYTES}:
        return units.quantity(amount, "byte")
    if resource == NETWORK_BITS_PER_SECOND:
        name = next((each for each in reversed(_BITS) if amount >= _BITS[each]), "bit/s")
        return units.quantity(amount / _BITS[name], name)
    number = units.quantity(amount, "")
    if resource not in _COUNTED:
        return number
    if resource == CPUS:
        if number == "1":
            return Message("{number} CPU", number=number)
        return Message("{number} CPUs", number=number)
    if number == "1":
        return Message("{number} GPU", number=number)
    return Message("{number} GPUs", number=number)


def described(resource: str, amount: float) -> str:
    """Return the amount with the name of its resource: 2 CPUs, 512 MiB of memory, 3 licences."""
    if resource in _COUNTED:
        return written(resource, amount)
    if resource in _SCALES:
        return f"{written(resource, amount)} of {label(resource)}"
    return f"{written(resource, amount)} {resource}"


def amount(key: str, resource: str, value: float | str) -> float:
    """Return the amount of a resource that a plan file states. Raise InvalidConfig naming the key.

    Only zero may lack the unit where the resource has units.
    """
    scale = _SCALES.get(resource)
    if isinstance(value, str):
        number, unit = _split(key, value)
        if scale is None:
            factor = _thousandths(key, resource, value, unit)
        elif unit in scale:
            factor = float(scale[unit])
        else:
            raise InvalidConfig(f"{key}: {value!r} has {_fault(unit)}: use {', '.join(scale)}.")
    else:
        if scale is not None and value != 0:
            raise InvalidConfig(
                f'{key}: {value!r} has no unit: write it as in "{_EXAMPLES.get(resource, "")}".'
            )
        number, factor = float(value), 1.0
    return _checked(key, value, number * factor)


def share(key: str, value: float | str, *, most: float = math.inf) -> float:
    """Return a percentage, such as "10 %", as a share of 1. Raise InvalidConfig naming the key.

    It must be below `most`, a share as well.
    """
    if not isinstance(value, str):
        raise InvalidConfig(f'{key}: {value!r} has no unit: write it as in "10 %".')
    number, unit = _split(key, value)
    if unit != "%":
        raise InvalidConfig(f'{key}: {value!r} has {_fault(unit)}: write it as in "10 %".')
    result = _checked(key, value, number / 100)
    if result >= most:
        raise InvalidConfig(f"{key}: {value!r} is too much: it must be below {units.share(most)}.")
    return result


def _split(key: str, text: str) -> tuple[float, str]:
    """Return the number and the unit of a text."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise InvalidConfig(f"{key}: {text!r} is not an amount.")
    return float(match[1]), match[2]


def _thousandths(key: str, resource: str, text: str, unit: str) -> float:
    """Return the factor of a resource that is counted: 1, or a thousandth of a CPU."""
    if not unit:
        return 1.0
    if resource == CPUS and unit == "m":
        return 1e-3
    raise InvalidConfig(f"{key}: {text!r} has {_fault(unit)}: write a number.")


def _fault(unit: str) -> str:
    return f"an unknown unit, {unit!r}" if unit else "no unit"


def _checked(key: str, value: float | str, result: float) -> float:
    """Return the result. Raise InvalidConfig if it is negative or not finite."""
    if not math.isfinite(result):
        raise InvalidConfig(f"{key}: {value!r} is not a finite number.")
    if result < 0:
        raise InvalidConfig(f"{key}: {value!r} is negative.")
    return result
