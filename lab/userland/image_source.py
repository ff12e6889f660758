"""Images by their references: in the store, in a registry, in an OCI layout or an archive."""

from __future__ import annotations

import tarfile
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig, NotFound, Unavailable
from runtime import errors
from runtime.images import archives, assembly
from runtime.images.layer import Limits
from runtime.images.reference import parse
from runtime.images.store import Store, default_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runtime.images.store import Image

_LAYOUT = "oci:"
_ARCHIVES = ("oci-archive:", "docker-archive:")


@contextmanager
def found(
    reference: str, progress: Callable[[str], None], store: Store | None = None
) -> Iterator[tuple[Store, Image]]:
    """Yield the store and the unpacked image of a reference, which garbage collection leaves.

    A reference is a name, which is pulled if the store has no image of that name, or
    `oci:DIRECTORY[:NAME]`, `oci-archive:FILE[:NAME]` or `docker-archive:FILE[:NAME]`, which is
    added to the store. Raise LabError.
    """
    with ExitStack() as stack:
        with as_lab_errors(reference):
            store = store or Store(default_directory())
            lease = stack.enter_context(store.lease())
            image = _loaded(store, reference, progress) or _named(store, reference, progress)
            parts = (image.descriptor, image.manifest.config, *image.manifest.layers)
            lease.add(*(part.digest for part in parts), *image.chain_ids)
            assembly.unpack(store, image.manifest.layers, image.config.rootfs.diff_ids, Limits())
        yield store, image


@contextmanager
def as_lab_errors(reference: str) -> Iterator[None]:
    """Turn the errors of the image store into the lab's."""
    try:
        yield
    except errors.NotFound as error:
        raise NotFound(str(error)) from error
    except errors.InvalidConfig as error:
        raise InvalidConfig(str(error)) from error
    except errors.ContainerError as error:
        raise Unavailable(str(error)) from error
    except OSError as error:
        raise Unavailable(f"The image {reference} can't be read: {error}.") from error


def _named(store: Store, reference: str, progress: Callable[[str], None]) -> Image:
    """Return the image of a name, from the store or else from its registry."""
    from runtime.images.mirrors import options_of, pull_from
    from runtime.images.registry import credentials, registries_conf
    from runtime.images.registry.repository import Repository

    name = parse(reference)
    try:
        return store.image(str(name))
    except errors.NotFound:
        progress(f"pulling {name}")
    try:
        sources = [
            Repository(each.reference, options_of(each, credentials.find(each.reference.registry)))
            for each in registries_conf.load().sources(name)
        ]
        return pull_from(store, name, sources, note=progress)
    except errors.ContainerError as error:
        raise NotFound(
            f"The store has no image {reference}, and it can't be pulled: {error}"
        ) from error


def _loaded(store: Store, reference: str, progress: Callable[[str], None]) -> Image | None:
    """Return the image of a layout or an archive, added to the store; None for a name."""
    prefix = next((each for each in (_LAYOUT, *_ARCHIVES) if reference.startswith(each)), "")
    if not prefix:
        return None
    path, name = _split(reference.removeprefix(prefix))
    progress(f"loading {path}")
    try:
        images = _of_layout(store, path) if prefix == _LAYOUT else _of_archive(store, path)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {error.filename}.") from error
    return _chosen(images, name, reference)


def _split(text: str) -> tuple[Path, str]:
    """Return the path and the name of `PATH[:NAME]`; a path may have colons itself."""
    if Path(text).exists():
        return Path(text), ""
    path, _, name = text.partition(":")
    return Path(path), name


def _of_archive(store: Store, path: Path) -> list[Image]:
    with path.open("rb") as file:
        return archives.load(store, file)


def _of_layout(store: Store, path: Path) -> list[Image]:
    with tempfile.TemporaryFile(dir=store.directory / "partial") as file:
        with tarfile.open(fileobj=file, mode="w", dereference=True) as archive:
            for name in ("index.json", "oci-layout", "blobs"):
                archive.add(path / name, name)
        file.seek(0)
        return archives.load(store, file)


def _chosen(images: Sequence[Image], name: str, reference: str) -> Image:
    """Return the image of that name, or the only one. Raise NotFound, InvalidConfig."""
    names = ", ".join(dict.fromkeys(image.name for image in images)) or "none"
    if name:
        full = str(parse(name))
        for image in images:
            if image.name == full:
                return image
        raise NotFound(f"{reference}: there is no image of that name, only {names}.")
    if len({image.descriptor.digest for image in images}) != 1:
        raise InvalidConfig(f"{reference} holds not exactly one image: add :NAME, one of {names}.")
    return images[0]
