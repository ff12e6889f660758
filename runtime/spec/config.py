"""The configuration of the OCI runtime-spec as typed structs.

Names are the specification's in Python's spelling. Absent values are None, an empty tuple or an
empty dict. (OCI runtime-spec 1.3, config.md and config-linux.md)
"""

from __future__ import annotations

from runtime.spec.json_structs import Int32, Int64, Struct, Uint16, Uint32, Uint64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class IdMapping(Struct):
    """config-linux.md, "User namespace mappings"."""

    RENAMED: ClassVar[dict[str, str]] = {"container_id": "containerID", "host_id": "hostID"}

    container_id: Uint32
    host_id: Uint32
    size: Uint32


class Box(Struct):
    """config.md, "Process": a terminal's size in characters."""

    height: Uint16
    width: Uint16


class User(Struct):
    """config.md, "POSIX-platform User"."""

    uid: Uint32 = 0
    gid: Uint32 = 0
    umask: Uint32 | None = None
    additional_gids: tuple[Uint32, ...] = ()


class Capabilities(Struct):
    """config.md, "Linux Process": the five sets, by name."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class Rlimit(Struct):
    """config.md, "POSIX process"; 2**64 - 1 means no limit."""

    type: str
    soft: Uint64
    hard: Uint64


class Scheduler(Struct):
    """config.md, "Linux Process"; runtime, deadline and period in nanoseconds."""

    policy: str
    nice: Int32 = 0
    priority: Int32 = 0
    flags: tuple[str, ...] = ()
    runtime: Uint64 = 0
    deadline: Uint64 = 0
    period: Uint64 = 0


class IoPriority(Struct):
    """config.md, "Linux Process"."""

    RENAMED: ClassVar[dict[str, str]] = {"kind": "class"}

    kind: str
    priority: Int32


class CpuAffinity(Struct):
    """config.md, "Linux Process": lists of CPUs such as 0-3,7."""

    initial: str = ""
    final: str = ""


class Process(Struct):
    """config.md, "Process"."""

    RENAMED: ClassVar[dict[str, str]] = {"exec_cpu_affinity": "execCPUAffinity"}

    cwd: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: User = User()
    terminal: bool = False
    console_size: Box | None = None
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    selinux_label: str = ""
    oom_score_adj: Int32 | None = None
    scheduler: Scheduler | None = None
    io_priority: IoPriority | None = None
    exec_cpu_affinity: CpuAffinity | None = None


class Root(Struct):
    """config.md, "Root": a path relative to the bundle, or absolute."""

    path: str
    readonly: bool = False


class Mount(Struct):
    """config.md, "Mounts"; `type` and `source` have the meaning of mount(8)."""

    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()


class Hook(Struct):
    """config.md, "POSIX-platform Hooks"; timeout in seconds."""

    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: Int64 | None = None


class Hooks(Struct):
    """config.md, "POSIX-platform Hooks", in the order of a container's life."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


class Namespace(Struct):
    """config-linux.md, "Namespaces": a new namespace, or an existing one by its path."""

    type: str
    path: str = ""


class TimeOffset(Struct):
    """config-linux.md, "Offset for Time Namespace"."""

    secs: Int64 = 0
    nanosecs: Uint32 = 0


class Device(Struct):
    """config-linux.md, "Devices"; `file_mode` has the bits of stat(2)."""

    type: str
    path: str
    major: Int64 = 0
    minor: Int64 = 0
    file_mode: Uint32 | None = None
    uid: Uint32 | None = None
    gid: Uint32 | None = None


class NetDevice(Struct):
    """config-linux.md, "Network Devices": the name inside the container."""

    name: str = ""


class DeviceRule(Struct):
    """config-linux.md, "Allowed Device list"; without a number the rule is for all numbers."""

    allow: bool
    type: str = ""
    major: Int64 | None = None
    minor: Int64 | None = None
    access: str = ""


class Memory(Struct):
    """config-linux.md, "Memory": bytes; -1 means no limit."""

    RENAMED: ClassVar[dict[str, str]] = {
        "kernel_tcp": "kernelTCP",
        "disable_oom_killer": "disableOOMKiller",
    }

    limit: Int64 | None = None
    reservation: Int64 | None = None
    swap: Int64 | None = None
    kernel: Int64 | None = None
    kernel_tcp: Int64 | None = None
    swappiness: Uint64 | None = None
    disable_oom_killer: bool | None = None
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


class Cpu(Struct):
    """config-linux.md, "CPU": times in microseconds."""

    shares: Uint64 | None = None
    quota: Int64 | None = None
    burst: Uint64 | None = None
    period: Uint64 | None = None
    realtime_runtime: Int64 | None = None
    realtime_period: Uint64 | None = None
    cpus: str = ""
    mems: str = ""
    idle: Int64 | None = None


class Pids(Struct):
    """config-linux.md, "PIDs"."""

    limit: Int64 | None = None


class WeightDevice(Struct):
    """config-linux.md, "Block IO"."""

    major: Int64
    minor: Int64
    weight: Uint16 | None = None
    leaf_weight: Uint16 | None = None


class ThrottleDevice(Struct):
    """config-linux.md, "Block IO": bytes or operations a second."""

    major: Int64
    minor: Int64
    rate: Uint64


class BlockIo(Struct):
    """config-linux.md, "Block IO"."""

    RENAMED: ClassVar[dict[str, str]] = {
        "throttle_read_iops_device": "throttleReadIOPSDevice",
        "throttle_write_iops_device": "throttleWriteIOPSDevice",
    }

    weight: Uint16 | None = None
    leaf_weight: Uint16 | None = None
    weight_device: tuple[WeightDevice, ...] = ()
    throttle_read_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_write_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_read_iops_device: tuple[ThrottleDevice, ...] = ()
    throttle_write_iops_device: tuple[ThrottleDevice, ...] = ()


class HugepageLimit(Struct):
    """config-linux.md, "Huge page limits"; `page_size` such as 2MB, limit in bytes."""

    page_size: str
    limit: Uint64


class InterfacePriority(Struct):
    """config-linux.md, "Network"."""

    name: str
    priority: Uint32


class Network(Struct):
    """config-linux.md, "Network"."""

    RENAMED: ClassVar[dict[str, str]] = {"class_id": "classID"}

    class_id: Uint32 | None = None
    priorities: tuple[InterfacePriority, ...] = ()


class Rdma(Struct):
    """config-linux.md, "RDMA"."""

    hca_handles: Uint32 | None = None
    hca_objects: Uint32 | None = None


class Resources(Struct):
    """config-linux.md, "Control groups"."""

    RENAMED: ClassVar[dict[str, str]] = {"block_io": "blockIO"}

    devices: tuple[DeviceRule, ...] = ()
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = None
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    network: Network | None = None
    rdma: dict[str, Rdma] = {}  # noqa: RUF012 - a struct is frozen
    unified: dict[str, str] = {}  # noqa: RUF012


class SyscallArg(Struct):
    """config-linux.md, "Seccomp": a comparison of one argument."""

    index: Uint32
    value: Uint64
    op: str
    value_two: Uint64 = 0


class Syscall(Struct):
    """config-linux.md, "Seccomp": the action on system calls with these names."""

    names: tuple[str, ...]
    action: str
    errno_ret: Uint32 | None = None
    args: tuple[SyscallArg, ...] = ()


class Seccomp(Struct):
    """config-linux.md, "Seccomp"."""

    default_action: str
    default_errno_ret: Uint32 | None = None
    architectures: tuple[str, ...] = ()
    flags: tuple[str, ...] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[Syscall, ...] = ()


class IntelRdt(Struct):
    """config-linux.md, "IntelRdt"."""

    RENAMED: ClassVar[dict[str, str]] = {"clos_id": "closID"}

    clos_id: str = ""
    schemata: tuple[str, ...] = ()
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""
    enable_monitoring: bool = False


class MemoryPolicy(Struct):
    """config-linux.md, "Memory policy"."""

    mode: str
    nodes: str = ""
    flags: tuple[str, ...] = ()


class Personality(Struct):
    """config-linux.md, "Personality"."""

    domain: str
    flags: tuple[str, ...] = ()


class Linux(Struct):
    """config-linux.md."""

    namespaces: tuple[Namespace, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    time_offsets: dict[str, TimeOffset] = {}  # noqa: RUF012
    sysctl: dict[str, str] = {}  # noqa: RUF012
    cgroups_path: str = ""
    resources: Resources = Resources()
    devices: tuple[Device, ...] = ()
    net_devices: dict[str, NetDevice] = {}  # noqa: RUF012
    seccomp: Seccomp | None = None
    rootfs_propagation: str = ""
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    mount_label: str = ""
    intel_rdt: IntelRdt | None = None
    memory_policy: MemoryPolicy | None = None
    personality: Personality | None = None


class Spec(Struct):
    """config.md: a container's whole configuration."""

    oci_version: str = ""
    process: Process | None = None
    root: Root | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    hooks: Hooks = Hooks()
    annotations: dict[str, str] = {}  # noqa: RUF012
    linux: Linux = Linux()
