"""Time and memory to pull and unpack an image from a registry on loopback.

    python -m benchmarks.images.pull --rounds 5

Two images: `debian`, one layer with a Debian root file system, and `files`, ten layers of ten
thousand small files each. In each round every tool pulls each of them into empty storage, in a
random order; skopeo's copy and umoci's unpacking count as one. Peak memory is that of the largest
process which the tool starts, so docker's daemon does not count. Ours takes part twice: synced to
the disk, which is its default, and with `--durability fast`, which syncs nothing, as podman. A
ratio is taken within a round.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import Finding, Ratio, Samples
from benchmarks.images.tools import DOCKER, OURS, OURS_UNSYNCED, PODMAN, SKOPEO, tools
from lab.delivery import images, registry
from lab.delivery.commands import timed
from lab.delivery.tools import Tool
from lab.userland import build
from runtime.images import assembly, layer_diff
from runtime.images.store import Store

LIMITS = {DOCKER: 0.7, PODMAN: 0.7, SKOPEO: 0.8}
MOST_MIB = 64.0
LAYERS, FILES = 10, 10_000


def main() -> int:
    options = harness.parser(__doc__, rounds=5).parse_args()
    samples = measure(options.rounds, options.seed)
    harness.write_record(options.out, samples.values)
    return harness.report(findings(samples))


def measure(rounds: int, seed: int) -> Samples:
    """Pull each image with each tool in every round."""
    samples = Samples()
    with prepared() as (_, found, names):
        for number, image, name in harness.turns(
            list(found), rounds, seed, tuple(names), warm_up=True
        ):
            tool = found[name]
            tool.forget()
            os.sync()
            pull = timed(tool.pull(names[image]))
            values = {"pull": pull.seconds * 1e3, "memory": pull.peak_bytes / (1 << 20)}
            samples.add(image, name, number, values)
    return samples


@contextmanager
def prepared() -> Iterator[tuple[Path, dict[str, Tool], dict[str, str]]]:
    """Yield a scratch directory, the tools, and the references of both images in a registry.

    At the end the tools forget their images.
    """
    land = build.build(harness.say)
    with harness.quiet_host() as directory:
        place = directory / "registry"
        with registry.running(place, place / "data") as host, tools(directory) as found:
            yield directory, found, publish(directory / "made", land.tree, host)
            for tool in found.values():
                tool.forget()


def findings(samples: Samples) -> Iterator[Finding]:
    yield from samples.medians({"memory": "MiB"})
    for ours in (OURS, OURS_UNSYNCED):
        yield from samples.ratios(
            Ratio("pull", ours, peer, limit) for peer, limit in LIMITS.items()
        )
    for image, by_measure in samples.values.items():
        peak = max(by_measure["memory"][OURS].values())
        text = f"{image:7} {OURS} takes {peak:.0f} MiB"
        yield Finding.at_most(text, MOST_MIB, met=peak <= MOST_MIB, unit=" MiB")


def publish(store_directory: Path, tree: Path, host: str) -> dict[str, str]:
    """Make both images and push them. Return their references."""
    store = Store(store_directory, "fast")
    archives = {
        "debian:1": [layer_diff.archive(tree)],
        "files:1": [_many_files(number) for number in range(LAYERS)],
    }
    for name, of_image in archives.items():
        with store.lease() as lease:
            layers = [assembly.add_layer(store, lease, archive) for archive in of_image]
            images.add(store, name, layers, ["/bin/sh"])
        images.upload(store, host, name)
    return {name.partition(":")[0]: f"{host}/{name}" for name in archives}


def _many_files(number: int) -> Generator[bytes, None, None]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for each in range(FILES):
            member = tarfile.TarInfo(f"layer{number}/{each // 100}/{each}")
            member.size = 100
            archive.addfile(member, io.BytesIO(b"x" * 100))
    yield buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
