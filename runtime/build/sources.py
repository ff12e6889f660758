"""The sources of a build: the context, earlier stages, images, and contexts that have a name."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from runtime.build import ignore_file
from runtime.build.cancellation import Cancellation
from runtime.build.copy_source import REFUSED
from runtime.build.options import Options
from runtime.build.source_walk import LinkNamed, Request, Walk
from runtime.build.stages import Stages
from runtime.build.steps import Work
from runtime.build.workspace import Workspace
from runtime.errors import ContainerError, InvalidConfig, NotFound, Unavailable
from runtime.images import archive_pipes, tar_writer
from runtime.images.leases import Lease
from runtime.images.manifest import Platform
from runtime.images.reference import Reference
from runtime.images.reference import parse as parse_reference
from runtime.images.store import Image, Store

if TYPE_CHECKING:
    from runtime.build.downloads import Downloads

IMAGE, LAYOUT = "docker-image://", "oci-layout://"
_PACKAGES = Path(__file__).parents[2]
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    " from runtime.build.copy_source import main; sys.exit(main())"
)


@dataclass(frozen=True, slots=True)
class Tree:
    """Files: a directory of the host, or the layers of an image, topmost first.

    `root` is the directory that `lower`, the layers, are relative to. `ignored` are the lines of
    the directory's .dockerignore.
    """

    root: Path
    lower: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def layers(self) -> list[Path]:
        """The directories that make up the tree, topmost first."""
        return [self.root / each for each in self.lower] or [self.root]

    def request(self, sources: list[str], destination: str, *, into: bool, **more: Any) -> Request:
        """Return a request to copy from the tree."""
        ignored = list(self.ignored)
        return Request(
            str(self.root), list(self.lower), sources, destination, into, ignored=ignored, **more
        )


class Sources:
    """The sources of one build. Several threads may use them."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        options: Options,
        stages: Stages,
        platform: Platform,
        workspace: Workspace,
        cancellation: Cancellation,
    ) -> None:
        self._store = store
        self._lease = lease
        self._options = options
        self._stages = stages
        self._platform = platform
        self._workspace = workspace
        self._cancellation = cancellation
        self._lock = Lock()
        self._images: dict[str, Image] = {}
        self._directories: dict[str, Tree] = {}
        self.works: dict[int, Work] = {}

    @property
    def downloads(self) -> Downloads:
        """The files that the store keeps of URLs."""
        from runtime.build.downloads import Downloads

        return Downloads(self._store.directory / "build-downloads", self._cancellation.check)

    def tree(self, name: str | None) -> Tree:
        """Return the files of a named context, a stage or an image; those of the context for None.

        Raise ContainerError.
        """
        if name is None:
            return Tree(self._options.context, (), self._options.ignored)
        if name in self._options.contexts and not self.is_image(name):
            with self._lock:
                if name not in self._directories:
                    self._directories[name] = self._directory(name)
                return self._directories[name]
        stage = None if name in self._options.contexts else self._stages.find(name)
        chain_ids = (
            self.works[stage.number].chain_ids
            if stage and stage.number in self.works
            else self.image(name).chain_ids
        )
        if not chain_ids:
            return Tree(self._workspace.empty)
        snapshots = self._store.snapshots
        layers = [f"{each.parent.name}/{each.name}" for each in snapshots.layers(chain_ids)]
        return Tree(snapshots.directory, tuple(layers))

    def is_image(self, name: str) -> bool:
        """Return True if a name stands for an image, or for no context at all."""
        return str(self._options.contexts.get(name, IMAGE)).startswith((IMAGE, LAYOUT))

    def image(self, name: str) -> Image:
        """Return an image, with a lease on it. Pull it as the options say. Raise ContainerError."""
        with self._lock:
            if name not in self._images:
                image = self._found(str(self._options.contexts.get(name, name)))
                self._lease.add(image.descriptor.digest, image.id, *image.chain_ids)
                self._lease.add(*(layer.digest for layer in image.manifest.layers))
                self._images[name] = image
            return self._images[name]

    def _found(self, name: str) -> Image:
        if name.startswith(LAYOUT):
            from runtime.build import layout_context

            place = name.removeprefix(LAYOUT)
            return layout_context.image(self._store, self._lease, place, self._platform)
        reference = parse_reference(name.removeprefix(IMAGE))
        if self._options.pull != "always":
            try:
                return self._store.image(str(reference), self._platform)
            except NotFound:
                if self._options.pull == "never":
                    raise
        return self._pulled(reference)

    def _pulled(self, reference: Reference) -> Image:
        if self._options.fetch is None:
            raise Unavailable(f"{reference} can't be pulled: the build has no registry client.")
        try:
            return self._options.fetch(reference)
        except (NotFound, Unavailable) as error:
            words = f"The base image {reference.familiar} can't be pulled: {error}"
            raise type(error)(words) from None

    def _directory(self, name: str) -> Tree:
        """Return the files of a named context that is a directory, or is fetched into one."""
        from runtime.build import remote_context

        value = self._options.contexts[name]
        path = Path(value)
        if isinstance(value, str) and not path.is_dir() and remote_context.is_remote(value):
            scratch = self._workspace.new_directory()
            path = remote_context.fetch(value, scratch, self.downloads, self._cancellation)
        if not path.is_dir():
            raise InvalidConfig(f"The context {name} is not a directory: {value}")
        return Tree(path.resolve(), (), ignore_file.read(path))


def listed(request: Request) -> list[list[Any]]:
    """Return the names, modes, owners and digests of the files that a request copies.

    Raise InvalidConfig, ContainerError.
    """
    if not request.lower:
        # Without a link on the way no process of its own is needed, which takes longer to start.
        walk = Walk(request, request.root.rstrip("/"))
        try:
            return [walk.described(each) for each in walk.sources()]
        except LinkNamed:
            pass
        except OSError as error:
            words = f"{error.filename}: {error.strerror}"
            raise ContainerError(f"The sources could not be read: {words}.") from None
    rows: list[list[Any]] = json.loads(b"".join(_pieces(request, "list")))
    return rows


def archived(request: Request) -> Generator[bytes, None, None]:
    """Yield the archive of the files that a request copies. Raise InvalidConfig, ContainerError."""
    yield from entries(request)
    yield tar_writer.END


def entries(request: Request) -> Generator[bytes, None, None]:
    """Yield the same without the end of the archive."""
    return _pieces(request, "archive")


def _pieces(request: Request, task: str) -> Generator[bytes, None, None]:
    """Yield the output of the process that reads sources."""
    document = json.dumps(asdict(request))
    # Installed packages are needed for archives alone: `site` takes longer than most copies.
    flags = "-IXutf8" if request.unpack else "-ISXutf8"
    command = [sys.executable, flags, "-c", _PROGRAM, str(_PACKAGES), task, document]
    ended = yield from archive_pipes.read(command)
    if ended.exit_code == REFUSED:
        raise InvalidConfig(ended.words)
    if ended.exit_code != 0:
        why = ended.words or ended.exit_code
        raise ContainerError(f"The sources could not be read: {why}.")
