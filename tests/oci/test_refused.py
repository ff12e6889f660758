"""Configurations that MUST be an error: no container is created, and the host is unchanged.

config.md and config-linux.md: "the runtime MUST generate an error", "MUST be", "Valid values".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.oci.driver import Bundle

NET = {"type": "network"}
MAPPING = [{"containerID": 0, "hostID": 1000, "size": 1}]

# The place in config.json, the value for it, and the sentence of the specification.
PLACES: list[tuple[str, Any, str]] = [
    ("ociVersion", "not.a.version", "Specification version: MUST be in SemVer format"),
    ("root.path", "no-such-directory", "Root: a directory MUST exist at the path"),
    ("root.path", "config.json", "Root: a directory MUST exist at the path"),
    ("process.cwd", "relative/path", "Process: cwd MUST be an absolute path"),
    ("process.args", [], "Process: args needs at least one entry"),
    ("process.rlimits", [{"type": "RLIMIT_NONE", "soft": 1, "hard": 1}],
     "POSIX process: values which cannot be mapped to a kernel interface"),
    ("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2,
     "POSIX process: duplicated entries with same type"),
    ("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}],
     "Valid values: a soft limit above its hard one"),
    ("process.scheduler", {"policy": "SCHED_NONE"}, "Linux Process: valid policies are listed"),
    ("process.ioPriority", {"class": "IOPRIO_CLASS_NONE_SUCH", "priority": 0},
     "Linux Process: possible classes are listed"),
    ("linux.namespaces", [NET, NET], "Namespaces: duplicated namespaces with same type"),
    ("linux.namespaces", [{"type": "no-such"}], "Valid values: namespace types are listed"),
    ("linux.namespaces", [{"type": "mount"}, {"type": "network", "path": "/proc/self/ns/uts"}],
     "Namespaces: path is not associated with a namespace of type"),
    ("linux.namespaces", [{"type": "mount"}, {"type": "network", "path": "/etc/passwd"}],
     "Namespaces: path is not associated with a namespace of type"),
    ("linux.namespaces", [{"type": "mount"}, {"type": "network", "path": "/no/such/file"}],
     "Namespaces: path is not associated with a namespace of type"),
    ("linux.namespaces", [{"type": "mount"}, {"type": "network", "path": "relative"}],
     "Namespaces: path MUST be an absolute path"),
    ("linux.intelRdt", {"closID": "none-such"},
     "IntelRdt: an error if no mounted resctrl is available"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_NONE_SUCH"}, "Seccomp: actions are listed"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NONE"]},
     "Seccomp: architectures are listed"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["NO_SUCH_FLAG"]},
     "Seccomp: flags are listed"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1},
     "Seccomp: an errno for an action that takes none MUST print an error and fail"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getcwd"], "action": "SCMP_ACT_KILL", "errnoRet": 1}]},
     "Seccomp: an errno for an action that takes none MUST print an error and fail"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": [], "action": "SCMP_ACT_KILL"}]},
     "Seccomp: names MUST contain at least one entry"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"},
     "Seccomp: listenerMetadata MUST NOT be set if listenerPath is not set"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/such/socket",
                       "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_NOTIFY"}]},
     "Seccomp: if sending to the socket fails"),
    ("linux.rootfsPropagation", "none-such", "Rootfs Mount Propagation: its values are listed"),
    ("linux.maskedPaths", ["relative/path"], "Masked Paths: MUST be absolute paths"),
    ("linux.readonlyPaths", ["relative/path"], "Readonly Paths: MUST be absolute paths"),
    ("linux.personality", {"domain": "MULTICS"}, "Personality: the constants are listed"),
    ("linux.memoryPolicy", {"mode": "MPOL_NONE_SUCH"}, "Memory policy: the modes are listed"),
    ("linux.devices", [{"path": "/dev/x", "type": "z", "major": 1, "minor": 1}],
     "Devices: the types are listed"),
    ("linux.devices", [{"path": "/etc/passwd", "type": "c", "major": 1, "minor": 3}],
     "Devices: a file at path that does not match MUST generate an error"),
    ("linux.sysctl", {"no.such.parameter": "1"}, "Sysctl, Create: what can't be applied"),
    ("linux.timeOffsets", {"no-such-clock": {"secs": 1}}, "Time: the clocks are the kernel's"),
    ("linux.netDevices", {"no-such-device": {}}, "Network Devices: MUST check the move"),
    ("linux.resources", {"unified": {"no_such_controller.max": "1"}},
     "Unified: a controller that is not present"),
    ("linux.resources", {"unified": {"../escape": "1"}}, "Unified: a key is a file of the cgroup"),
    ("hooks", {"createRuntime": [{"path": "bin/true"}]}, "Hooks: path MUST be absolute"),
    ("hooks", {"createRuntime": [{"path": "/bin/true", "timeout": 0}]},
     "Hooks: timeout MUST be greater than zero"),
    ("hooks", {"createRuntime": [{"path": "/bin/true", "timeout": -1}]},
     "Hooks: timeout MUST be greater than zero"),
    ("hooks", {"createRuntime": [{"path": "/no/such/hook"}]}, "Hooks: path MUST resolve"),
    ("annotations", {"": "a value"}, "Annotations: keys MUST NOT be an empty string"),
    ("annotations", {"key": 1}, "Annotations: values MUST be strings"),
    ("annotations", ["key"], "Annotations: MUST be a key-value map"),
    ("process.user.uid", -1, "Valid values: an id below zero"),
    ("process.terminal", "yes", "Valid values: a string is no boolean"),
    ("hostname", 7, "Valid values: a number is no string"),
    ("mounts", [{"destination": "/m", "type": "bind", "source": "/no/such/source",
                 "options": ["bind"]}], "Create: what can't be applied"),
    ("mounts", [{"destination": "/m", "type": "tmpfs", "source": "tmpfs",
                 "options": ["no-such-option=1"]}],
     "Linux mount options: unknown ones go to the file system, which refuses them"),
    ("mounts", [{"destination": "/m", "type": "bind", "source": "/etc", "uidMappings": MAPPING,
                 "options": ["bind", "idmap"]}],
     "POSIX-platform Mounts: uidMappings MUST be specified along with gidMappings"),
    ("mounts", [{"destination": "/m", "type": "bind", "source": "/etc", "gidMappings": MAPPING,
                 "options": ["bind", "idmap"]}],
     "POSIX-platform Mounts: gidMappings MUST be specified along with uidMappings"),
    ("mounts", [{"destination": "/m", "type": "bind", "source": "/etc",
                 "options": ["bind", "idmap"]}],
     "Linux mount options: idmap without mappings and without a user namespace"),
]  # fmt: skip


def name_of(place: tuple[str, Any, str]) -> str:
    return f"{place[0]}-{place[2].partition(':')[0]}"


@pytest.mark.parametrize(("where", "value", "sentence"), PLACES, ids=map(name_of, PLACES))
def test_what_is_invalid_is_refused(
    bundle: Bundle, where: str, value: object, sentence: str
) -> None:
    *parts, last = where.split(".")
    place = bundle.config
    for part in parts:
        place = place[part]
    place[last] = [*place["mounts"], *value] if where == "mounts" else value  # type: ignore[misc]
    assert "Traceback" not in bundle.refused(), sentence


@pytest.mark.parametrize("where", ["ociVersion", "root"])
def test_what_is_required_is_missed(bundle: Bundle, where: str) -> None:
    """config.md: REQUIRED fields must be present."""
    del bundle.config[where]
    assert "Traceback" not in bundle.refused()


@pytest.mark.parametrize("where", ["", "process", "linux", "root", "process.user"])
def test_what_is_unknown_is_ignored(bundle: Bundle, where: str) -> None:
    """config.md, Extensibility: unknown properties MUST be ignored, and are no error."""
    place = bundle.config
    for part in filter(None, where.split(".")):
        place = place[part]
    place["noSuchProperty"] = {"at": ["all"]}
    bundle.shell("echo ran")
    result = bundle.run()
    assert result, result.stderr
    assert result.stdout == "ran\n"


def test_unknown_annotations_are_kept(bundle: Bundle) -> None:
    """config.md, Annotations: unknown keys are no error; values MAY be empty."""
    bundle.config["annotations"] = {"org.example.unknown": "", "run.oci.none": "1"}
    assert bundle.created().state()["annotations"] == bundle.config["annotations"]


def test_capabilities_that_cannot_be_granted_are_warned_about(bundle: Bundle) -> None:
    """config.md, Linux Process: MUST be logged as a warning; the runtime SHOULD NOT fail."""
    names = ["CAP_KILL", "CAP_NO_SUCH_THING"]
    bundle.process["capabilities"] = {"bounding": names, "effective": names, "permitted": names}
    bundle.shell("grep CapBnd /proc/self/status")
    result = bundle.run()
    assert result, result.stderr
    assert int(result.stdout.split()[1], 16) == 1 << 5
    assert "CAP_NO_SUCH_THING" in result.stderr


def test_no_process_at_create_is_allowed(bundle: Bundle) -> None:
    """config.md, Process: REQUIRED when start is called; create may accept a bundle without it."""
    del bundle.config["process"]
    result = bundle.create()
    assert result or result.stderr.strip()
