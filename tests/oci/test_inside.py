"""config.md and config-linux.md: one container with a rich configuration reports on itself.

All settings that can be combined are in one configuration, so that one start is enough.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.oci.driver import namespace_of

if TYPE_CHECKING:
    from tests.oci.driver import Runtime

BOUNDING = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_DAC_OVERRIDE"]
NUMBERS = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7,
           "CAP_NET_RAW": 13}  # fmt: skip
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
           "tty": (5, 0)}  # fmt: skip
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
         "stderr": "/proc/self/fd/2"}  # fmt: skip
LOOKED_AT = ["/proc/kcore", "/proc/sys/kernel/shm_rmid_forced",
             "/proc/sys/net/ipv4/ip_default_ttl", "/devices/inner", "/dev/fuse", "/masked-file",
             "/masked-directory", "/readonly-directory", "/first", "/first/second", "/relative",
             "/bound/file", "/bound-file", "/created"]  # fmt: skip
Seen = dict[str, Any]


@pytest.fixture(scope="module")
def seen(installed: Runtime) -> Seen:
    bundle = installed.bundle()
    for name in ("bound/inner", "over/second"):
        (bundle.path / name).mkdir(parents=True)
    (bundle.path / "bound/file").write_text("from the bundle\n")
    (bundle.rootfs / "masked-file").write_text("secret")
    for name in ("masked-directory", "readonly-directory"):
        (bundle.rootfs / name).mkdir()
        (bundle.rootfs / name / "inner").write_text("inner")
    bundle.config["domainname"] = "conformance.test"
    bundle.mount("/first", "tmpfs", "tmpfs", "mode=711")
    bundle.mount("/first/second", "tmpfs", "tmpfs", "mode=722")
    bundle.mount("relative", "tmpfs", "tmpfs", "size=64k")
    bundle.mount("/bound", "none", "bound", "rbind", "ro")
    bundle.mount("/bound-file", "bind", str(bundle.path / "bound/file"), "bind")
    bundle.process.update(
        cwd="/created",
        env=["PATH=/usr/bin:/bin", "EMPTY=", "WITH=an = sign"],
        user={"uid": 0, "gid": 7, "umask": 0o027, "additionalGids": [5, 6]},
        capabilities={
            "bounding": BOUNDING,
            "permitted": BOUNDING[:5],
            "effective": BOUNDING[:4],
            "inheritable": BOUNDING[:2],
            "ambient": BOUNDING[:1],
        },
        noNewPrivileges=True,
        oomScoreAdj=321,
        rlimits=[
            {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_STACK", "soft": 1 << 22, "hard": 1 << 23},
        ],
        consoleSize={"height": 10, "width": 20},
    )
    bundle.linux.update(
        devices=[
            {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640,
             "uid": 3, "gid": 4},
            {"path": "/devices/inner", "type": "b", "major": 7, "minor": 0, "fileMode": 0o600},
        ],
        sysctl={"net.ipv4.ip_default_ttl": "77", "kernel.shm_rmid_forced": "1"},
        maskedPaths=["/proc/kcore", "/masked-file", "/masked-directory", "/no/such/path"],
        readonlyPaths=["/proc/sys", "/readonly-directory", "/no/such/path"],
    )  # fmt: skip
    report = bundle.report(*LOOKED_AT)
    installed.remove()
    return report


def capabilities(seen: Seen, name: str) -> set[str]:
    mask = int(seen["status"][name], 16)
    return {capability for capability, number in NUMBERS.items() if mask >> number & 1} | {
        f"number {number}" for number in range(64)
        if mask >> number & 1 and number not in NUMBERS.values()
    }  # fmt: skip


def mount(seen: Seen, destination: str) -> Seen:
    observed: Seen = [each for each in seen["mounts"] if each["destination"] == destination][-1]
    return observed


def test_process_args_and_env(seen: Seen) -> None:
    """config.md, Process: the program gets args and env, with nothing added."""
    assert seen["args"] == LOOKED_AT
    env = {name: value for name, value in seen["env"].items() if name not in {"LC_CTYPE"}}
    env.pop("HOME", None)  # runc and crun add HOME; the specification does not forbid it
    assert env == {"PATH": "/usr/bin:/bin", "EMPTY": "", "WITH": "an = sign"}


def test_process_cwd(seen: Seen) -> None:
    """config.md, Process: cwd is the working directory, and is made if it is missing."""
    assert seen["cwd"] == "/created"
    assert seen["paths"]["/created"]["type"] == "d"


def test_console_size_without_a_terminal_is_ignored(seen: Seen) -> None:
    """config.md, Process: consoleSize MUST be ignored if terminal is false."""
    assert seen["terminal"] is None


def test_user(seen: Seen) -> None:
    """config.md, POSIX-platform User: uid, gid and additionalGids."""
    assert seen["status"]["Uid"].split() == ["0"] * 4
    assert seen["status"]["Gid"].split() == ["7"] * 4
    assert set(seen["status"]["Groups"].split()) - {"7"} == {"5", "6"}


def test_umask(seen: Seen) -> None:
    """config.md, POSIX-platform User: umask."""
    assert seen["umask"] == 0o027


@pytest.mark.parametrize(
    ("name", "granted"),
    [
        ("CapBnd", BOUNDING),
        ("CapPrm", BOUNDING[:5]),
        ("CapEff", BOUNDING[:4]),
        ("CapInh", BOUNDING[:2]),
        ("CapAmb", BOUNDING[:1]),
    ],
)
def test_capabilities(seen: Seen, name: str, granted: list[str]) -> None:
    """config.md, Linux Process: each of the five sets is preserved.

    The program runs as root, so exec(2) makes the permitted set effective. (capabilities(7),
    "Capabilities and execution of programs by root")
    """
    expected = BOUNDING[:5] if name == "CapEff" else granted
    assert capabilities(seen, name) == set(expected)


def test_no_new_privileges(seen: Seen) -> None:
    """config.md, Linux Process: noNewPrivileges."""
    assert seen["status"]["NoNewPrivs"].strip() == "1"


def test_oom_score_adj(seen: Seen) -> None:
    """config.md, Linux Process: oom_score_adj MUST be the value that is set."""
    assert seen["oom_score_adj"] == 321


def test_rlimits(seen: Seen) -> None:
    """config.md, POSIX process: rlim_cur and rlim_max MUST match soft and hard."""
    assert seen["limits"]["RLIMIT_NOFILE"] == [100, 200]
    assert seen["limits"]["RLIMIT_CORE"] == [0, 0]
    assert seen["limits"]["RLIMIT_STACK"] == [1 << 22, 1 << 23]


def test_hostname(seen: Seen) -> None:
    """config.md, Hostname: as processes inside see it."""
    assert seen["hostname"] == "conformance"


def test_domainname(seen: Seen) -> None:
    """config.md, Domainname: as processes inside see it."""
    assert seen["domainname"] == "conformance.test"


def test_mounts_are_made_in_the_listed_order(seen: Seen) -> None:
    """config.md, Mounts: entries MUST be mounted in the listed order."""
    order = [each["destination"] for each in seen["mounts"]]
    assert order.index("/first") < order.index("/first/second")
    assert seen["paths"]["/first"]["mode"] == 0o711
    assert seen["paths"]["/first/second"]["mode"] == 0o722


def test_a_relative_destination_is_below_the_root(seen: Seen) -> None:
    """config.md, Mounts: a relative destination MUST be interpreted as relative to /."""
    assert mount(seen, "/relative")["type"] == "tmpfs"
    assert "size=64k" in mount(seen, "/relative")["superblock"]


def test_a_relative_source_is_below_the_bundle(seen: Seen) -> None:
    """config.md, Mounts: sources of bind mounts are absolute or relative to the bundle."""
    assert seen["paths"]["/bound/file"]["holds"] == "from the bundle\n"
    assert seen["paths"]["/bound/file"]["writable"] is False
    assert "ro" in mount(seen, "/bound")["options"]


def test_a_file_is_bound_where_there_was_none(seen: Seen) -> None:
    """config.md, Mounts: a source may be a file; its destination is created."""
    assert seen["paths"]["/bound-file"]["holds"] == "from the bundle\n"
    assert seen["paths"]["/bound-file"]["writable"] is True


def test_default_file_systems(seen: Seen) -> None:
    """config-linux.md, Default Filesystems: /proc, /sys, /dev/pts and /dev/shm."""
    kinds = {"/proc": "proc", "/sys": "sysfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs"}
    assert {path: mount(seen, path)["type"] for path in kinds} == kinds


@pytest.mark.parametrize("name", DEVICES)
def test_default_devices(seen: Seen, name: str) -> None:
    """config-linux.md, Default Devices: the runtime MUST supply each of them, usable by all."""
    device = seen["paths"][f"/dev/{name}"]
    assert (device["type"], tuple(device["device"])) == ("c", DEVICES[name])
    assert device["mode"] == 0o666


def test_ptmx_is_that_of_the_containers_own_devpts(seen: Seen) -> None:
    """config-linux.md, Default Devices: /dev/ptmx, a bind mount or a link of /dev/pts/ptmx."""
    ptmx = seen["paths"]["/dev/ptmx"]
    linked = ptmx.get("link") in {"pts/ptmx", "/dev/pts/ptmx"}
    assert linked or mount(seen, "/dev/ptmx")["type"] == "devpts"


def test_no_console_without_a_terminal(seen: Seen) -> None:
    """config-linux.md, Default Devices: /dev/console is set up if terminal is enabled."""
    assert "error" in seen["paths"]["/dev/console"]


@pytest.mark.parametrize("name", LINKS)
def test_dev_symbolic_links(seen: Seen, name: str) -> None:
    """runtime-linux.md, Dev symbolic links: each MUST be made."""
    assert seen["paths"][f"/dev/{name}"]["link"] == LINKS[name]


def test_only_the_three_streams_are_open(seen: Seen) -> None:
    """runtime-linux.md, File descriptors: only stdin, stdout and stderr are kept open."""
    assert set(seen["descriptors"]) == {"0", "1", "2"}


def test_devices(seen: Seen) -> None:
    """config-linux.md, Devices: they MUST be available, with the configured properties."""
    fuse, inner = seen["paths"]["/dev/fuse"], seen["paths"]["/devices/inner"]
    assert (fuse["type"], fuse["device"]) == ("c", [10, 229])
    assert (fuse["mode"], fuse["uid"], fuse["gid"]) == (0o640, 3, 4)
    assert (inner["type"], inner["device"], inner["mode"]) == ("b", [7, 0], 0o600)


def test_sysctl(seen: Seen) -> None:
    """config-linux.md, Sysctl: kernel parameters are set for the container."""
    assert seen["paths"]["/proc/sys/net/ipv4/ip_default_ttl"]["holds"] == "77\n"
    assert seen["paths"]["/proc/sys/kernel/shm_rmid_forced"]["holds"] == "1\n"


def test_masked_paths(seen: Seen) -> None:
    """config-linux.md, Masked Paths: they can't be read."""
    paths = seen["paths"]
    for path in ("/proc/kcore", "/masked-file"):
        assert paths[path].get("holds", "") == ""
    assert not paths["/masked-directory"].get("holds")


def test_readonly_paths(seen: Seen) -> None:
    """config-linux.md, Readonly Paths: they can't be written to."""
    paths = seen["paths"]
    assert paths["/readonly-directory"] == {**paths["/readonly-directory"], "writable": False}
    assert paths["/readonly-directory"]["holds"] == ["inner"]
    assert paths["/proc/sys/kernel/shm_rmid_forced"]["writable"] is False


def test_namespaces_are_new(seen: Seen) -> None:
    """config-linux.md, Namespaces: without a path a new one MUST be made; others are inherited."""

    for name, observed in seen["namespaces"].items():
        own = namespace_of("self", name)
        assert (observed == own) == (name in {"cgroup", "time", "user"}), name


def test_the_first_process_of_a_pid_namespace(seen: Seen) -> None:
    """config-linux.md, Namespaces: processes in a new PID namespace see only each other."""
    assert seen["pid"] == 1


def test_a_new_network_namespace_has_a_loopback(seen: Seen) -> None:
    """config-linux.md, Namespaces: the container has its own network stack."""
    assert "lo" in seen["interfaces"]
    assert not any(re.match(r"eth|ens|enp", name) for name in seen["interfaces"])
