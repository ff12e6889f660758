"""Build an image from the stages of a Dockerfile, with a cache of steps.

RUN runs a container on top of the layers so far; its writable layer becomes the next layer. COPY
and ADD read their sources in a separate process and unpack them like a layer of an image.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.build import dockerfile, running, settings, stages
from runtime.build.copy_source import Request
from runtime.build.dockerfile import Instruction
from runtime.build.options import Options
from runtime.build.settings import Settings
from runtime.build.stages import SCRATCH, Stage, Stages
from runtime.errors import ContainerError, InvalidConfig
from runtime.images import assembly, layer_diff, lookup, manifest
from runtime.images.layer import Limits
from runtime.images.layer_cache import Cache, Cached, Step
from runtime.images.leases import Lease
from runtime.images.manifest import Config, Descriptor, History, Platform, RootFs
from runtime.images.reference import parse as parse_reference
from runtime.images.store import Image, Store, host_platform

_PACKAGES = Path(__file__).parents[2]
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    " from runtime.build.copy_source import main; sys.exit(main())"
)
_NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class _Work:
    """The state of a stage during the build."""

    settings: Settings
    layers: list[Descriptor]
    diff_ids: list[str]
    history: list[History]
    key: str

    @property
    def chain_ids(self) -> list[str]:
        return manifest.chain_ids(self.diff_ids)


def build(store: Store, options: Options) -> Image:
    """Build an image and name it. The steps stay in the cache.

    Raise InvalidConfig for a wrong Dockerfile, ContainerError for a failed step. After an error the
    names have the images that they had before.
    """
    parsed = dockerfile.parse(options.dockerfile)
    platform = host_platform()
    found = stages.parse(parsed, options.arguments, stages.platform_arguments(platform, platform))
    names = [str(parse_reference(name)) for name in options.names]
    with store.lease() as lease:
        building = _Build(store, options, found, parsed.escape, lease, platform)
        return building.image(names)


class _Build:
    """One build."""

    def __init__(
        self,
        store: Store,
        options: Options,
        found: Stages,
        escape: str,
        lease: Lease,
        platform: Platform,
    ) -> None:
        self._store = store
        self._options = options
        self._stages = found
        self._escape = escape
        self._lease = lease
        self._platform = platform
        self._cache = Cache(store.directory / "build-cache")
        self._works: dict[int, _Work] = {}
        self._latest_ns = (
            None if options.epoch_seconds is None else options.epoch_seconds * _NANOSECONDS
        )
        self._created = manifest.timestamp(options.epoch_seconds)

    def image(self, names: list[str]) -> Image:
        """Build the target and the stages that it needs. Add the image to the store."""
        target = self._stages.target(self._options.target)
        for stage in self._stages.needed(target):
            self._works[stage.number] = self._stage(stage)
        work = self._works[target.number]
        config = Config(
            architecture=self._platform.architecture,
            os=self._platform.os,
            variant=self._platform.variant,
            rootfs=RootFs("layers", work.diff_ids),
            config=work.settings.execution(),
            created=self._created,
            author=work.settings.author,
            history=work.history,
        )
        return assembly.add_image(self._store, self._lease, config, work.layers, names)

    def _stage(self, stage: Stage) -> _Work:
        work, triggers = self._base(stage)
        instructions = [*triggers, *stage.instructions]
        for number, instruction in enumerate(instructions, start=1):
            words = " ".join(instruction.text.split())
            name = stage.name or str(stage.number)
            self._options.tell(f"[{name} {number}/{len(instructions)}] {words}")
            try:
                self._instruction(work, instruction, f"{name}/{number}")
            except InvalidConfig as error:
                raise InvalidConfig(f"Dockerfile:{instruction.first_line}: {error}") from None
        return work

    def _base(self, stage: Stage) -> tuple[_Work, list[Instruction]]:
        """Return the initial state of a stage, and the ONBUILD instructions of its image."""
        if isinstance(stage.base, int):
            earlier = self._works[stage.base]
            config = Config(
                self._platform.architecture, self._platform.os, RootFs("layers", earlier.diff_ids),
                earlier.settings.execution(), author=earlier.settings.author,
            )  # fmt: skip
            history, layers, key = earlier.history, earlier.layers, earlier.key
        elif stage.base == SCRATCH:
            work = _Work(settings.of_image(None, self._escape), [], [], [], SCRATCH)
            return work, []
        else:
            image = self._store.image(str(parse_reference(stage.base)), self._platform)
            self._lease.add(image.descriptor.digest, image.id, *image.chain_ids)
            self._lease.add(*(layer.digest for layer in image.manifest.layers))
            config, layers, key = image.config, image.manifest.layers, image.id
            history = config.history or []
        found = settings.of_image(config, self._escape)
        triggers = (config.config.on_build if config.config else None) or []
        instructions = [
            each for text in triggers for each in dockerfile.parse(text, "ONBUILD").instructions
        ]
        diff_ids = list(config.rootfs.diff_ids)
        return _Work(found, list(layers), diff_ids, list(history), key), instructions

    def _instruction(self, work: _Work, instruction: Instruction, place: str) -> None:
        if instruction.keyword == "arg":
            self._declare(work, instruction)
        elif instruction.keyword == "run":
            self._run(work, instruction, place)
        elif instruction.keyword in ("copy", "add"):
            self._copy(work, instruction, place)
        else:
            words = settings.shown(instruction, work.settings)
            settings.apply(work.settings, instruction)
            if instruction.keyword == "workdir" and self._make_directory(work, words, place):
                return
            work.history.append(History(self._created, words, empty_layer=True))

    def _declare(self, work: _Work, instruction: Instruction) -> None:
        """Set arguments to the passed value, else the default, else the global value."""
        passed, known = self._options.arguments, self._stages.arguments
        for name, default in stages.arguments_of(
            instruction, work.settings.variables, self._escape
        ):
            value = passed.get(name, default if default is not None else known.get(name))
            if value is not None:
                work.settings.arguments[name] = value
            shown = f"ARG {name}" if default is None else f"ARG {name}={default}"
            work.history.append(History(self._created, shown, empty_layer=True))

    def _run(self, work: _Work, instruction: Instruction, place: str) -> None:
        shown, command = running.command(instruction, work.settings)
        passed = self._options.arguments
        proxies = {name: passed[name] for name in stages.PREDEFINED if name in passed}
        environment = {**proxies, **work.settings.variables}
        mounts = running.mounts(instruction, work.settings)
        # A proxy belongs to the host, so its value is not an input of the step. (docker)
        definition = ["run", command, work.settings.variables, work.settings.user,
                      work.settings.directory, [each.text for each in mounts],
                      [each.content for each in instruction.heredocs]]  # fmt: skip
        network = running.network(instruction)
        step = Step(work.key, [*definition, network], [])
        with self._step(work, step, shown, place) as carry_out:
            if carry_out is None:
                return
            name = f"build-{uuid.uuid4().hex[:12]}"
            layers = self._store.snapshots.layers(work.chain_ids)
            sources = {each: self._layers_of(each) for each in running.sources(mounts)}
            with running.container(
                self._store.directory / "builds", name, layers or [self._empty()],
                running.Program(command, environment, work.settings.user, work.settings.directory,
                                network, instruction.heredocs),
                mounts, sources, self._options,
            ) as upper:  # fmt: skip
                carry_out(upper)

    def _copy(self, work: _Work, instruction: Instruction, place: str) -> None:
        from runtime.build import copying

        layers = self._store.snapshots.layers(work.chain_ids)
        plan = copying.plan(instruction, work.settings, layers)
        root, lower, ignored = self._source(plan.source)
        requests = [
            Request(
                root=str(root),
                lower=lower,
                sources=each.sources,
                destination=each.destination,
                into=each.into,
                owner=plan.owner,
                mode=plan.mode,
                parents=plan.parents,
                exclude=plan.exclude,
                ignored=ignored,
                latest_ns=self._latest_ns,
                unpack=instruction.keyword == "add",
            )
            for each in plan.groups
        ]
        files = [each for request in requests for each in json.loads(_read(request, "list"))]
        files += [[name, "100644", 0, 0, content] for name, content in plan.documents]
        definition = ["copy", plan.words, plan.owner, plan.mode]
        with self._step(work, Step(work.key, definition, files), plan.shown, place) as carry_out:
            if carry_out is not None:
                archives = [_archive_of(request) for request in requests]
                carry_out([*archives, *copying.written(plan, self._latest_ns)])

    def _make_directory(self, work: _Work, shown: str, place: str) -> bool:
        """Create the working directory in a new layer. Return False if it exists."""
        from runtime.build import copying

        directory = work.settings.directory
        if lookup.is_directory(self._store.snapshots.layers(work.chain_ids), directory):
            return False
        step = Step(work.key, ["workdir", directory], [])
        with self._step(work, step, shown, place) as carry_out:
            if carry_out is not None:
                carry_out([copying.directory(directory, self._latest_ns)])
        return True

    @contextmanager
    def _step(
        self, work: _Work, step: Step, shown: str, place: str
    ) -> Iterator[Callable[[Path | list[Iterable[bytes]]], None] | None]:
        """Yield a function that creates the layer of the step, or None if the step is cached.

        The function takes the writable layer of a container, or archives to unpack. At the end of
        the block the layer is added to the work.
        """
        cached = self._cached(step) if self._options.use_cache else None
        if self._options.explain and cached is None:
            self._options.tell(f"  not cached: {self._cache.explain(place, step)}")
        if cached:
            self._options.tell("  cached")
            yield None
        else:
            name = uuid.uuid4().hex[:20]
            self._lease.add(f"build:{name}")
            with self._store.snapshots.new(work.chain_ids, name) as new:

                def carry_out(made: Path | list[Iterable[bytes]]) -> None:
                    if isinstance(made, Path):
                        new.take(made, _size_bytes(made))
                    else:
                        for archive in made:
                            new.fill(archive, Limits())

                yield carry_out
                archive = layer_diff.archive(new.files, self._latest_ns)
                layer = assembly.add_layer(self._store, self._lease, archive)
                chain_ids = manifest.chain_ids([*work.diff_ids, layer.diff_id])
                cached = Cached(layer.blob, layer.diff_id, chain_ids)
                self._lease.add(cached.chain_ids[-1])
                new.commit(cached.chain_ids[-1])
            self._cache.keep(step, cached)
            if not self._options.explain:
                self._cache.explain(place, step)
        work.layers.append(cached.layer)
        work.diff_ids.append(cached.diff_id)
        work.key = step.key
        work.history.append(History(self._created, shown))

    def _cached(self, step: Step) -> Cached | None:
        """Return the cached result of a step if the store still has its layer."""
        found = self._cache.find(step)
        if found is None:
            return None
        self._lease.add(found.layer.digest, *found.chain_ids)
        is_unpacked = self._store.snapshots.has(found.chain_ids[-1])
        return found if is_unpacked and self._store.layout.has(found.layer) else None

    def _source(self, name: str | None) -> tuple[Path, list[str], list[str]]:
        """Return the root of COPY's sources, its layers relative to it, and the ignore rules."""
        if name is None:
            return self._options.context, [], list(self._options.ignored)
        if name in self._options.contexts:
            return self._options.contexts[name], [], []
        layers = [f"{each.parent.name}/{each.name}" for each in self._layers_of(name)]
        return self._store.snapshots.directory, layers, []

    def _layers_of(self, name: str) -> list[Path]:
        """Return the layers of a stage or an image, topmost first."""
        stage = self._stages.find(name)
        if stage and stage.number in self._works:
            return self._store.snapshots.layers(self._works[stage.number].chain_ids)
        image = self._store.image(str(parse_reference(name)), self._platform)
        self._lease.add(*image.chain_ids)
        return self._store.snapshots.layers(image.chain_ids)

    def _empty(self) -> Path:
        """Return an empty directory, the layer below RUN after `FROM scratch`."""
        path = self._store.directory / "builds" / "empty"
        path.mkdir(parents=True, exist_ok=True)
        return path


def _read(request: Request, task: str) -> bytes:
    return b"".join(_pieces(request, task))


def _archive_of(request: Request) -> Iterator[bytes]:
    return _pieces(request, "archive")


def _pieces(request: Request, task: str) -> Iterator[bytes]:
    """Yield the output of the process that reads sources. Raise InvalidConfig, ContainerError."""
    document = json.dumps(asdict(request))
    # Installed packages are needed for archives alone: `site` takes longer than most copies.
    flags = "-IXutf8" if request.unpack else "-ISXutf8"
    command = [sys.executable, flags, "-c", _PROGRAM, str(_PACKAGES), task, document]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        while piece := process.stdout.read(1 << 18):
            yield piece
        words = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode == 3:
        raise InvalidConfig(words.rstrip("."))
    if process.returncode != 0:
        raise ContainerError(f"The sources could not be read: {words or process.returncode}.")


def _size_bytes(directory: Path) -> int:
    total = 0
    for parent, _, names in os.walk(directory):
        total += sum(os.lstat(os.path.join(parent, name)).st_size for name in names)
    return total
