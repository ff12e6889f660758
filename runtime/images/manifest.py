"""Manifests, indexes and configurations of images, as typed values.

Both families of media types are read, OCI's and docker's; they differ in names only. The store
keeps the original bytes of each document, so a pulled image is pushed with the same digest.
(OCI image-spec, manifest.md, image-index.md, config.md, descriptor.md)
"""

from __future__ import annotations

import hashlib
import time
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from runtime.errors import InvalidConfig

_OCI = "application/vnd.oci.image."
_DOCKER = "application/vnd.docker."
MANIFEST = f"{_OCI}manifest.v1+json"
INDEX = f"{_OCI}index.v1+json"
CONFIG = f"{_OCI}config.v1+json"
LAYER_TAR = f"{_OCI}layer.v1.tar"
LAYER_GZIP = f"{LAYER_TAR}+gzip"
LAYER_ZSTD = f"{LAYER_TAR}+zstd"
DOCKER_MANIFEST = f"{_DOCKER}distribution.manifest.v2+json"
DOCKER_LIST = f"{_DOCKER}distribution.manifest.list.v2+json"
DOCKER_CONFIG = f"{_DOCKER}container.image.v1+json"
DOCKER_LAYER = f"{_DOCKER}image.rootfs.diff.tar.gzip"
MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
INDEXES = (INDEX, DOCKER_LIST)
LAYERS = {
    LAYER_TAR: "tar",
    LAYER_GZIP: "gzip",
    LAYER_ZSTD: "zstd",
    DOCKER_LAYER: "gzip",
    f"{_DOCKER}image.rootfs.diff.tar": "tar",
    f"{_DOCKER}image.rootfs.diff.tar.zstd": "zstd",
}
_FIRST_VERSION = f"{_DOCKER}distribution.manifest.v1"
# Registries refuse larger manifests (distribution, 4 MiB), and no honest one comes near.
LARGEST_MANIFEST_BYTES = 4 << 20

T = TypeVar("T")
Digest = Annotated[str, Meta(pattern=r"^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$")]
Size = Annotated[int, Meta(ge=0)]


class Platform(Struct, frozen=True, omit_defaults=True):
    """An operating system and an architecture, by Go's names."""

    architecture: str
    os: str
    variant: str = ""
    os_version: str = msgspec.field(name="os.version", default="")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A blob by its media type, digest and size in bytes."""

    media_type: str
    digest: Digest
    size: Size
    platform: Platform | None = None
    annotations: dict[str, str] = {}


class Manifest(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image for one platform: its configuration and its layers, the base first."""

    schema_version: int
    config: Descriptor
    layers: list[Descriptor]
    media_type: str = ""
    annotations: dict[str, str] = {}


class Index(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image for many platforms."""

    schema_version: int
    manifests: list[Descriptor]
    media_type: str = ""
    annotations: dict[str, str] = {}


class Healthcheck(Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """A command that says if a container is healthy; times are nanoseconds. (docker's extension)"""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Execution(Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """Defaults for a container of the image."""

    user: str = ""
    exposed_ports: dict[str, Any] | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    volumes: dict[str, Any] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: list[str] | None = None
    on_build: list[str] | None = None


class RootFs(Struct, frozen=True):
    """The digests of the unpacked layers, the base first."""

    type: str
    diff_ids: list[Digest]


class History(Struct, frozen=True, omit_defaults=True):
    """A step by which an image was made."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class Config(Struct, frozen=True, omit_defaults=True):
    """An image's configuration; its digest is the image's ID."""

    architecture: str
    os: str
    rootfs: RootFs
    config: Execution | None = None
    created: str = ""
    author: str = ""
    variant: str = ""
    history: list[History] | None = None

    @property
    def platform(self) -> Platform:
        """The platform that the image was made for."""
        return Platform(self.architecture, self.os, self.variant)


def digest_of(document: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(document).hexdigest()}"


def decode_manifest(document: bytes, media_type: str, name: str) -> Manifest | Index:
    """Return the manifest or the index in `document`.

    Refuse a document that could be read as both, or whose own media type differs from that of the
    answer (CVE-2021-41190). `name` is for errors. Raise InvalidConfig.
    """
    if len(document) > LARGEST_MANIFEST_BYTES:
        raise _refusal(name, f"it has {len(document)} bytes, more than {LARGEST_MANIFEST_BYTES}")
    fields = _decoded(document, dict[str, Any], name)
    if fields.get("schemaVersion") == 1 or media_type.startswith(_FIRST_VERSION):
        raise _refusal(name, "schema 1 is too old; push the image again with a current docker")
    if "manifests" in fields and ("layers" in fields or "config" in fields):
        raise _refusal(name, "it is a manifest and an index at once")
    own = fields.get("mediaType", "")
    if own and media_type in MANIFESTS + INDEXES and own != media_type:
        raise _refusal(name, f"it calls itself {own!r}, but came as {media_type!r}")
    kind = own or media_type
    if kind in INDEXES or "manifests" in fields:
        if kind in MANIFESTS:
            raise _refusal(name, f"it is an index, but came as {kind!r}")
        return _decoded(document, Index, name)
    if kind in INDEXES or kind not in (*MANIFESTS, "", "application/json"):
        raise _refusal(name, f"{kind!r} is not an image's manifest")
    return _decoded(document, Manifest, name)


def decode_config(document: bytes, manifest: Manifest, name: str) -> Config:
    """Return the configuration of a manifest's image. Raise InvalidConfig."""
    config = _decoded(document, Config, name)
    if len(config.rootfs.diff_ids) != len(manifest.layers):
        layers = f"{len(manifest.layers)} layers"
        raise _refusal(
            name, f"rootfs.diff_ids has {len(config.rootfs.diff_ids)} entries for {layers}"
        )
    for layer in manifest.layers:
        if layer.media_type not in LAYERS:
            raise _refusal(name, f"a layer is of the media type {layer.media_type!r}")
    return config


def choose(index: Index, platform: Platform, name: str) -> Descriptor:
    """Return the entry of an index for a platform. Raise InvalidConfig.

    If no entry has the variant, return the first for the architecture.
    """
    matching = [
        each for each in index.manifests
        if each.platform and (each.platform.os, each.platform.architecture)
        == (platform.os, platform.architecture)
    ]  # fmt: skip
    if not matching:
        offered = sorted({str(each.platform) for each in index.manifests if each.platform})
        raise _refusal(name, f"it has no image for {platform}, only {', '.join(offered) or 'none'}")
    exact = [
        each for each in matching if each.platform and each.platform.variant == platform.variant
    ]
    return (exact or matching)[0]


def chain_ids(diff_ids: list[str]) -> list[str]:
    """Return the chain ID of each layer on those below it. (config.md, "Layer ChainID")"""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain


def timestamp(epoch_seconds: int | None) -> str:
    """Return a time in the format of configurations; None is now."""
    seconds = time.time() if epoch_seconds is None else epoch_seconds
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def encode(document: Struct) -> bytes:
    """Return a document as JSON, the same bytes for the same values."""
    return msgspec.json.encode(document, order="deterministic")


def _decoded(document: bytes, kind: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(document, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise _refusal(name, str(error)) from None


def _refusal(name: str, why: str) -> InvalidConfig:
    return InvalidConfig(f"{name}: {why}.")
