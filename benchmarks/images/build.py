"""Time to build an image of ten instructions, cold and with all steps cached.

    python -m benchmarks.images.build --rounds 5

The context is small, and the base is the user land of the lab in a registry on loopback. In each
round every tool builds once without its cache and once with it, in a random order; the base is
pulled before. A ratio is taken within a round.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import Finding, Ratio, Samples
from benchmarks.images.pull import prepared
from benchmarks.images.tools import DOCKER, OURS, PODMAN
from lab.delivery.commands import timed

LIMITS = {"cold": 0.8, "cached": 0.3}
DOCKERFILE = """
FROM {base}
ENV A=1
WORKDIR /app
COPY a.txt .
RUN echo one >one
COPY sub sub
RUN cp a.txt two && mkdir d && echo three >d/three
LABEL version=1
RUN rm one
CMD ["/bin/sh"]
"""


def main() -> int:
    options = harness.parser(__doc__, rounds=5).parse_args()
    samples = measure(options.rounds, options.seed)
    harness.write_record(options.out, samples.values)
    return harness.report(findings(samples))


def measure(rounds: int, seed: int) -> Samples:
    """Build with each tool in every round, without and with its cache."""
    samples = Samples()
    with prepared() as (directory, found, names):
        base = names["debian"]
        builders = {name: tool for name, tool in found.items() if tool.builds}
        context = _context(directory / "context", base)
        for tool in builders.values():
            timed(tool.pull(base))
            timed(tool.build(context, cached=False))
        for number, _, name in harness.turns(list(builders), rounds, seed, warm_up=True):
            for state, cached in (("cold", False), ("cached", True)):
                build = timed(builders[name].build(context, cached=cached))
                samples.add(state, name, number, {"build": build.seconds * 1e3})
    return samples


def findings(samples: Samples) -> Iterator[Finding]:
    yield from samples.medians()
    yield from samples.ratios(
        Ratio("build", OURS, peer, limit, name)
        for name, limit in LIMITS.items()
        for peer in (PODMAN, DOCKER)
    )


def _context(directory: Path, base: str) -> Path:
    (directory / "sub").mkdir(parents=True)
    (directory / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    (directory / "a.txt").write_text("a\n")
    for number in range(50):
        (directory / "sub" / f"{number}.txt").write_text(f"{number}\n" * 100)
    return directory


if __name__ == "__main__":
    sys.exit(main())
