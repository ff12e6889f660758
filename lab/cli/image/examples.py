"""Examples for the help of each verb of `tonnage image`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.cli.examples import Example

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "image pull": (
        ("tonnage image pull alpine:3.20", "from Docker Hub"),
        ("tonnage image pull --platform linux/arm64 alpine:3.20", "another host's variant"),
    ),
    "image push": (
        ("tonnage image push app:1 registry.example/team/app:1", "under another name"),
        ("tonnage image push app:1 localhost:5000/app --tls-verify false", "over plain HTTP"),
    ),
    "image build": (
        ("tonnage image build -t app:1 .", "from the Dockerfile in this folder"),
        ("tonnage image build -t app:1 --explain .", "and why a step is not cached"),
        ("tonnage image build -t app:1 --target test --build-arg V=2 .", "one stage"),
    ),
    "image import": (
        ("tonnage image import rootfs.tar base:1", "an image of one layer"),
        ("tonnage image import rootfs.tar base:1 -c 'CMD sh'", "with a command"),
    ),
    "image bootstrap": (
        ("tonnage image bootstrap bookworm", "a Debian from its packages"),
        ("tonnage image bootstrap bookworm -t py:1 --include python3", "with a package"),
    ),
    "image ls": (
        ("tonnage image ls --digests", "every image of the store"),
        ("tonnage image ls --format csv", "bytes and ISO times, for a spreadsheet"),
        ("tonnage image ls --format '{{.ID}}'", "docker's templates"),
    ),
    "image inspect": (
        ("tonnage image inspect app:1", "the configuration as JSON"),
        ("tonnage image inspect app:1 --format '{{json .Config.Env}}'", "a part of it"),
    ),
    "image history": (
        ("tonnage image history app:1 --no-trunc", "each step in full"),
        ("tonnage image history app:1 --format csv", "sizes in bytes"),
    ),
    "image tag": (("tonnage image tag app:1 app:latest", "a further name"),),
    "image rm": (("tonnage image rm app:1 app:2", "names, and layers that nothing else needs"),),
    "image prune": (
        ("tonnage image prune", "images without a name"),
        ("tonnage image prune --build-cache", "what builds keep, too"),
    ),
    "image save": (("tonnage image save -o app.tar app:1 app:2", "an archive for load"),),
    "image load": (
        ("tonnage image load -i app.tar", "the images of an archive"),
        ("docker save app:1 | tonnage image load", "from docker"),
    ),
    "image export": (("tonnage image export -o rootfs.tar app:1", "the files alone, merged"),),
    "image disk": (
        ("tonnage image disk app:1 -o app.qcow2", "a disk that a machine boots"),
        ("tonnage image disk app:1 -o app.img --size 4G", "a raw one of that size"),
    ),
}
