"""The tools that are compared, each with private storage, and a registry on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.host import mount_namespace

OURS, OURS_UNSYNCED = "tonnage", "tonnage fast"
PODMAN, DOCKER, SKOPEO = "podman", "docker", "skopeo+umoci"
DEADLINE_SECONDS = 60.0
_FIXED = (
    "/etc/docker", "/opt/containerd", "/run/containerd", "/run/docker", "/dev/shm",
    "/var/lib/containers", "/run/crun", "/run/runc", "/run/containers", "/run/libpod",
)  # fmt: skip
_REGISTRY = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {directory}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True)
class Tool:
    """A tool: `pull` and `build` are its commands, and `forget` removes all of its images."""

    name: str
    pull: Callable[[str], list[list[str]]]
    build: Callable[[Path, bool], list[list[str]]]
    forget: Callable[[], None]


@contextmanager
def registry(directory: Path) -> Iterator[str]:
    """Run a registry that keeps its data in `directory`, and yield HOST:PORT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = directory / "config.yml"
    config.write_text(_REGISTRY.format(directory=directory / "data", port=port))
    with subprocess.Popen(
        ["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _await(lambda: _listens(port), "the registry")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def tools(directory: Path) -> Iterator[dict[str, Tool]]:
    """Yield the tools that are installed, in a private mount namespace."""
    with ExitStack() as stack:
        mount_namespace.enter_private_mount_namespace()
        for path in _FIXED:
            if Path(path).is_dir():
                mount_namespace.mount("tmpfs", Path(path), "mode=755")
        found = {
            OURS: _ours(OURS, directory / "ours", "safe"),
            OURS_UNSYNCED: _ours(OURS_UNSYNCED, directory / "unsynced", "fast"),
        }
        if shutil.which("podman"):
            found[PODMAN] = _podman(directory / "podman")
        if shutil.which("dockerd"):
            found[DOCKER] = _docker(stack.enter_context(_dockerd(directory / "docker")))
        if shutil.which("skopeo") and shutil.which("umoci"):
            found[SKOPEO] = _skopeo(directory / "skopeo")
        yield found


def timed(commands: list[list[str]]) -> tuple[float, float]:
    """Run commands one after the other. Return milliseconds and the largest MiB of a process."""
    peak_kib = 0
    t0_ns = time.monotonic_ns()
    for words in commands:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"{words}: {errors.decode(errors='replace')[-2000:]}"
        peak_kib = max(peak_kib, usage.ru_maxrss)
    return (time.monotonic_ns() - t0_ns) / 1e6, peak_kib / 1024


def _ours(name: str, store: Path, durability: str) -> Tool:
    words = [sys.executable, "-m", "lab", "image"]
    options = ["--store", str(store), "--durability", durability]

    def build(context: Path, cached: bool) -> list[list[str]]:
        return [[*words, "build", *options, *_uncached(cached), "-t", "built", str(context)]]

    return Tool(
        name,
        lambda image: [[*words, "pull", *options, image]],
        build,
        lambda: shutil.rmtree(store, ignore_errors=True),
    )


def _podman(directory: Path) -> Tool:
    words = [
        "podman", f"--root={directory}", "--runroot=/run/containers/b", "--tmpdir=/run/libpod",
        "--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=file",
    ]  # fmt: skip

    def build(context: Path, cached: bool) -> list[list[str]]:
        options = ["--layers", "--network=host", "--tls-verify=false", *_uncached(cached)]
        return [[*words, "build", *options, "-t", "built", str(context)]]

    return Tool(
        PODMAN,
        lambda name: [[*words, "pull", "--quiet", "--tls-verify=false", name]],
        build,
        lambda: _quietly([*words, "system", "reset", "--force"]),
    )


def _docker(host: str) -> Tool:
    words = ["docker", f"--host={host}"]

    def build(context: Path, cached: bool) -> list[list[str]]:
        return [
            [*words, "build", "--network=host", *_uncached(cached), "-t", "built", str(context)]
        ]

    return Tool(
        DOCKER,
        lambda name: [[*words, "pull", "--quiet", name]],
        build,
        lambda: _quietly([*words, "system", "prune", "--all", "--force"]),
    )


def _skopeo(directory: Path) -> Tool:
    layout = directory / "layout"

    def pull(name: str) -> list[list[str]]:
        source = ["--src-tls-verify=false", f"docker://{name}"]
        return [
            ["skopeo", "copy", "--quiet", *source, f"oci:{layout}:a"],
            ["umoci", "unpack", "--image", f"{layout}:a", str(directory / "bundle")],
        ]

    return Tool(SKOPEO, pull, lambda _, __: [], lambda: _emptied(directory))


def _uncached(cached: bool) -> list[str]:
    return [] if cached else ["--no-cache"]


@contextmanager
def _dockerd(directory: Path) -> Iterator[str]:
    """Run a docker daemon without bridge and firewall rules, and yield its address."""
    directory.mkdir(parents=True)
    host = "unix:///run/docker/benchmark.sock"
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen(
            ["dockerd", f"--host={host}", f"--data-root={directory / 'data'}",
             "--exec-root=/run/docker/x", "--pidfile=/run/docker/pid", "--bridge=none",
             "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
             "--exec-opt=native.cgroupdriver=cgroupfs"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _await(
            lambda: subprocess.run(
                ["docker", f"--host={host}", "version"], capture_output=True, check=False
            ).returncode == 0,
            "dockerd",
        )  # fmt: skip
        yield host
    finally:
        daemon.terminate()
        daemon.wait(DEADLINE_SECONDS)


def _await(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not come up"
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _quietly(words: list[str]) -> None:
    subprocess.run(words, capture_output=True, check=False)


def _emptied(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
