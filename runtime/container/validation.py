"""Configurations that can't be started are refused here, before anything is changed.

Every sentence names the field. (OCI runtime-spec 1.3, config.md and config-linux.md)
"""

from __future__ import annotations

import os

from runtime.errors import ContainerError
from runtime.linux import mount as mounts
from runtime.linux.capabilities import NUMBERS
from runtime.namespaces.namespaces import FLAGS
from runtime.process import attributes, rlimits
from runtime.rootfs.devices import KINDS
from runtime.rootfs.mount_sources import inside
from runtime.seccomp.filter import notifies
from runtime.spec.mount_options import PROPAGATIONS, MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from runtime.spec.config import IdMapping, Linux, Mount, Process, Spec

_CLOCKS = frozenset({"monotonic", "boottime"})
_LONGEST_NAME = 64  # gethostname(2), HOST_NAME_MAX


def check(spec: Spec, warn: Callable[[str], object]) -> Process:
    """The process to start, unless the configuration can't be.

    `warn` is told what is left out. Raises ContainerError that names the field.
    """
    if spec.process is None:
        raise ContainerError("process is missing: it says what program to run.")
    _check_version(spec.oci_version)
    _check_process(spec.process, warn)
    _check_namespaces(spec)
    for mount in spec.mounts:
        _check_mount(mount, spec.linux)
    _check_linux(spec.linux, warn)
    _check_names(spec)
    if spec.linux.sysctl:
        from runtime.namespaces import sysctls

        sysctls.check(spec)
    _check_hooks(spec)
    return spec.process


def check_process(process: Process, warn: Callable[[str], object]) -> None:
    """Refuse a process that can't be started. Raises ContainerError that names the field."""
    _check_process(process, warn)


def _check_version(version: str) -> None:
    if not version:
        raise ContainerError("ociVersion is missing: it is the version of the runtime-spec.")
    numbers = version.partition("-")[0].partition("+")[0].split(".")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise ContainerError(f"ociVersion is {version!r}, which is no version such as 1.2.1.")
    if numbers[0] != "1":
        raise ContainerError(f"ociVersion is {version}: this runtime knows versions 1 only.")


def _check_process(process: Process, warn: Callable[[str], object]) -> None:
    if not process.args or not process.args[0]:
        raise ContainerError("process.args is empty: name the program to run.")
    if not process.cwd.startswith("/"):
        raise ContainerError(f"process.cwd is {process.cwd!r}: it must be an absolute path.")
    for word in (*process.args, *process.env, process.cwd):
        if "\0" in word:
            raise ContainerError(f"process: {word!r} holds a NUL, which no argument can.")
    _known("process.rlimits", (each.type for each in process.rlimits), rlimits.NUMBERS)
    kinds = [each.type for each in process.rlimits]
    if len(kinds) != len(set(kinds)):
        raise ContainerError("process.rlimits sets a limit twice.")
    for limit in process.rlimits:
        if limit.soft > limit.hard:
            raise ContainerError(f"process.rlimits: {limit.type} is softly above its hard limit.")
    if process.oom_score_adj is not None and not -1000 <= process.oom_score_adj <= 1000:
        raise ContainerError(f"process.oomScoreAdj is {process.oom_score_adj}: -1000 to 1000 are.")
    if process.user.umask is not None and process.user.umask > 0o777:
        raise ContainerError(f"process.user.umask is {process.user.umask:o}: it has three digits.")
    if scheduler := process.scheduler:
        _known("process.scheduler.policy", [scheduler.policy], attributes.POLICIES)
        _known("process.scheduler.flags", scheduler.flags, attributes.SCHEDULER_FLAGS)
    if process.io_priority:
        _known("process.ioPriority.class", [process.io_priority.kind], attributes.IO_CLASSES)
        if not 0 <= process.io_priority.priority <= 7:
            raise ContainerError("process.ioPriority.priority must be 0 to 7.")
    if affinity := process.exec_cpu_affinity:
        attributes.numbers(affinity.initial)
        attributes.numbers(affinity.final)
    _check_capabilities(process, warn)
    _check_labels(process)


def _check_capabilities(process: Process, warn: Callable[[str], object]) -> None:
    wanted = process.capabilities
    if wanted is None:
        return
    every = {*wanted.bounding, *wanted.effective, *wanted.permitted, *wanted.inheritable,
             *wanted.ambient}  # fmt: skip
    for name in sorted(every - NUMBERS.keys()):
        warn(f"process.capabilities: there is no {name} here; it is left out.")


def _check_labels(process: Process) -> None:
    if process.apparmor_profile not in {"", "unconfined"} and not has_apparmor():
        raise ContainerError("process.apparmorProfile: this host has no AppArmor; leave it out.")
    if process.selinux_label and not has_selinux():
        raise ContainerError("process.selinuxLabel: this host has no SELinux; leave it out.")


def has_apparmor() -> bool:
    """Whether the kernel has AppArmor switched on."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", "rb") as file:
            return file.read(1) == b"Y"
    except OSError:
        return False


def has_selinux() -> bool:
    """Whether the kernel has SELinux, with a policy."""
    return os.path.exists("/sys/fs/selinux/status")


def _check_namespaces(spec: Spec) -> None:
    linux = spec.linux
    kinds = [namespace.type for namespace in linux.namespaces]
    _known("linux.namespaces", kinds, FLAGS)
    if len(kinds) != len(set(kinds)):
        raise ContainerError("linux.namespaces names a namespace twice.")
    if "user" in kinds and "mount" not in kinds:
        raise ContainerError(
            "linux.namespaces: in a user namespace nothing can be mounted without a mount namespace"
            " of its own: ask for one."
        )
    for namespace in linux.namespaces:
        if namespace.path and not namespace.path.startswith("/"):
            raise ContainerError(f"linux.namespaces: {namespace.path!r} must be an absolute path.")
    new = {namespace.type for namespace in linux.namespaces if not namespace.path}
    if (linux.uid_mappings or linux.gid_mappings) and "user" not in kinds:
        raise ContainerError("linux.uidMappings are for a user namespace, which is not asked for.")
    if "user" in new and not (linux.uid_mappings and linux.gid_mappings):
        raise ContainerError(
            "linux.namespaces: a user namespace needs linux.uidMappings and linux.gidMappings: add"
            ' both, such as [{"containerID": 0, "hostID": 100000, "size": 65536}], or give the'
            " namespace the path of one that has them."
        )
    if "user" in new and spec.process is not None:
        user = spec.process.user
        _check_mapped("uid", [user.uid], linux.uid_mappings)
        _check_mapped("gid", [user.gid, *user.additional_gids], linux.gid_mappings)
    if linux.time_offsets and "time" not in new:
        raise ContainerError("linux.timeOffsets are for a time namespace, which is not asked for.")
    _known("linux.timeOffsets", linux.time_offsets, _CLOCKS)
    if linux.net_devices:
        from runtime.network import host_devices

        if "network" not in kinds:
            raise ContainerError("linux.netDevices are for a network namespace: ask for one.")
        host_devices.check(linux.net_devices)


def _check_mapped(what: str, wanted: Iterable[int], mappings: Iterable[IdMapping]) -> None:
    for number in wanted:
        if not any(0 <= number - each.container_id < each.size for each in mappings):
            raise ContainerError(
                f"process.user: {what} {number} is nobody's by linux.{what}Mappings."
            )


def _check_mount(mount: Mount, linux: Linux) -> None:
    if not mount.destination:
        raise ContainerError("mounts: a destination is empty.")
    if inside(mount.destination) == "/":
        raise ContainerError("mounts: / is the root file system, and can be no destination.")
    options = MountOptions.of(mount.options)
    if options.is_bind and not mount.source:
        raise ContainerError(f"mounts: {mount.destination} has no source to be bound.")
    if not options.is_bind and not mount.type and not options.flags & mounts.REMOUNT:
        raise ContainerError(f"mounts: {mount.destination} has no type.")
    if mount.type in {"bind", "none"} and not options.flags & (mounts.BIND | mounts.REMOUNT):
        raise ContainerError(
            f"mounts: {mount.destination} is of type {mount.type}, without the option bind or"
            " rbind: add one, or say what file system it is."
        )
    if len(options.data) > 4095:
        raise ContainerError(f"mounts: {mount.destination} has more options than mount(2) takes.")
    if bool(mount.uid_mappings) != bool(mount.gid_mappings):
        raise ContainerError(f"mounts: {mount.destination} needs both uidMappings and gidMappings.")
    if options.words & {"idmap", "ridmap"} or mount.uid_mappings:
        if not options.is_bind:
            raise ContainerError(f"mounts: {mount.destination}: only a bind mount is mapped.")
        if not mount.uid_mappings and not linux.uid_mappings:
            raise ContainerError(f"mounts: {mount.destination} has no ids to be mapped by.")


def _check_linux(linux: Linux, warn: Callable[[str], object]) -> None:
    if linux.rootfs_propagation:
        _known("linux.rootfsPropagation", [linux.rootfs_propagation], PROPAGATIONS)
    _known("linux.devices", (device.type for device in linux.devices), KINDS)
    for device in linux.devices:
        if inside(device.path) == "/":
            raise ContainerError(f"linux.devices: {device.path!r} is no path for a device.")
        if device.major < 0 or device.minor < 0:
            raise ContainerError(f"linux.devices: {device.path} has a number below 0.")
    if linux.personality:
        _known("linux.personality.domain", [linux.personality.domain], attributes.DOMAINS)
        _known("linux.personality.flags", linux.personality.flags, attributes.PERSONALITY_FLAGS)
    if linux.memory_policy:
        _known("linux.memoryPolicy.mode", [linux.memory_policy.mode], attributes.MEMORY_MODES)
        _known("linux.memoryPolicy.flags", linux.memory_policy.flags, attributes.MEMORY_FLAGS)
        attributes.numbers(linux.memory_policy.nodes)
    for path in (*linux.masked_paths, *linux.readonly_paths):
        if not path.startswith("/"):
            raise ContainerError(f"linux: {path!r}, to be hidden, must be an absolute path.")
    if linux.seccomp and linux.seccomp.listener_metadata and not linux.seccomp.listener_path:
        raise ContainerError("linux.seccomp.listenerMetadata needs a listenerPath to be sent to.")
    if linux.intel_rdt and not os.path.exists("/sys/fs/resctrl/schemata"):
        raise ContainerError("linux.intelRdt needs resctrl, which is not mounted: leave it out.")
    listener = linux.seccomp.listener_path if linux.seccomp and notifies(linux.seccomp) else ""
    if listener and not os.path.exists(listener):
        raise ContainerError(f"linux.seccomp.listenerPath: nobody answers at {listener}.")
    if linux.mount_label and not has_selinux():
        warn("linux.mountLabel: this host has no SELinux; it is left out.")


def _check_names(spec: Spec) -> None:
    if "" in spec.annotations:
        raise ContainerError("annotations: a key must not be empty.")
    kinds = {namespace.type for namespace in spec.linux.namespaces}
    for field, name in (("hostname", spec.hostname), ("domainname", spec.domainname)):
        if name and "uts" not in kinds:
            raise ContainerError(f"{field}: without a uts namespace it would be the host's.")
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise ContainerError(f"{field} has more than {_LONGEST_NAME} bytes.")


def _check_hooks(spec: Spec) -> None:
    wanted = spec.hooks
    for hook in (
        *wanted.prestart, *wanted.create_runtime, *wanted.create_container,
        *wanted.start_container, *wanted.poststart, *wanted.poststop,
    ):  # fmt: skip
        if not hook.path.startswith("/"):
            raise ContainerError(f"hooks: {hook.path!r} must be an absolute path.")
        if hook.timeout is not None and hook.timeout <= 0:
            raise ContainerError(f"hooks: the timeout of {hook.path} must be above 0.")


def _known(field: str, words: Iterable[str], known: Container[str]) -> None:
    for word in words:
        if word not in known:
            raise ContainerError(f"{field}: there is no {word!r}.")
