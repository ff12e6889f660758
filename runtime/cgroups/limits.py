"""Limits in both versions: their meaning, and those that neither version can have.

As in other runtimes, 0 means "not set" for memory, CPU and weights, although the kernel would take
it for a limit that nothing can run under; -1 means "no limit". (OCI config-linux.md, "Control
groups")
"""

from __future__ import annotations

from runtime.cgroups.settings import Setting
from runtime.errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.spec.config import Cpu, HugepageLimit, Memory, Rdma, Resources


_MOST_SWAPPY = 100


def check(resources: Resources) -> None:
    """Refuse values that no kernel accepts. Raise InvalidConfig, which names the field."""
    if resources.memory is not None:
        _check_memory(resources.memory)
    if resources.cpu is not None:
        _check_cpu(resources.cpu)
    if resources.pids is not None:
        _at_least("pids.limit", resources.pids.limit, -1)
    if resources.block_io is not None:
        for device in resources.block_io.weight_device:
            if device.weight is None and device.leaf_weight is None:
                _refuse("blockIO.weightDevice", "an entry has neither weight nor leafWeight")
    for limit in resources.hugepage_limits:
        _check_hugepages(limit)
    for name, entry in resources.rdma.items():
        _check_rdma(name, entry)
    for key in resources.unified:
        if "/" in key or key in {"", ".", ".."}:
            _refuse("unified", f"{key!r} must be a file name without slashes")


def _check_memory(memory: Memory) -> None:
    for name, value in (
        ("limit", memory.limit),
        ("reservation", memory.reservation),
        ("swap", memory.swap),
        ("kernel", memory.kernel),
        ("kernelTCP", memory.kernel_tcp),
    ):
        _at_least(f"memory.{name}", value, -1)
    if memory.swappiness is not None and memory.swappiness > _MOST_SWAPPY:
        _refuse("memory.swappiness", f"{memory.swappiness} exceeds {_MOST_SWAPPY}")
    limit, swap = memory.limit or 0, memory.swap or 0
    if 0 < swap < limit:
        _refuse("memory.swap", f"{swap} is below memory.limit, {limit}, but must include it")


def _check_cpu(cpu: Cpu) -> None:
    _at_least("cpu.quota", cpu.quota, -1)
    _at_least("cpu.realtimeRuntime", cpu.realtime_runtime, -1)
    if cpu.idle not in {None, 0, 1}:
        _refuse("cpu.idle", f"{cpu.idle} must be 0 or 1")
    if cpu.burst is not None and cpu.quota is not None and 0 < cpu.quota < cpu.burst:
        _refuse("cpu.burst", f"{cpu.burst} exceeds cpu.quota, {cpu.quota}")


def _check_hugepages(limit: HugepageLimit) -> None:
    number, unit = limit.page_size[:-2], limit.page_size[-2:]
    if not (number.isascii() and number.isdigit() and unit in {"KB", "MB", "GB"}):
        _refuse("hugepageLimits.pageSize", f"{limit.page_size!r} is not a size such as 2MB")


def _check_rdma(name: str, entry: Rdma) -> None:
    if not name or any(character.isspace() for character in name):
        _refuse("rdma", f"{name!r} is not the name of a device")
    if entry.hca_handles is None and entry.hca_objects is None:
        _refuse(f"rdma.{name}", "it has neither hcaHandles nor hcaObjects")


def _at_least(field: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        _refuse(field, f"{value} is less than {least}")


def _refuse(field: str, reason: str) -> None:
    raise InvalidConfig(f"linux.resources.{field}: {reason}.")


def pids(limit: int) -> str:
    """Return the value of pids.max: at least 1, because the first process itself is counted."""
    return "max" if limit < 0 else str(max(limit, 1))


def hugepages(limit: HugepageLimit, suffix: str) -> list[Setting]:
    """Return the settings of usage, and of reservation where the kernel counts it."""
    prefix = f"hugetlb.{limit.page_size}"
    field = f"hugepageLimits.{limit.page_size}"
    return [
        Setting(field, "hugetlb", f"{prefix}.{suffix}", limit.limit),
        Setting(field, "hugetlb", f"{prefix}.rsvd.{suffix}", limit.limit, is_optional=True),
    ]


def rdma(name: str, entry: Rdma) -> str:
    """Return a line of rdma.max, which is the same in both versions."""
    words = [name]
    if entry.hca_handles is not None:
        words.append(f"hca_handle={entry.hca_handles}")
    if entry.hca_objects is not None:
        words.append(f"hca_object={entry.hca_objects}")
    return " ".join(words)
