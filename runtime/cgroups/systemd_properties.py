"""Limits as properties of a systemd unit. (systemd.resource-control(5))"""

from __future__ import annotations

from runtime.cgroups.v2.limits import weight
from runtime.errors import InvalidConfig
from runtime.linux import cpu_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.spec.config import Cpu, Memory, Resources

    Property = tuple[str, tuple[str, object]]  # name, (D-Bus signature, value)

_WITHOUT_LIMIT = (1 << 64) - 1
_DEFAULT_PERIOD_US = 100_000
_GRAIN_US = 10_000  # systemd counts quotas in hundredths of a CPU


def properties(resources: Resources, *, is_v2: bool) -> list[Property]:
    """Return the limits that systemd has properties for."""
    unit_properties: list[Property] = []
    if resources.memory is not None:
        unit_properties += _memory(resources.memory, is_v2=is_v2)
    if resources.cpu is not None:
        unit_properties += _cpu(resources.cpu, is_v2=is_v2)
    if resources.pids is not None and resources.pids.limit is not None:
        limit = resources.pids.limit
        unit_properties.append(_number("TasksMax", -1 if limit < 0 else max(limit, 1)))
    return unit_properties


def _memory(memory: Memory, *, is_v2: bool) -> Iterator[Property]:
    if memory.limit:
        yield _number("MemoryMax" if is_v2 else "MemoryLimit", memory.limit)
    if is_v2 and memory.reservation:
        yield _number("MemoryLow", memory.reservation)
    if is_v2 and memory.limit and memory.swap:
        swap = memory.swap
        yield _number("MemorySwapMax", swap if -1 in {swap, memory.limit} else swap - memory.limit)


def _cpu(cpu: Cpu, *, is_v2: bool) -> Iterator[Property]:
    if cpu.shares:
        yield (
            _number("CPUWeight", weight(cpu.shares)) if is_v2 else _number("CPUShares", cpu.shares)
        )
    if cpu.quota:
        period = cpu.period or _DEFAULT_PERIOD_US
        share = (
            -1 if cpu.quota < 0 else -(-cpu.quota * 1_000_000 // period // _GRAIN_US) * _GRAIN_US
        )
        yield _number("CPUQuotaPerSecUSec", share)
    if is_v2:
        for name, text in (("AllowedCPUs", cpu.cpus), ("AllowedMemoryNodes", cpu.mems)):
            if text:
                yield name, ("ay", mask(text))


def mask(text: str) -> bytes:
    """Return a list such as 0-3,7 as a bit mask, the lowest bits first."""
    try:
        bits = sum(1 << number for number in set(cpu_list.parse(text)))
    except ValueError as error:
        raise InvalidConfig(f"linux.resources.cpu: {error}.") from error
    return bits.to_bytes(bits.bit_length() // 8 + 1, "little")


def _number(name: str, value: int) -> Property:
    return name, ("t", _WITHOUT_LIMIT if value < 0 else value)
