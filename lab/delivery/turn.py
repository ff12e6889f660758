"""One tool's turn: every operation once, each from the state that it needs.

The first turn of a run begins with the operations through a proxy that counts bytes; they are not
timed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.delivery import counting_proxy, readiness, registry, waterfall
from lab.delivery.commands import timed
from lab.delivery.images import BASE, CHANGED, FIRST
from lab.delivery.tools import Ours, opened
from lab.host.disk_usage import allocated_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from lab.delivery.images import Published
    from lab.delivery.tools import Tool

_PUSHED = "pushed:1"
_DOCKERFILE = """\
FROM {base}
WORKDIR /work
COPY data.txt .
RUN cp data.txt copied && mkdir made
RUN echo {line} >made/line
CMD ["/bin/sh"]
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """The values by metric, the seconds of our own steps, and the ID of the pulled image."""

    values: dict[str, float]
    steps: dict[str, float]
    image_id: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A tool, the images in the registry's storage, and where our containers have their state."""

    tool: str
    published: Published
    states: Path
    counts_bytes: bool

    def measure(self, folder: Path) -> Figures:
        """Measure every operation, with everything that is written in `folder`. Raise LabError."""
        with (
            registry.running(folder, self.published.data) as host,
            registry.running(folder, folder / "pushed") as empty,
            opened(self.tool, folder / "tool", folder.name) as tool,
        ):
            values = _count_bytes(tool, host, empty) if self.counts_bytes else {}
            tool.forget()
            delivered, image_id = self._deliver(tool, host, folder)
            values |= delivered
            values |= _move(tool, f"{host}/{FIRST}", f"{empty}/timed-{_PUSHED}", folder)
            if tool.builds:
                values |= _build(tool, f"{host}/{BASE}", folder / "context")
            tool.forget()
            steps = self._steps(f"{host}/{FIRST}", folder) if isinstance(tool, Ours) else {}
        values["same-image"] = float(image_id == self.published.ids[FIRST])
        return Figures(values, steps, image_id)

    def _deliver(self, tool: Tool, host: str, folder: Path) -> tuple[dict[str, float], str]:
        """Pull an image cold and start it, pull it again, and pull it with one layer changed."""
        image = f"{host}/{FIRST}"
        os.sync()
        cold = timed(tool.pull(image)).seconds
        begin_ns = time.monotonic_ns()
        start = (readiness.ready_ns(tool, image, self.states) - begin_ns) / 1e9
        values = {"pull-cold": cold, "ready": cold + start, "stored": float(tool.stored_bytes())}
        values["pull-warm"] = timed(tool.pull(image)).seconds
        values["pull-changed"] = timed(tool.pull(f"{host}/{CHANGED}")).seconds
        return values, tool.image_id(image)

    def _steps(self, image: str, folder: Path) -> dict[str, float]:
        directory = folder / "steps"
        directory.mkdir()
        return waterfall.seconds(image, directory, folder.name, self.states)


def _count_bytes(tool: Tool, host: str, empty: str) -> dict[str, float]:
    """Return the bytes on the wire of each operation with a registry."""
    tool.forget()
    values: dict[str, float] = {}
    with counting_proxy.counting(host) as count:
        image = f"{count.host}/{FIRST}"
        for metric, name in (
            ("wire-cold", image),
            ("wire-warm", image),
            ("wire-changed", f"{count.host}/{CHANGED}"),
        ):
            timed(tool.pull(name))
            values[metric] = float(count.take())
        with counting_proxy.counting(empty) as pushed:
            timed(tool.push(image, f"{pushed.host}/counted-{_PUSHED}"))
            values["wire-push"] = float(pushed.take())
    return values


def _move(tool: Tool, image: str, destination: str, folder: Path) -> dict[str, float]:
    """Push an image to a registry that lacks it, save it to an archive, and load the archive."""
    archive = folder / "archive.tar"
    values = {
        "push": timed(tool.push(image, destination)).seconds,
        "save": timed(tool.save(image, archive)).seconds,
        "archive": float(allocated_bytes(archive)),
    }
    tool.forget()
    values["load"] = timed(tool.load(archive)).seconds
    archive.unlink()
    return values


def _build(tool: Tool, base: str, context: Path) -> dict[str, float]:
    """Build a Dockerfile without the cache, with it, and with one line changed."""
    context.mkdir()
    (context / "data.txt").write_text("data\n" * 1000, encoding="utf-8")
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(_DOCKERFILE.format(base=base, line="one"), encoding="utf-8")
    tool.forget()
    timed(tool.pull(base))
    values = {
        "build-cold": timed(tool.build(context, cached=False)).seconds,
        "build-cached": timed(tool.build(context, cached=True)).seconds,
    }
    dockerfile.write_text(_DOCKERFILE.format(base=base, line="two"), encoding="utf-8")
    values["build-changed"] = timed(tool.build(context, cached=True)).seconds
    return values
