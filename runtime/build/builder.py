"""Build an image from the stages of a Dockerfile, with a cache of steps.

Stages that do not need each other are built at once. (docker, "Multi-stage builds")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runtime.build import dockerfile, scheduler, settings, stages
from runtime.build.cancellation import Cancellation
from runtime.build.dockerfile import Instruction
from runtime.build.options import Options
from runtime.build.progress import Progress
from runtime.build.sources import Sources
from runtime.build.stage_builder import Environment, StageBuilder
from runtime.build.stages import SCRATCH, Stage
from runtime.build.steps import Steps, Work
from runtime.build.workspace import workspace
from runtime.errors import InvalidConfig, Unavailable
from runtime.images import assembly, manifest
from runtime.images.leases import Lease
from runtime.images.manifest import Config, History, Platform, RootFs
from runtime.images.reference import parse as parse_reference
from runtime.images.store import Image, Store, host_platform

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """A built stage, whose layers are leased as long as the build's block lasts."""

    config: Config
    work: Work


def build(store: Store, options: Options) -> Image:
    """Build an image and name it. The steps stay in the cache.

    Raise InvalidConfig for a wrong Dockerfile, ContainerError for a failed step. After an error the
    names have the images that they had before, and the stages that ran at once have ended.
    """
    names = [str(parse_reference(name)) for name in options.names]
    with _sentences(), store.lease() as lease, _built(store, options, lease) as result:
        layers = result.work.layers
        return assembly.add_image(
            store, lease, result.config, layers, names, dict(options.annotations)
        )


@contextmanager
def built(store: Store, options: Options) -> Iterator[Result]:
    """Build a stage for an export, and yield its configuration and layers. See `build`."""
    with _sentences(), store.lease() as lease, _built(store, options, lease) as result:
        yield result


@contextmanager
def _sentences() -> Iterator[None]:
    """Raise Unavailable for an error of the host, such as a full disk."""
    try:
        yield
    except PermissionError:
        raise  # which the caller explains
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Unavailable(f"The build failed: {where}{error.strerror or error}.") from error


@contextmanager
def _built(store: Store, options: Options, lease: Lease) -> Iterator[Result]:
    parsed = dockerfile.parse(options.dockerfile)
    platform = host_platform()
    found = stages.parse(parsed, options.arguments, platform, options.contexts)
    target = found.target(options.target)
    cancellation = Cancellation()
    epoch = options.epoch_seconds
    latest_ns = None if epoch is None else epoch * _NANOSECONDS
    created = manifest.timestamp(epoch)
    with workspace(store.directory / "builds") as own:
        shared = Environment(
            store=store,
            options=options,
            stages=found,
            escape=parsed.escape,
            created=created,
            latest_ns=latest_ns,
            workspace=own,
            sources=Sources(store, lease, options, found, platform, own, cancellation),
            steps=Steps(store, lease, created, latest_ns, explains=options.explain),
            progress=Progress(options.tell),
            cancellation=cancellation,
        )
        work = _Stages(shared, platform).build(target)
        work.settings.labels.update(options.labels)
        yield Result(_config(work, platform), work)


class _Stages:
    """The stages of one build, each with its base."""

    def __init__(self, shared: Environment, platform: Platform) -> None:
        self._shared = shared
        self._platform = platform

    def build(self, target: Stage) -> Work:
        """Build the target and the stages that it needs, several at once."""
        found = self._shared.stages
        needs = found.needs(target, self._triggers)
        cancellation = self._shared.cancellation
        scheduler.run(
            needs, lambda number: self._build(found.stages[number]), cancellation.cancel,
            max(1, self._shared.options.jobs),
        )  # fmt: skip
        return self._shared.sources.works[target.number]

    def _build(self, stage: Stage) -> None:
        work = self._base(stage)
        StageBuilder(self._shared, stage, work).build(self._triggers(stage))
        self._shared.sources.works[stage.number] = work

    def _base(self, stage: Stage) -> Work:
        """Return the initial state of a stage."""
        escape, created = self._shared.escape, self._shared.created
        if stage.base == SCRATCH:
            return Work(settings.of_image(None, escape), [], [], [], SCRATCH, created)
        if isinstance(stage.base, int):
            earlier = self._shared.sources.works[stage.base]
            config = _config(earlier, self._platform)
            history, layers, key = earlier.history, earlier.layers, earlier.key
            arguments = earlier.settings.arguments  # a stage inherits those of its base
        else:
            image = self._shared.sources.image(stage.base)
            config, layers, key = image.config, image.manifest.layers, image.id
            history, arguments = _complete(config), {}
        own = settings.of_image(config, escape)
        own.arguments = dict(arguments)
        if self._shared.options.epoch_seconds is None:
            created = config.created or created  # so that a cached build gives the same image
        return Work(own, list(layers), list(config.rootfs.diff_ids), list(history), key, created)

    def _triggers(self, stage: Stage) -> list[Instruction]:
        """Return the instructions that the base of a stage has left to it."""
        if isinstance(stage.base, int):
            return stages.triggers_of(self._shared.stages.stages[stage.base])
        if stage.base == SCRATCH:
            return []
        if not self._shared.sources.is_image(stage.base):
            words = "a directory is no base: copy from it by COPY --from"
            raise InvalidConfig(f"FROM {stage.base}: {words}.")
        config = self._shared.sources.image(stage.base).config.config
        texts = (config.on_build if config else None) or []
        found = [each for text in texts for each in dockerfile.parse(text, "ONBUILD").instructions]
        for each in found:
            if each.keyword in ("onbuild", "from", "maintainer"):
                words = f"has ONBUILD {each.text}, which is no trigger"
                raise InvalidConfig(f"The image {stage.base} {words}.")
        return found


def _config(work: Work, platform: Platform) -> Config:
    return Config(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        rootfs=RootFs("layers", work.diff_ids),
        config=work.settings.execution(),
        created=work.created,
        author=work.settings.author,
        history=work.history,
    )


def _complete(config: Config) -> list[History]:
    """Return the history of a base image with an entry for each layer.

    Other tools refuse an image whose history lists fewer layers than it has, or more.
    """
    history, layers = config.history or [], len(config.rootfs.diff_ids)
    named = sum(not step.empty_layer for step in history)
    if named > layers:
        history, named = [], 0
    return [*history, *(History(config.created) for _ in range(layers - named))]
