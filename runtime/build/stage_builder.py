"""The instructions of one stage, carried out in order.

RUN runs a container on top of the layers so far; its writable layer becomes the next layer. COPY
and ADD read their sources in a separate process and unpack them like a layer of an image.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from runtime.build import copying, git_source, run_mounts, running, settings, stages
from runtime.build.cancellation import Cancellation
from runtime.build.copying import Plan
from runtime.build.dockerfile import Instruction
from runtime.build.mount_sources import MountSources
from runtime.build.options import Options
from runtime.build.progress import Progress, StepProgress
from runtime.build.run_mounts import RunMount
from runtime.build.sources import Sources, Tree, entries, listed
from runtime.build.stages import Stage, Stages
from runtime.build.steps import Steps, Work
from runtime.build.workspace import Workspace
from runtime.errors import ContainerError, InvalidConfig
from runtime.images import lookup, tar_writer
from runtime.images.layer_cache import Step
from runtime.images.manifest import History
from runtime.images.store import Store


@dataclass(frozen=True, slots=True)
class Environment:
    """The things that all stages of a build share. `created` is the time of its steps."""

    store: Store
    options: Options
    stages: Stages
    escape: str
    created: str
    latest_ns: int | None
    workspace: Workspace
    sources: Sources
    steps: Steps
    progress: Progress
    cancellation: Cancellation


@dataclass(frozen=True, slots=True)
class _Input:
    """Files that an instruction copies: their description, and a function for their entries."""

    files: list[list[Any]]
    entries: Callable[[], Generator[bytes, None, None]]


class StageBuilder:
    """Builds one stage. `work` has the layers and the settings of its base."""

    def __init__(self, shared: Environment, stage: Stage, work: Work) -> None:
        self._shared = shared
        self._options = shared.options
        self._stage = stage
        self._work = work
        self._use_cache = shared.options.use_cache and not (
            {stage.title, str(stage.number)} & shared.options.uncached
        )
        binds = shared.store.directory / "build-mounts"
        self._mounts = MountSources(shared.sources, shared.options, binds, shared.cancellation)

    def build(self, triggers: Sequence[Instruction]) -> None:
        """Carry out the triggers of the base and the stage's own instructions.

        Raise InvalidConfig with the line of a wrong instruction, ContainerError, Cancelled.
        """
        instructions = [*triggers, *self._stage.instructions]
        for number, instruction in enumerate(instructions, start=1):
            self._shared.cancellation.check()
            words = " ".join(instruction.text.split())
            progress = self._shared.progress.begin(
                f"[{self._stage.title} {number}/{len(instructions)}] {words}"
            )
            try:
                self._carry_out(instruction, f"{self._stage.title}/{number}", progress)
            except InvalidConfig as error:
                where = "ONBUILD" if number <= len(triggers) else "Dockerfile"
                words = f"{where}:{instruction.first_line}: {str(error).rstrip('.')}."
                progress.say(f"ERROR: {words}")
                raise InvalidConfig(words) from None
            except ContainerError as error:
                progress.say(f"ERROR: {error}")
                raise

    def _carry_out(self, instruction: Instruction, place: str, progress: StepProgress) -> None:
        if instruction.keyword == "arg":
            self._declare(instruction)
        elif instruction.keyword == "run":
            self._run(instruction, place, progress)
        elif instruction.keyword in ("copy", "add"):
            self._copy(instruction, place, progress)
        else:
            shown = settings.shown(instruction, self._work.settings)
            settings.apply(self._work.settings, instruction)
            if instruction.keyword == "workdir" and self._made_directory(shown, place, progress):
                return
            self._remember(shown, empty=True)

    def _remember(self, shown: str, *, empty: bool = False) -> None:
        self._work.history.append(History(self._work.created, shown, empty_layer=empty))

    def _declare(self, instruction: Instruction) -> None:
        """Set arguments to the passed value, else the default, else the global value."""
        passed, known = self._options.arguments, self._shared.stages.arguments
        for name, default in stages.arguments_of(
            instruction, self._work.settings.variables, self._shared.escape
        ):
            value = passed.get(name, default if default is not None else known.get(name))
            if value is not None:
                self._work.settings.arguments[name] = value
            shown = f"ARG {name}" if default is None else f"ARG {name}={default}"
            self._remember(shown, empty=True)

    def _run(self, instruction: Instruction, place: str, progress: StepProgress) -> None:
        own = self._work.settings
        shown, command = running.command(instruction, own)
        network = running.network(instruction, self._options.network)
        is_insecure = running.is_insecure(instruction, self._options)
        mounts = run_mounts.parse(instruction, own)
        self._mounts.check(mounts)
        # A proxy belongs to the host, so its value is not an input of the step. (docker)
        definition = ["run", command, own.variables, own.user, own.directory,
                      [each.text for each in mounts],
                      [each.content for each in instruction.heredocs], network, is_insecure,
                      self._options.hosts, self._options.shared_memory_bytes,
                      self._options.limits]  # fmt: skip
        files = [row for each in mounts for row in self._files_of(each)]
        step = Step(self._work.key, definition, files)
        with (
            self._shared.steps.step(
                self._work, step, place, progress, use_cache=self._use_cache
            ) as carry_out,
            self._shared.workspace.scratch() as scratch,
        ):
            if carry_out is not None:
                with self._mounts.prepared(mounts, scratch) as prepared:
                    environment = {**self._proxies(), **own.variables, **prepared.variables}
                    program = running.Program(
                        command, environment, own.user, own.directory, network, is_insecure,
                        instruction.heredocs,
                    )  # fmt: skip
                    with running.container(
                        self._shared.workspace.containers, f"build-{uuid.uuid4().hex[:12]}",
                        self._layers() or [self._shared.workspace.empty], program, prepared.mounts,
                        self._options, progress, self._shared.cancellation,
                    ) as upper:  # fmt: skip
                        carry_out(upper)
        self._remember(shown)

    def _proxies(self) -> dict[str, str]:
        passed = self._options.arguments
        return {name: passed[name] for name in stages.PREDEFINED if name in passed}

    def _files_of(self, found: RunMount) -> list[list[Any]]:
        """Return what a step reads through a mount: files of a context, or layers."""
        if found.kind != "bind":
            return []
        tree = self._shared.sources.tree(found.origin)
        if tree.lower:
            return [[f"{found.target}/{number}", "", 0, 0, name]
                    for number, name in enumerate(tree.lower)]  # fmt: skip
        request = tree.request([found.source], found.target, into=True, keeps_destination=True)
        return listed(request)

    def _copy(self, instruction: Instruction, place: str, progress: StepProgress) -> None:
        plan = copying.plan(instruction, self._work.settings, self._layers())
        with self._shared.workspace.scratch() as scratch:
            inputs = list(self._inputs(plan, instruction.keyword, scratch))
            files = [row for each in inputs for row in each.files]
            definition = ["copy", plan.words, plan.owner, plan.mode, plan.new_directories]
            step = Step(self._work.key, definition, files)
            with self._shared.steps.step(
                self._work, step, place, progress, use_cache=self._use_cache
            ) as carry_out:
                if carry_out is not None:
                    with ExitStack() as stack:  # the processes that read end, even after a failure
                        archives = [stack.enter_context(closing(each.entries())) for each in inputs]
                        parents = copying.new_directories(plan, self._shared.latest_ns)
                        carry_out(chain(parents, *archives, (tar_writer.END,)))
        self._remember(plan.shown)

    def _inputs(self, plan: Plan, keyword: str, scratch: Path) -> Iterable[_Input]:
        """Yield the inputs of a copy: local files, files from URLs and repositories, texts."""
        if plan.sources:
            tree = self._shared.sources.tree(plan.origin)
            unpacks = keyword == "add" if plan.unpack is None else plan.unpack
            yield self._files(plan, tree, plan.sources, unpack=unpacks)
        for number, url in enumerate(plan.urls):
            yield self._downloaded(plan, url, scratch / f"url-{number}")
        for number, repository in enumerate(plan.repositories):
            yield self._checked_out(plan, repository, scratch / f"git-{number}")
        if plan.documents:
            rows: list[list[Any]] = [[name, "100644", 0, 0, text] for name, text in plan.documents]
            yield _Input(rows, lambda: copying.documents(plan, self._shared.latest_ns))

    def _files(self, plan: Plan, tree: Tree, sources: list[str], *, unpack: bool) -> _Input:
        request = tree.request(
            sources, plan.destination, into=plan.into, owner=plan.owner, mode=plan.mode,
            parents=plan.parents, keeps_destination=plan.keeps_destination, exclude=plan.exclude,
            latest_ns=self._shared.latest_ns, unpack=unpack,
        )  # fmt: skip
        return _Input(listed(request), lambda: entries(request))

    def _downloaded(self, plan: Plan, url: str, directory: Path) -> _Input:
        """Download a file, which gets the name of its URL if the destination is a directory."""
        directory.mkdir()
        path = directory / "file"
        download = self._shared.sources.downloads.fetch(url, path, plan.checksum)
        if plan.into:
            if not download.name:
                raise InvalidConfig(f"{url} has no file name: name the destination's")
            path = path.rename(directory / download.name)
        return self._files(plan, Tree(directory), [_literal(path.name)], unpack=bool(plan.unpack))

    def _checked_out(
        self, plan: Plan, repository: git_source.Repository, directory: Path
    ) -> _Input:
        """Return the files of a repository, which is cloned only if the step is not cached."""
        cancellation = self._shared.cancellation
        commit = git_source.commit_of(repository, cancellation)
        keeps = plan.keeps_history

        def checked_out() -> Generator[bytes, None, None]:
            found = git_source.check_out(
                repository, commit, directory, cancellation, keeps_history=keeps
            )
            request = Tree(found).request(
                ["/"], plan.destination, into=True, owner=plan.owner, mode=plan.mode,
                keeps_destination=plan.keeps_destination, exclude=plan.exclude,
                latest_ns=self._shared.latest_ns,
            )  # fmt: skip
            return entries(request)

        rows: list[list[Any]] = [[f"{repository.remote}:{repository.directory}", "", 0, 0, commit]]
        return _Input(rows, checked_out)

    def _made_directory(self, shown: str, place: str, progress: StepProgress) -> bool:
        """Create the working directory in a new layer. Return False if it exists."""
        directory = self._work.settings.directory
        if lookup.is_directory(self._layers(), directory):
            return False
        step = Step(self._work.key, ["workdir", directory], [])
        with self._shared.steps.step(
            self._work, step, place, progress, use_cache=self._use_cache
        ) as carry_out:
            if carry_out is not None:
                entry = copying.directory(directory, self._shared.latest_ns)
                carry_out(chain(entry, (tar_writer.END,)))
        self._remember(shown)
        return True

    def _layers(self) -> list[Path]:
        return self._shared.store.snapshots.layers(self._work.chain_ids)


def _literal(name: str) -> str:
    """Return a pattern that matches a name alone."""
    return "".join(f"\\{sign}" if sign in "*?[\\" else sign for sign in os.fsdecode(name))
