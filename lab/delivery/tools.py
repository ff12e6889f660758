"""Tools that deliver images, each with private storage: ours, podman, docker, skopeo with umoci.

A tool gives the commands that a user would type. They are run in a private mount namespace, where
the directories that the tools use whatever their options are empty (`FIXED`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.host.disk_usage import allocated_bytes
from lab.paths import PAYLOAD_IN_TREE
from lab.targets.containers import docker_daemon
from lab.targets.programs import absent_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.delivery.commands import Commands

FIXED = (
    "/etc/docker", "/opt/containerd", "/run/containerd", "/run/docker", "/dev/shm",
    "/var/lib/containers", "/run/crun", "/run/runc", "/run/containers", "/run/libpod",
)  # fmt: skip
_INSECURE = "--insecure-registry=127.0.0.0/8"  # for docker; today its default
_RUN_ROOT = "/run/containers/delivery"  # podman refuses a path of more than 50 characters
_BUILT = "built"
_ATTEMPTS, _PAUSE_SECONDS = 20, 0.1
_SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)


class Tool(ABC):
    """A tool, with its storage in `directory`; `family` names its cgroups and instances."""

    name: str
    builds = True

    def __init__(self, directory: Path, family: str) -> None:
        self.directory = directory
        self.family = family

    @abstractmethod
    def pull(self, image: str) -> Commands:
        """Return the commands that pull an image, until instances can use it."""

    @abstractmethod
    def push(self, image: str, destination: str) -> Commands:
        """Return the commands that push a pulled image under another name."""

    @abstractmethod
    def save(self, image: str, file: Path) -> Commands:
        """Return the commands that write an image to an archive."""

    @abstractmethod
    def load(self, file: Path) -> Commands:
        """Return the commands that read an archive, until instances can use the image."""

    def build(self, context: Path, *, cached: bool) -> Commands:
        """Return the commands that build the Dockerfile of a context, if the tool `builds`."""
        raise NotImplementedError

    @abstractmethod
    def image_id(self, image: str) -> str:
        """Return the digest of the image's configuration, as the tool knows it."""

    @abstractmethod
    def forget(self) -> None:
        """Remove all images of the tool."""

    def run_words(self, image: str) -> list[str]:
        """Return the command that runs the image's payload in the foreground, on the pipes."""
        raise NotImplementedError

    def stored_bytes(self) -> int:
        """Return the bytes on disk that the tool's images take."""
        return sum(_settled_bytes(path) for path in self.stores() if path.exists())

    def stores(self) -> list[Path]:
        """Return the directories of the tool's images."""
        return [self.directory]


class Ours(Tool):
    """`tonnage image`; an image is started in process, as the target `container` does."""

    name = "tonnage"

    def __init__(
        self, directory: Path, family: str, durability: Literal["safe", "fast"] = "safe"
    ) -> None:
        super().__init__(directory, family)
        self._options = (f"--store={directory}", f"--durability={durability}")

    def _image(self, verb: str, *words: str) -> Commands:
        return [[sys.executable, "-P", "-m", "lab", "image", verb, *self._options, *words]]

    def pull(self, image: str) -> Commands:
        """Return `image pull`."""
        return self._image("pull", image)

    def push(self, image: str, destination: str) -> Commands:
        """Return `image push`."""
        return self._image("push", image, destination)

    def save(self, image: str, file: Path) -> Commands:
        """Return `image save`."""
        return self._image("save", f"--output={file}", image)

    def load(self, file: Path) -> Commands:
        """Return `image load`."""
        return self._image("load", f"--input={file}")

    def build(self, context: Path, *, cached: bool) -> Commands:
        """Return `image build`."""
        return self._image("build", *_uncached(cached), "-t", _BUILT, str(context))

    def image_id(self, image: str) -> str:
        """Return the ID in the store."""
        from runtime.images.reference import parse
        from runtime.images.store import Store

        return Store(self.directory).image(str(parse(image))).id

    def layers(self, image: str) -> list[Path]:
        """Return the unpacked layers of an image, topmost first."""
        from runtime.images.reference import parse
        from runtime.images.store import Store

        store = Store(self.directory)
        return store.snapshots.layers(store.image(str(parse(image))).chain_ids)

    def forget(self) -> None:
        """Remove the store."""
        shutil.rmtree(self.directory, ignore_errors=True)


class Podman(Tool):
    """podman, with the overlay storage driver."""

    name = "podman"

    def __init__(self, directory: Path, family: str) -> None:
        super().__init__(directory, family)
        self._systemd = _SYSTEMD.is_dir()
        self._words = (
            "podman",
            f"--root={directory}",
            f"--runroot={_RUN_ROOT}",
            "--tmpdir=/run/libpod",
            f"--runtime={'crun' if shutil.which('crun') else 'runc'}",
            "--storage-driver=overlay",
            *(() if self._systemd else ("--cgroup-manager=cgroupfs", "--events-backend=file")),
        )

    def _podman(self, *words: str) -> list[str]:
        return [*self._words, *words]

    def _parent(self, use: str) -> tuple[str, ...]:
        """Return the option with a cgroup for one use: buildah itself enters the one it gets."""
        return () if self._systemd else (f"--cgroup-parent=/{self.family}-{use}",)

    def pull(self, image: str) -> Commands:
        """Return `podman pull`."""
        return [self._podman("pull", "--quiet", "--tls-verify=false", image)]

    def push(self, image: str, destination: str) -> Commands:
        """Return `podman push`."""
        return [self._podman("push", "--quiet", "--tls-verify=false", image, destination)]

    def save(self, image: str, file: Path) -> Commands:
        """Return `podman save`, in docker's format, its default."""
        return [self._podman("save", "--quiet", f"--output={file}", image)]

    def load(self, file: Path) -> Commands:
        """Return `podman load`."""
        return [self._podman("load", "--quiet", f"--input={file}")]

    def build(self, context: Path, *, cached: bool) -> Commands:
        """Return `podman build`, with the layers of each step kept, as docker does."""
        options = ("--layers", "--network=host", "--tls-verify=false", *self._parent("build"))
        return [
            self._podman("build", *options, *_uncached(cached), "-t", _BUILT, str(context)),
        ]

    def image_id(self, image: str) -> str:
        """Return the ID of `podman image inspect`."""
        return f"sha256:{_output(self._podman('image', 'inspect', '--format={{.Id}}', image))}"

    def run_words(self, image: str) -> list[str]:
        """Return `podman run`, with podman's limits lowered to those that need no privilege."""
        return self._podman(
            "run", "--rm", "--interactive", "--network=none", "--pull=never",
            "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", *self._parent("run"),
            image, PAYLOAD_IN_TREE, "serve", self.family,
        )  # fmt: skip

    def forget(self) -> None:
        """Remove all images: `system reset` has removed unrelated directories. (podman, 18349)"""
        _quietly(self._podman("rmi", "--all", "--force"))


class Docker(Tool):
    """docker, with a daemon of its own (lab.targets.containers.docker_daemon)."""

    name = "docker"

    def __init__(self, directory: Path, family: str, host: str) -> None:
        super().__init__(directory, family)
        self._host = host

    def stores(self) -> list[Path]:
        """Return the directories of layers and of what is known of them."""
        return [self.directory / "overlay2", self.directory / "image"]

    def _docker(self, *words: str) -> list[str]:
        return ["docker", f"--host={self._host}", *words]

    def pull(self, image: str) -> Commands:
        """Return `docker pull`."""
        return [self._docker("pull", "--quiet", image)]

    def push(self, image: str, destination: str) -> Commands:
        """Return `docker tag` and `docker push`."""
        return [
            self._docker("tag", image, destination),
            self._docker("push", "--quiet", destination),
        ]

    def save(self, image: str, file: Path) -> Commands:
        """Return `docker save`."""
        return [self._docker("save", f"--output={file}", image)]

    def load(self, file: Path) -> Commands:
        """Return `docker load`."""
        return [self._docker("load", "--quiet", f"--input={file}")]

    def build(self, context: Path, *, cached: bool) -> Commands:
        """Return `docker build`."""
        options = ("--network=host", *_uncached(cached))
        return [self._docker("build", *options, "-t", _BUILT, str(context))]

    def image_id(self, image: str) -> str:
        """Return the ID of `docker image inspect`."""
        return _output(self._docker("image", "inspect", "--format={{.Id}}", image))

    def run_words(self, image: str) -> list[str]:
        """Return `docker run`."""
        return self._docker(
            "run", "--rm", "--interactive", "--network=none", "--pull=never",
            image, PAYLOAD_IN_TREE, "serve", self.family,
        )  # fmt: skip

    def forget(self) -> None:
        """Remove all images and what builds have cached."""
        _quietly(self._docker("system", "prune", "--all", "--force"))


class Skopeo(Tool):
    """skopeo and umoci, which make a bundle for runc. They build no Dockerfile."""

    name = "skopeo+umoci"
    builds = False

    def __init__(self, directory: Path, family: str) -> None:
        super().__init__(directory, family)
        self._bundles = 0

    @property
    def bundle(self) -> Path:
        """The bundle that was unpacked last."""
        return self.directory / f"bundle-{self._bundles}"

    def _layout(self, image: str) -> str:
        return f"{self.directory}/layout:{_tag(image)}"

    def _unpacking(self, image: str) -> list[str]:
        self._bundles += 1
        return ["umoci", "unpack", "--image", self._layout(image), str(self.bundle)]

    def pull(self, image: str) -> Commands:
        """Return `skopeo copy` and `umoci unpack`, into a new bundle."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return [
            [*_COPY, "--src-tls-verify=false", f"docker://{image}", f"oci:{self._layout(image)}"],
            self._unpacking(image),
        ]

    def push(self, image: str, destination: str) -> Commands:
        """Return `skopeo copy` to the registry."""
        words = ["--dest-tls-verify=false", f"oci:{self._layout(image)}"]
        return [[*_COPY, *words, f"docker://{destination}"]]

    def save(self, image: str, file: Path) -> Commands:
        """Return `skopeo copy` to an OCI archive."""
        return [[*_COPY, f"oci:{self._layout(image)}", f"oci-archive:{file}:{_tag(image)}"]]

    def load(self, file: Path) -> Commands:
        """Return `skopeo copy` from an OCI archive, and `umoci unpack`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        layout = self._layout("loaded:1")
        return [[*_COPY, f"oci-archive:{file}", f"oci:{layout}"], self._unpacking("loaded:1")]

    def image_id(self, image: str) -> str:
        """Return the digest of the configuration in the layout."""
        layout = self.directory / "layout"
        index = json.loads((layout / "index.json").read_bytes())
        (digest,) = (
            each["digest"]
            for each in index["manifests"]
            if each["annotations"]["org.opencontainers.image.ref.name"] == _tag(image)
        )
        document = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
        identity: str = document["config"]["digest"]
        return identity

    def run_words(self, image: str) -> list[str]:
        """Return `runc run` with the last bundle, whose configuration gets no terminal."""
        path = self.bundle / "config.json"
        document = json.loads(path.read_bytes())
        document["process"] |= {"terminal": False, "args": [PAYLOAD_IN_TREE, "serve", self.family]}
        document["linux"]["cgroupsPath"] = f"/{self.family}-0"
        path.write_text(json.dumps(document), encoding="utf-8")
        state = self.directory / "state"
        bundle = ["--bundle", str(self.bundle), f"{self.family}-0"]
        return ["runc", "--root", str(state), "run", *bundle]

    def forget(self) -> None:
        """Remove the layout and all bundles."""
        shutil.rmtree(self.directory, ignore_errors=True)


_COPY = ("skopeo", "copy", "--quiet")


def absent(name: str) -> str:
    """Return the reason why a tool can't be used here; empty if it can. Ours always can."""
    needed = {
        Podman.name: (("podman", "podman"),),
        Docker.name: (("docker", "docker.io"), ("dockerd", "docker.io")),
        Skopeo.name: (("skopeo", "skopeo"), ("umoci", "umoci"), ("runc", "runc")),
    }
    reasons = (absent_program(*each) for each in needed.get(name, ()))
    return next(filter(None, reasons), "")


@contextmanager
def opened(name: str, directory: Path, family: str) -> Iterator[Tool]:
    """Yield the tool of that name with its storage in `directory`, and a daemon if it needs one."""
    if name == Docker.name:
        directory.mkdir(parents=True, exist_ok=True)
        data = directory.resolve() / "data"
        with docker_daemon.running(directory, data, family, _INSECURE) as host:
            yield Docker(directory / "data", family, host)
        return
    kinds = {Ours.name: Ours, Podman.name: Podman, Skopeo.name: Skopeo}
    yield kinds[name](directory, family)


def _uncached(cached: bool) -> tuple[str, ...]:
    return () if cached else ("--no-cache",)


def _tag(image: str) -> str:
    """Return a tag of a layout for REGISTRY/NAME:TAG."""
    return image.rpartition("/")[2].replace(":", "-")


def _settled_bytes(path: Path) -> int:
    """Return the bytes of a directory, once no clean-up removes files from it any more."""
    for _ in range(_ATTEMPTS):
        try:
            return allocated_bytes(path)
        except FileNotFoundError:
            time.sleep(_PAUSE_SECONDS)
    return allocated_bytes(path)


def _output(words: list[str]) -> str:
    result = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    return result.stdout.strip()


def _quietly(words: list[str]) -> None:
    subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
