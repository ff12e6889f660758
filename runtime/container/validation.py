"""Checks of a configuration, made before a start changes anything.

Every error names the field. (OCI runtime-spec 1.3, config.md and config-linux.md)
"""

from __future__ import annotations

import os

from runtime.errors import InvalidConfig, Unavailable
from runtime.linux import mount as mounts
from runtime.linux.capabilities import NUMBERS
from runtime.namespaces.namespaces import FLAGS
from runtime.process import attributes, rlimits
from runtime.rootfs.default_devices import KINDS
from runtime.rootfs.mount_sources import normalized
from runtime.seccomp.filter import notifies
from runtime.spec.mount_options import PROPAGATIONS, MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from runtime.spec.config import IdMapping, Linux, Mount, Process, Spec

_CLOCKS = frozenset({"monotonic", "boottime"})
_LONGEST_NAME = 64  # gethostname(2), HOST_NAME_MAX


def check(spec: Spec, warn: Callable[[str], object]) -> Process:
    """Return the process of a configuration.

    `warn` is called with a sentence for each setting that is left out. Raise InvalidConfig, or
    Unavailable for a setting that this host does not support.
    """
    if spec.process is None:
        raise InvalidConfig("process is missing: add it, to name the program to run.")
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
    """Check a process that is to be executed in a container. Raise InvalidConfig or Unavailable."""
    _check_process(process, warn)


def _check_version(version: str) -> None:
    if not version:
        raise InvalidConfig(
            "ociVersion is missing: add the version of the runtime-spec, such as 1.3.0."
        )
    numbers = version.partition("-")[0].partition("+")[0].split(".")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise InvalidConfig(f"ociVersion is {version!r}: it must be a version such as 1.3.0.")
    if numbers[0] != "1":
        raise InvalidConfig(f"ociVersion is {version}: this runtime supports versions 1.x only.")


def _check_process(process: Process, warn: Callable[[str], object]) -> None:
    if not process.args or not process.args[0]:
        raise InvalidConfig("process.args is empty: name the program to run.")
    if not process.cwd.startswith("/"):
        raise InvalidConfig(f"process.cwd is {process.cwd!r}: it must be an absolute path.")
    for word in (*process.args, *process.env, process.cwd):
        if "\0" in word:
            raise InvalidConfig(f"process: {word!r} holds a NUL byte: remove it.")
    _known("process.rlimits", (each.type for each in process.rlimits), rlimits.NUMBERS)
    kinds = [each.type for each in process.rlimits]
    if len(kinds) != len(set(kinds)):
        raise InvalidConfig("process.rlimits sets a limit twice: remove one of the entries.")
    for limit in process.rlimits:
        if limit.soft > limit.hard:
            raise InvalidConfig(
                f"process.rlimits: the soft limit of {limit.type} ({limit.soft}) exceeds its hard"
                f" limit ({limit.hard})."
            )
    if process.oom_score_adj is not None and not -1000 <= process.oom_score_adj <= 1000:
        raise InvalidConfig(
            f"process.oomScoreAdj is {process.oom_score_adj}: it must be from -1000 to 1000."
        )
    if process.user.umask is not None and process.user.umask > 0o777:
        raise InvalidConfig(
            f"process.user.umask is {process.user.umask:o} (octal): it must be 777 at most."
        )
    if scheduler := process.scheduler:
        _known("process.scheduler.policy", [scheduler.policy], attributes.POLICIES)
        _known("process.scheduler.flags", scheduler.flags, attributes.SCHEDULER_FLAGS)
    if process.io_priority:
        _known("process.ioPriority.class", [process.io_priority.kind], attributes.IO_CLASSES)
        if not 0 <= process.io_priority.priority <= 7:
            raise InvalidConfig(
                f"process.ioPriority.priority is {process.io_priority.priority}: it must be from 0"
                " to 7."
            )
    if affinity := process.exec_cpu_affinity:
        _check_numbers("process.execCPUAffinity.initial", affinity.initial)
        _check_numbers("process.execCPUAffinity.final", affinity.final)
    _check_capabilities(process, warn)
    _check_labels(process)


def _check_capabilities(process: Process, warn: Callable[[str], object]) -> None:
    sets = process.capabilities
    if sets is None:
        return
    names = {*sets.bounding, *sets.effective, *sets.permitted, *sets.inheritable, *sets.ambient}
    for name in sorted(names - NUMBERS.keys()):
        warn(f"process.capabilities: {name} is not known here; it is left out.")


def _check_labels(process: Process) -> None:
    if process.apparmor_profile not in {"", "unconfined"} and not has_apparmor():
        raise Unavailable("process.apparmorProfile: this host has no AppArmor: leave it out.")
    if process.selinux_label and not has_selinux():
        raise Unavailable("process.selinuxLabel: this host has no SELinux: leave it out.")


def has_apparmor() -> bool:
    """Return True if AppArmor is switched on in the kernel."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", "rb") as file:
            return file.read(1) == b"Y"
    except OSError:
        return False


def has_selinux() -> bool:
    """Return True if the kernel has SELinux with a policy loaded."""
    return os.path.exists("/sys/fs/selinux/status")


def _check_namespaces(spec: Spec) -> None:
    linux = spec.linux
    kinds = [namespace.type for namespace in linux.namespaces]
    _known("linux.namespaces", kinds, FLAGS)
    if len(kinds) != len(set(kinds)):
        raise InvalidConfig("linux.namespaces names a namespace twice: remove one of the entries.")
    if "user" in kinds and "mount" not in kinds:
        raise InvalidConfig(
            "linux.namespaces: in a user namespace nothing can be mounted without a mount namespace"
            ' of its own: add {"type": "mount"}.'
        )
    for namespace in linux.namespaces:
        if namespace.path and not namespace.path.startswith("/"):
            raise InvalidConfig(
                f"linux.namespaces: the path {namespace.path!r} must be an absolute path."
            )
    new = {namespace.type for namespace in linux.namespaces if not namespace.path}
    if (linux.uid_mappings or linux.gid_mappings) and "user" not in kinds:
        raise InvalidConfig(
            "linux.uidMappings and linux.gidMappings need a user namespace in linux.namespaces: add"
            " one, or remove them."
        )
    if "user" in new and not (linux.uid_mappings and linux.gid_mappings):
        raise InvalidConfig(
            "linux.namespaces: a user namespace needs linux.uidMappings and linux.gidMappings: add"
            ' both, such as [{"containerID": 0, "hostID": 100000, "size": 65536}], or give the'
            " namespace the path of one that has them."
        )
    if "user" in new and spec.process is not None:
        user = spec.process.user
        _check_mapped("uid", [user.uid], linux.uid_mappings)
        _check_mapped("gid", [user.gid, *user.additional_gids], linux.gid_mappings)
    if linux.time_offsets and "time" not in new:
        raise InvalidConfig(
            "linux.timeOffsets needs a new time namespace in linux.namespaces: add one, or remove"
            " the offsets."
        )
    _known("linux.timeOffsets", linux.time_offsets, _CLOCKS)
    if linux.net_devices:
        from runtime.network import host_devices

        if "network" not in kinds:
            raise InvalidConfig(
                "linux.netDevices needs a network namespace in linux.namespaces: add one."
            )
        host_devices.check(linux.net_devices)


def _check_mapped(kind: str, ids: Iterable[int], mappings: Iterable[IdMapping]) -> None:
    for number in ids:
        if not any(0 <= number - each.container_id < each.size for each in mappings):
            raise InvalidConfig(
                f"process.user: {kind} {number} is not mapped by linux.{kind}Mappings: add it, or"
                " choose another."
            )


def _check_mount(mount: Mount, linux: Linux) -> None:
    if not mount.destination:
        raise InvalidConfig("mounts: a destination is empty: give it an absolute path.")
    if normalized(mount.destination) == "/":
        raise InvalidConfig(
            f"mounts: the destination {mount.destination} is the root file system, which root.path"
            " names: mount below it."
        )
    options = MountOptions.of(mount.options)
    if options.is_bind and not mount.source:
        raise InvalidConfig(
            f"mounts: the bind mount at {mount.destination} has no source: name a path of the host."
        )
    if not options.is_bind and not mount.type and not options.flags & mounts.REMOUNT:
        raise InvalidConfig(
            f"mounts: the mount at {mount.destination} has no type: name a file system."
        )
    if mount.type in {"bind", "none"} and not options.flags & (mounts.BIND | mounts.REMOUNT):
        raise InvalidConfig(
            f"mounts: {mount.destination} has the type {mount.type} without the option bind or"
            " rbind: add the option, or give the type of a file system."
        )
    if len(options.data) > 4095:
        raise InvalidConfig(
            f"mounts: the options of {mount.destination} are longer than the 4095 bytes that"
            " mount(2) takes."
        )
    if bool(mount.uid_mappings) != bool(mount.gid_mappings):
        raise InvalidConfig(
            f"mounts: {mount.destination} needs both uidMappings and gidMappings, or neither."
        )
    if options.words & {"idmap", "ridmap"} or mount.uid_mappings:
        if not options.is_bind:
            raise InvalidConfig(
                f"mounts: {mount.destination}: only a bind mount can have its IDs mapped."
            )
        if not mount.uid_mappings and not linux.uid_mappings:
            raise InvalidConfig(
                f"mounts: {mount.destination} has the option idmap or ridmap and no mappings: add"
                " uidMappings and gidMappings, or a user namespace with mappings."
            )


def _check_linux(linux: Linux, warn: Callable[[str], object]) -> None:
    if linux.rootfs_propagation:
        _known("linux.rootfsPropagation", [linux.rootfs_propagation], PROPAGATIONS)
    _known("linux.devices", (device.type for device in linux.devices), KINDS)
    for device in linux.devices:
        if normalized(device.path) == "/":
            raise InvalidConfig(f"linux.devices: {device.path!r} can't be the path of a device.")
        if device.major < 0 or device.minor < 0:
            raise InvalidConfig(
                f"linux.devices: {device.path} has the number {device.major}:{device.minor}: both"
                " parts must be 0 or more."
            )
    if linux.personality:
        _known("linux.personality.domain", [linux.personality.domain], attributes.DOMAINS)
        _known("linux.personality.flags", linux.personality.flags, attributes.PERSONALITY_FLAGS)
    if linux.memory_policy:
        _known("linux.memoryPolicy.mode", [linux.memory_policy.mode], attributes.MEMORY_MODES)
        _known("linux.memoryPolicy.flags", linux.memory_policy.flags, attributes.MEMORY_FLAGS)
        _check_numbers("linux.memoryPolicy.nodes", linux.memory_policy.nodes)
    for path in (*linux.masked_paths, *linux.readonly_paths):
        if not path.startswith("/"):
            raise InvalidConfig(
                f"linux.maskedPaths, linux.readonlyPaths: {path!r} must be an absolute path."
            )
    if linux.seccomp and linux.seccomp.listener_metadata and not linux.seccomp.listener_path:
        raise InvalidConfig(
            "linux.seccomp.listenerMetadata is sent to linux.seccomp.listenerPath, which is"
            " missing: add it."
        )
    if linux.intel_rdt and not os.path.exists("/sys/fs/resctrl/schemata"):
        raise Unavailable(
            "linux.intelRdt needs resctrl, which is not mounted at /sys/fs/resctrl: mount it, or"
            " leave linux.intelRdt out."
        )
    listener = linux.seccomp.listener_path if linux.seccomp and notifies(linux.seccomp) else ""
    if listener and not os.path.exists(listener):
        raise Unavailable(
            f"linux.seccomp.listenerPath: there is no socket at {listener}: start the seccomp"
            " agent."
        )
    if linux.mount_label and not has_selinux():
        warn("linux.mountLabel: this host has no SELinux; the label is left out.")


def _check_names(spec: Spec) -> None:
    if "" in spec.annotations:
        raise InvalidConfig("annotations: a key is empty: name it, or remove it.")
    kinds = {namespace.type for namespace in spec.linux.namespaces}
    for field, name in (("hostname", spec.hostname), ("domainname", spec.domainname)):
        if name and "uts" not in kinds:
            raise InvalidConfig(
                f"{field} needs a uts namespace in linux.namespaces, else it would change the"
                " host's name: add one, or remove it."
            )
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise InvalidConfig(f"{field} has more than {_LONGEST_NAME} bytes: shorten it.")


def _check_hooks(spec: Spec) -> None:
    hooks = spec.hooks
    for hook in (
        *hooks.prestart, *hooks.create_runtime, *hooks.create_container,
        *hooks.start_container, *hooks.poststart, *hooks.poststop,
    ):  # fmt: skip
        if not hook.path.startswith("/"):
            raise InvalidConfig(f"hooks: the path {hook.path!r} must be an absolute path.")
        if hook.timeout is not None and hook.timeout <= 0:
            raise InvalidConfig(
                f"hooks: the timeout of {hook.path} is {hook.timeout}: it must be above 0 seconds."
            )


def _check_numbers(field: str, text: str) -> None:
    try:
        attributes.numbers(text)
    except InvalidConfig as error:
        raise InvalidConfig(f"{field}: {error}") from None


def _known(field: str, words: Iterable[str], known: Container[str]) -> None:
    for word in words:
        if word not in known:
            raise InvalidConfig(f"{field}: there is no {word!r}: see the OCI runtime-spec.")
