"""A driver of OCI runtimes: their command line, and bundles for it.

Each container has its own bundle, whose root file system is an overlay over the common user land,
and a cgroup named after its id. Whatever a test makes is removed after it, even if it fails;
`Runtime.left` returns what the runtime itself did not remove.
"""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.linux import prctl
from tests import host_mounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Config = dict[str, Any]
CGROUPS = Path("/sys/fs/cgroup")
INSIDE = Path(__file__).with_name("inside.py")
DEADLINE_SECONDS = 30.0
PYTHON = ("/usr/bin/python3", "-I", "-S", "/inside.py")
CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
]  # fmt: skip
BASE: Config = {
    "ociVersion": "1.0.2",
    "root": {"path": "rootfs"},
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": list(PYTHON),
        "cwd": "/",
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        "capabilities": {
            "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
        },
    },
    "hostname": "conformance",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a command of the runtime."""

    exit_code: int
    stdout: str
    stderr: str

    def __bool__(self) -> bool:
        return self.exit_code == 0


@dataclass
class Bundle:
    """A bundle and the id of its one container; `config` is written to config.json."""

    runtime: Runtime
    identity: str
    path: Path
    config: Config = field(default_factory=lambda: copy.deepcopy(BASE))

    @property
    def rootfs(self) -> Path:
        return self.path / "rootfs"

    @property
    def process(self) -> Config:
        process: Config = self.config["process"]
        return process

    @property
    def linux(self) -> Config:
        linux: Config = self.config["linux"]
        return linux

    def shell(self, script: str) -> None:
        """Run a script in the container."""
        self.process["args"] = ["/bin/sh", "-c", script]

    def look(self, *paths: str) -> None:
        """Make the container report on itself and on these paths."""
        self.process["args"] = [*PYTHON, *paths]

    def namespace(self, kind: str, path: str | None = None) -> None:
        """Add a namespace to the configuration, replacing one of its type."""
        others = [each for each in self.linux["namespaces"] if each["type"] != kind]
        self.linux["namespaces"] = [*others, {"type": kind, **({"path": path} if path else {})}]

    def without_namespace(self, kind: str) -> None:
        self.linux["namespaces"] = [
            each for each in self.linux["namespaces"] if each["type"] != kind
        ]

    def mount(self, destination: str, kind: str, source: str, *options: str) -> None:
        self.config["mounts"].append(
            {"destination": destination, "type": kind, "source": source, "options": list(options)}
        )

    def write(self) -> None:
        (self.path / "config.json").write_text(json.dumps(self.config))

    def output(self) -> str:
        """Return what the container wrote to stdout."""
        return (self.path / "stdout").read_text(errors="replace")

    def errors(self) -> str:
        return (self.path / "stderr").read_text(errors="replace")

    # The operations, by the command line that runc and crun share.

    def create(self, *words: str, write: bool = True) -> Result:
        return self._start("create", words, write)

    def run(self, *words: str) -> Result:
        if self.runtime.apart and not words:
            return self._run_apart()
        return self._start("run", words, write=True)

    def _run_apart(self) -> Result:
        """Do the same as `run` by create, start and delete; return the first process's exit code.

        This process can wait for it, since `create` has ended.
        """
        with orphans_are_ours():
            made = self._start("create", (), write=True)
            if not made:
                return made
            pid = self.state()["pid"]
            started = self.start()
            if not started:
                self.delete("--force")
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        errors = self.errors() + started.stderr
        if started:
            errors += self.delete("--force").stderr
        code = started.exit_code or (code if code >= 0 else 128 - code)
        return Result(code, self.output(), errors)

    def _start(self, verb: str, words: tuple[str, ...], write: bool) -> Result:
        """Run a command with the output of the runtime and of the container in files, not pipes.

        The container holds the output open too, so with a pipe the end of `create` would go
        unnoticed.
        """
        if write:
            self.write()
        exit_code = self.runtime.run(
            verb, *words, "--bundle", str(self.path), self.identity, into=self.path
        )
        return Result(exit_code, self.output(), self.errors())

    def start(self) -> Result:
        return self.runtime.tell("start", self.identity)

    def kill(self, name: str = "KILL", *words: str) -> Result:
        return self.runtime.tell("kill", *words, self.identity, name)

    def delete(self, *words: str) -> Result:
        return self.runtime.tell("delete", *words, self.identity)

    def exec(self, *words: str) -> Result:
        return self.runtime.tell("exec", *words)

    def state(self) -> Config:
        """Return the container's state, or {} if the runtime does not know it."""
        result = self.runtime.tell("state", self.identity)
        if not result:
            return {}
        state: Config = json.loads(result.stdout)
        return state

    # Shortcuts for tests.

    def created(self) -> Bundle:
        result = self.create()
        assert result, result.stderr
        return self

    def running(self, script: str = "sleep 60") -> Bundle:
        """Return a running container with this script, which by default waits."""
        self.shell(script)
        self.created()
        started = self.start()
        assert started, started.stderr
        return self

    def stopped(self) -> Bundle:
        self.running("exit 0")
        self.wait("stopped")
        return self

    def wait(self, status: str) -> None:
        """Wait until the container has this status."""
        waited_for(lambda: self.state().get("status") == status, f"{self.identity} {status}")

    def report(self, *paths: str) -> Config:
        """Run a container of this bundle, and return its report on itself."""
        self.look(*paths)
        result = self.run()
        assert result, result.stderr
        report: Config = json.loads(result.stdout)
        return report

    def refused(self) -> str:
        """Return the error with which the runtime refuses to create the container.

        Fail if it creates the container, leaves anything of it, or prints nothing.
        """
        result = self.create()
        left = self.runtime.left(self.identity)
        assert not result, f"{self.runtime} made the container"
        assert not left, left
        assert result.stderr.strip() or result.stdout.strip(), "the error has no text"
        return result.stderr


@dataclass
class Runtime:
    """A runtime with its own state directory."""

    command: str
    scratch: Path
    tree: Path
    apart: bool = False  # replace `run` by create, start and delete
    bundles: list[Bundle] = field(default_factory=list)
    made: int = 0

    def __str__(self) -> str:
        return Path(self.command).name

    @property
    def root(self) -> Path:
        return self.scratch / "state"

    def bundle(self) -> Bundle:
        """Return a new bundle with a mounted root file system."""
        identity = f"tonnage-oci-{os.getpid()}-{self.made}"
        self.made += 1
        path = self.scratch / identity
        for name in ("upper", "work", "rootfs"):
            (path / name).mkdir(parents=True)
        layers = f"lowerdir={self.tree},upperdir={path}/upper,workdir={path}/work"
        subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", layers, path / "rootfs"], check=True
        )
        (path / "rootfs/inside.py").write_text(INSIDE.read_text())
        bundle = Bundle(self, identity, path)
        bundle.linux["cgroupsPath"] = f"/{identity}"
        self.bundles.append(bundle)
        return bundle

    def run(self, *words: str, into: Path) -> int:
        """Run a command with its output in files of a directory; return its exit code."""
        with (into / "stdout").open("wb") as stdout, (into / "stderr").open("wb") as stderr:
            return subprocess.run(
                [self.command, "--root", str(self.root), *words],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=into,
                timeout=DEADLINE_SECONDS,
                check=False,
            ).returncode

    def tell(self, *words: str) -> Result:
        """Run a command that starts no container."""
        result = subprocess.run(
            [self.command, "--root", str(self.root), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=False,
            text=True,
            errors="replace",
        )
        return Result(result.returncode, result.stdout, result.stderr)

    def left(self, identity: str) -> list[str]:
        """Return what is left of a container on the host."""
        state = [str(path) for path in self.root.glob(f"{identity}*")]
        return state + [str(path) for path in cgroups_of(identity)]

    def remove(self) -> None:
        """Kill and remove everything the test made, bundles included."""
        for bundle in reversed(self.bundles):
            if bundle.state():
                bundle.delete("--force")
            _end_cgroups(bundle.identity)
            _unmount_below(bundle.path)
            subprocess.run(["rm", "-rf", "--one-file-system", bundle.path], check=True)
            subprocess.run(["rm", "-rf", self.root / bundle.identity], check=True)
        self.bundles.clear()


@contextmanager
def orphans_are_ours() -> Iterator[None]:
    """Make orphaned descendants our children. (prctl(2), PR_SET_CHILD_SUBREAPER)"""
    prctl.set_child_subreaper(True)
    try:
        yield
    finally:
        prctl.set_child_subreaper(False)


def cgroups_of(identity: str) -> list[Path]:
    """Return the cgroup directories with this id in every hierarchy, the innermost first."""
    roots = [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())]
    tops = {top for root in roots for top in root.glob(f"*{identity}*") if top.is_dir()}
    return sorted(
        {Path(directory) for top in tops for directory, _, _ in os.walk(top)}, reverse=True
    )


def mounts_of_host() -> list[str]:
    """Return the mounts of the host with their propagation, without those of other tests."""
    return host_mounts.mounts_of_host(f"/oci-{os.getpid()}/")


def namespace_of(pid: int | str, name: str) -> str:
    """Return the identity of a process's namespace. (namespaces(7))"""
    return str(Path(f"/proc/{pid}/ns/{name}").readlink())


def waited_for(happened: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
    """Poll until the condition is true; fail at the timeout."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(f"timeout after {seconds:g} s: {what}")
        time.sleep(0.01)


def sleeps(pid: int) -> bool:
    """Return True if a process is a waiting sleep(1), whose loader has closed its files."""
    status = Path(f"/proc/{pid}/status").read_text()
    return status.startswith("Name:\tsleep\n") and "\nState:\tS" in status


def _end_cgroups(identity: str) -> None:
    deadline = time.monotonic() + 5.0
    while left := cgroups_of(identity):
        for path in left:
            with suppress(OSError):
                for pid in (path / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            with suppress(OSError):
                path.rmdir()
        if time.monotonic() > deadline:
            pytest.fail(f"cgroups that can't be removed: {left}")
        time.sleep(0.005)


def _unmount_below(path: Path) -> None:
    for destination in sorted(_mounts_below(path), reverse=True):
        subprocess.run(["umount", "--lazy", destination], check=True)


def _mounts_below(path: Path) -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        destination = line.split()[1]
        if Path(destination).is_relative_to(path):
            yield destination
