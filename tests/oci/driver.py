"""An OCI runtime by its command line, and bundles for it: what the tests drive.

Every container has a bundle of its own, whose root file system is an overlay over the common user
land, and a cgroup that bears its id. What a test makes is removed after it, whatever became of it,
and `Runtime.left` tells what the runtime itself did not remove.
"""

from __future__ import annotations

import copy
import ctypes
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Config = dict[str, Any]
CGROUPS = Path("/sys/fs/cgroup")
INSIDE = Path(__file__).with_name("inside.py")
DEADLINE_SECONDS = 30.0
_SET_CHILD_SUBREAPER = 36
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
class Done:
    """What a command of the runtime ended with."""

    exit_code: int
    stdout: str
    stderr: str

    def __bool__(self) -> bool:
        return self.exit_code == 0


@dataclass
class Bundle:
    """A bundle and the id of the one container that is made of it; `config` is what is written."""

    runtime: Runtime
    identity: str
    path: Path
    config: Config = field(default_factory=lambda: copy.deepcopy(BASE))

    @property
    def rootfs(self) -> Path:
        return self.path / "rootfs"

    @property
    def process(self) -> Config:
        found: Config = self.config["process"]
        return found

    @property
    def linux(self) -> Config:
        found: Config = self.config["linux"]
        return found

    def shell(self, script: str) -> None:
        """Let the container run a script."""
        self.process["args"] = ["/bin/sh", "-c", script]

    def look(self, *paths: str) -> None:
        """Let the container report on itself, and on these paths."""
        self.process["args"] = [*PYTHON, *paths]

    def namespace(self, kind: str, path: str | None = None) -> None:
        """Ask for a namespace, in the place of one of that type."""
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
        """What the container wrote on its standard output."""
        return (self.path / "stdout").read_text(errors="replace")

    def errors(self) -> str:
        return (self.path / "stderr").read_text(errors="replace")

    # The operations, by the command line that runc and crun share.

    def create(self, *words: str, write: bool = True) -> Done:
        return self._start("create", words, write)

    def run(self, *words: str) -> Done:
        if self.runtime.apart and not words:
            return self._run_apart()
        return self._start("run", words, write=True)

    def _run_apart(self) -> Done:
        """What `run` does, by create, start and delete, and the exit code of the first process.

        That is this process's to wait for meanwhile, since `create` has ended.
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
        said = self.errors() + started.stderr
        if started:
            said += self.delete("--force").stderr
        code = started.exit_code or (code if code >= 0 else 128 - code)
        return Done(code, self.output(), said)

    def _start(self, verb: str, words: tuple[str, ...], write: bool) -> Done:
        """What the runtime says and what the container writes go into files, not into pipes.

        A pipe would keep `create` from being seen to end, since the container holds it too.
        """
        if write:
            self.write()
        exit_code = self.runtime.run(
            verb, *words, "--bundle", str(self.path), self.identity, into=self.path
        )
        return Done(exit_code, self.output(), self.errors())

    def start(self) -> Done:
        return self.runtime.tell("start", self.identity)

    def kill(self, name: str = "KILL", *words: str) -> Done:
        return self.runtime.tell("kill", *words, self.identity, name)

    def delete(self, *words: str) -> Done:
        return self.runtime.tell("delete", *words, self.identity)

    def exec(self, *words: str) -> Done:
        return self.runtime.tell("exec", *words)

    def state(self) -> Config:
        """Its state; {} if the runtime knows of no such container."""
        said = self.runtime.tell("state", self.identity)
        if not said:
            return {}
        state: Config = json.loads(said.stdout)
        return state

    # What the tests ask in one line.

    def created(self) -> Bundle:
        done = self.create()
        assert done, done.stderr
        return self

    def running(self, script: str = "sleep 60") -> Bundle:
        """A container that runs a script, by default one that waits."""
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
        """Wait until it has that status."""
        waited_for(lambda: self.state().get("status") == status, f"{self.identity} {status}")

    def report(self, *paths: str) -> Config:
        """What a container of this bundle finds inside of itself."""
        self.look(*paths)
        done = self.run()
        assert done, done.stderr
        found: Config = json.loads(done.stdout)
        return found

    def refused(self) -> str:
        """The words with which the runtime refuses to make the container.

        Fails if it makes it, if it leaves any of it, or if it says nothing.
        """
        done = self.create()
        left = self.runtime.left(self.identity)
        assert not done, f"{self.runtime} made the container"
        assert not left, left
        assert done.stderr.strip() or done.stdout.strip(), "it says nothing"
        return done.stderr


@dataclass
class Runtime:
    """A runtime with a state directory of its own."""

    command: str
    scratch: Path
    tree: Path
    apart: bool = False  # containers are run by create, start and delete
    bundles: list[Bundle] = field(default_factory=list)
    made: int = 0

    def __str__(self) -> str:
        return Path(self.command).name

    @property
    def root(self) -> Path:
        return self.scratch / "state"

    def bundle(self) -> Bundle:
        """A new bundle, its root file system mounted."""
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
        """Run a command whose output goes to files in a directory; its exit code."""
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

    def tell(self, *words: str) -> Done:
        """Run a command that starts no container."""
        done = subprocess.run(
            [self.command, "--root", str(self.root), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=False,
            text=True,
            errors="replace",
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def left(self, identity: str) -> list[str]:
        """What of a container is still on the host."""
        state = [str(path) for path in self.root.glob(f"{identity}*")]
        return state + [str(path) for path in cgroups_of(identity)]

    def remove(self) -> None:
        """End and remove what the test made, its bundles included."""
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
    """Have what our children leave become our own children. (PR_SET_CHILD_SUBREAPER)"""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        assert libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


def cgroups_of(identity: str) -> list[Path]:
    """The cgroup directories that bear its id, in every hierarchy, the innermost first."""
    roots = [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())]
    tops = {top for root in roots for top in root.glob(f"*{identity}*") if top.is_dir()}
    return sorted(
        {Path(directory) for top in tops for directory, _, _ in os.walk(top)}, reverse=True
    )


def mounts_of_host() -> list[str]:
    """What is mounted on the host, where and with what propagation, but for other tests' places."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    ours = f"/oci-{os.getpid()}/"
    return sorted(
        " ".join(line.split()[2:]) for line in lines if "tonnage" not in line or ours in line
    )


def namespace_of(pid: int | str, name: str) -> str:
    """Which namespace a process is in. (namespaces(7))"""
    return str(Path(f"/proc/{pid}/ns/{name}").readlink())


def waited_for(happened: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
    """Poll until something has happened; fail if it has not."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


def sleeps(pid: int) -> bool:
    """Return True if a process is sleep(1) and waits: what its loader opened is closed by then."""
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
