"""podman and docker over an OCI runtime, isolated from the host's own installation of them.

An engine has its own mount namespace, where the fixed directories of its state are covered; its own
network namespace, where it makes its bridge and rules; and its own pid namespace, whose processes
end with its process 1. Its images and layers lie in a scratch directory, its cgroups below one
cgroup.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.paths import PAYLOAD_IN_TREE, cache_directory
from lab.targets import leftovers
from tests.oci.users import FIRST_ID, IDS, NOBODY, readable
from vms.storage import locks

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "tonnage-test"
DEADLINE_SECONDS = 60.0
# Directories that the engines use whatever their options.
COVERED = ("/dev/shm", "/etc/docker", "/opt/containerd", "/run/containerd", "/run/containers",
           "/run/crun", "/run/docker", "/run/libpod", "/run/netns", "/run/runc", "/var/lib/cni",
           "/var/lib/containers")  # fmt: skip
PROGRAMS = (
    "bash", "cat", "chmod", "dash", "dd", "echo", "env", "false", "grep", "head",
    "hostname", "id", "ls", "mkdir", "mknod", "nproc", "readlink", "rm", "sh",
    "sleep", "stat", "stty", "touch", "true", "tty", "uname",
)  # fmt: skip
# podman's default limits are above those of the host, which a test may not raise.
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


@dataclass(frozen=True)
class Engine:
    """An engine: `command` runs a verb of it in its namespaces, `enter` any other program."""

    name: str
    command: tuple[str, ...]
    enter: tuple[str, ...]
    run_options: tuple[str, ...]
    at_once: tuple[str, ...]  # options of `rm` and `stop`: kill without waiting
    scratch: Path

    def __call__(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a verb, and return its result."""
        return subprocess.run(
            [*self.command, *words],
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def output(self, *words: str) -> str:
        """Return the output of a verb, which must succeed."""
        result = self(*words)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def run_words(self, *words: str) -> tuple[str, ...]:
        """Return the arguments of `run` with the engine's options."""
        return ("run", *self.run_options, *words)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `run --rm` with these options, image and command."""
        return self(*self.run_words("--rm", *words))

    def prints(self, *words: str) -> str:
        """Return the output of `run --rm`, which must succeed."""
        return self.output(*self.run_words("--rm", *words))

    @contextmanager
    def container(self, *words: str, name: str = "one") -> Iterator[str]:
        """Run a container in the background, and yield its name."""
        self.output(*self.run_words("--detach", f"--name={name}", *words))
        try:
            yield name
        finally:
            self("rm", "--force", *self.at_once, name)

    def inspect(self, name: str) -> dict[str, Any]:
        """Return the document that `inspect` prints of a container."""
        (document,) = json.loads(self.output("container", "inspect", name))
        assert isinstance(document, dict)
        return document


@contextmanager
def started(name: str, image: Path, prefix: str) -> Iterator[Engine]:
    """Start an engine with a scratch directory of its own; skip the test if a program is missing.

    The directory lies on the disk of the user land, since an overlay's layers can't lie on every
    file system; its path is short, for the sockets in it.
    """
    runtime = runtime_under_test()
    if not runtime:
        pytest.skip("tonnage-oci is not installed")
    for program, package in PACKAGES[name].items():
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: apt-get install {package}")
    scratch = cache_directory() / f"{prefix}{os.getpid()}{name[0]}"
    scratch.mkdir()
    try:
        with START[name](runtime, scratch, image) as engine:
            yield engine
    finally:
        shutil.rmtree(scratch)


@contextmanager
def podman(runtime: Path, scratch: Path, image: Path) -> Iterator[Engine]:
    """Start podman with a store of its own."""
    family = f"tonnage-podman-{os.getpid()}"
    with _namespaces(family) as enter:
        command = (
            *enter,
            f"--wdns={scratch}",  # where conmon leaves a file when memory runs out
            "podman",
            f"--root={scratch}/root",
            "--runroot=/run/containers/storage",
            "--tmpdir=/run/libpod",
            f"--runtime={runtime}",
            "--storage-driver=overlay",
            "--cgroup-manager=cgroupfs",
            "--events-backend=file",
        )
        options = (*LIMITS, f"--cgroup-parent=/{family}", "--pull=never")
        engine = Engine("podman", command, enter, options, ("--time=0",), scratch)
        engine.output("import", "--quiet", str(image), IMAGE)
        yield engine
        engine("rm", "--force", "--all", *engine.at_once)


@contextmanager
def rootless_podman(runtime: Path, scratch: Path, image: Path) -> Iterator[Engine]:
    """Start rootless podman of a user with a range of ids, over a copy of the runtime."""
    scratch.chmod(0o755)
    own = {name: scratch / name for name in ("home", "run")}
    for path in own.values():
        path.mkdir(mode=0o700)
        os.chown(path, NOBODY, NOBODY)
    (scratch / "subid").write_text(f"nobody:{FIRST_ID}:{IDS}\n")
    shutil.copy(image, scratch / "image.tar")
    with _namespaces(f"tonnage-rootless-{os.getpid()}") as enter:
        for name in ("subuid", "subgid"):
            subprocess.run(
                [*enter, "mount", "--bind", scratch / "subid", f"/etc/{name}"], check=True
            )
        as_user = (
            *enter, "--wd=/", "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
            "--clear-groups", "env", f"XDG_RUNTIME_DIR={own['run']}",
            *(f"{each}={own['home']}" for each in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")),
        )  # fmt: skip
        command = (
            *as_user, "podman", f"--runtime={readable(str(runtime), scratch)}",
            "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file",
        )  # fmt: skip
        options = (*LIMITS, "--pull=never", "--network=none")
        engine = Engine("podman", command, as_user, options, ("--time=0",), scratch)
        engine.output("import", "--quiet", str(scratch / "image.tar"), IMAGE)
        yield engine
        engine("rm", "--force", "--all", *engine.at_once)


@contextmanager
def docker(runtime: Path, scratch: Path, image: Path) -> Iterator[Engine]:
    """Start dockerd, which calls the runtime through containerd's shim."""
    family = f"tonnage-docker-{os.getpid()}"
    with _namespaces(family) as enter:
        host = "unix:///run/docker/docker.sock"
        with (scratch / "dockerd.log").open("wb") as log:
            daemon = subprocess.Popen(
                [*enter, "dockerd", f"--host={host}", f"--data-root={scratch}/data",
                 "--exec-root=/run/docker", f"--pidfile={scratch}/dockerd.pid",
                 f"--cgroup-parent=/{family}", "--exec-opt=native.cgroupdriver=cgroupfs",
                 f"--add-runtime=tested={runtime}", "--default-runtime=tested"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        command = (*enter, "docker", f"--host={host}")
        engine = Engine("docker", command, enter, ("--pull=never",), (), scratch)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while engine("version").returncode:
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.fail((scratch / "dockerd.log").read_text()[-2000:])
            time.sleep(0.1)
        engine.output("import", str(image), IMAGE)
        yield engine
        daemon.terminate()  # ends nsenter alone; dockerd ends with its pid namespace
        daemon.wait()


@contextmanager
def _namespaces(family: str) -> Iterator[tuple[str, ...]]:
    """Make namespaces, and yield the command that enters them; their processes end with them."""
    with ExitStack() as stack:
        for path in map(Path, COVERED):
            if not path.exists():
                path.mkdir(parents=True)
                stack.callback(locks.remove_if_unused, path)
        stack.callback(_remove_cgroups, family)
        covers = "".join(f"mount -t tmpfs tonnage {path}\n" for path in COVERED)
        # The shell is process 1 of the namespace: it reaps orphans while it waits.
        script = f"set -e\n{covers}ip link set lo up\necho made\nwhile :; do sleep 1; done"
        holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        stack.callback(holder.wait)
        stack.callback(holder.send_signal, signal.SIGKILL)
        assert holder.stdout
        assert holder.stdout.readline() == b"made\n"
        (first,) = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        yield ("nsenter", f"--target={first}", "--mount", "--net", "--pid")


def _remove_cgroups(family: str) -> None:
    """Remove an engine's cgroups, once the processes of its namespaces have ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while list(Path("/sys/fs/cgroup").glob(f"*/{family}")) and time.monotonic() < deadline:
        leftovers.remove_cgroups(family)
        time.sleep(0.01)


def pack_image(tree: Path, target: Path) -> None:
    """Pack a small image of the common user land: a shell, some tools and their libraries."""
    programs = [f"/usr/bin/{name}" for name in PROGRAMS]
    linked = subprocess.run(
        ["chroot", tree, "ldd", *programs], capture_output=True, text=True, check=False
    ).stdout.split()
    libraries = {word for word in linked if word.startswith("/lib")}
    files = [*programs, *sorted(libraries), "/etc/passwd", "/etc/group", PAYLOAD_IN_TREE]
    with target.open("wb") as image:
        subprocess.run(
            ["chroot", tree, "tar", "--create", "--dereference", "--directory=/",
             *(path.lstrip("/") for path in files)],
            stdout=image, check=True,
        )  # fmt: skip


def runtime_under_test() -> Path | None:
    """Return the runtime of TONNAGE_OCI_RUNTIME, else ours; None if it is not installed."""
    named = os.environ.get("TONNAGE_OCI_RUNTIME")
    program = shutil.which(named) if named else str(Path(sys.executable).with_name("tonnage-oci"))
    return Path(program).absolute() if program and Path(program).exists() else None


START = {
    "podman": podman,
    "docker": docker,
    "rootless-podman": rootless_podman,
}
# The programs that an engine needs, and Debian's package of each.
PACKAGES = {
    "podman": {"podman": "podman"},
    "docker": {"dockerd": "docker.io"},
    "rootless-podman": {"podman": "podman", "newuidmap": "uidmap"},
}
