"""`tonnage image build`, with docker's options."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lab.cli.image import build_options, build_values
from lab.errors import InvalidConfig, LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from lab.cli.image.build_values import Output
    from runtime.build.options import Options
    from runtime.build.workspace import Workspace
    from runtime.images.reference import Reference
    from runtime.images.store import Image, Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_STDIN = "-"


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add build."""
    build = verbs.add_parser("build", parents=[common], help="build an image from a Dockerfile")
    build_options.add(build)
    build.set_defaults(image_verb=_build)


def _build(options: argparse.Namespace, store: Store) -> int:
    from runtime.build.builder import build, built
    from runtime.build.exporting import export_archive, export_directory

    output = build_values.output(options.output)
    for path in (options.iidfile, options.metadata_file):
        if path:
            path.unlink(missing_ok=True)
    with ExitStack() as stack:
        found = _options(options, store, output, stack)
        if output.kind == "local":
            with built(store, found) as result:
                export_directory(store, result, Path(output.destination))
            return 0
        if output.kind == "tar":
            with built(store, found) as result, _opened(output.destination) as file:
                export_archive(store, result, file)
            return 0
        image = build(store, found)
    if output.kind in ("docker", "oci"):
        _save(store, image, output.destination)
    _report(options, image, found.names, output)
    return 0


def _options(
    options: argparse.Namespace, store: Store, output: Output, stack: ExitStack
) -> Options:
    """Return the options of the build. What they need lasts as long as the stack."""
    from runtime.build.options import Options
    from runtime.build.stages import check_platform
    from runtime.images.store import host_platform

    if options.cache_to:
        raise InvalidConfig("--cache-to is not supported: steps are cached in the store itself.")
    if options.jobs is not None and options.jobs < 1:
        raise InvalidConfig("--jobs is 1 at least.")
    if options.platform:
        check_platform(options.platform, host_platform())
    names = (*options.tag, *output.names)
    if output.kind in ("docker", "oci") and not names:
        raise InvalidConfig(f"--output type={output.kind} needs a name: pass --tag.")
    quiet = options.quiet or options.progress == "quiet"
    if options.cache_from and not quiet:
        _tell("--cache-from is ignored: steps are cached in the store itself")
    found = Options(
        context=Path(),
        dockerfile="",
        names=names,
        target=options.target,
        arguments=build_values.arguments(options.build_arg),
        labels=build_values.pairs(options.label, "--label"),
        annotations=build_values.manifest_annotations(options.annotation),
        secrets=build_values.secrets(options.secret),
        contexts=build_values.contexts(options.build_context),
        pull="always" if options.pull else "missing",
        fetch=_fetch(options, store),
        network=options.network,
        hosts=build_values.hosts(options.add_host),
        shared_memory_bytes=build_values.shared_memory_bytes(options.shm_size),
        limits=build_values.limits(options.ulimit),
        allows_insecure=build_values.allowed(options.allow),
        jobs=options.jobs or len(os.sched_getaffinity(0)),
        epoch_seconds=build_values.epoch_seconds(),
        use_cache=not options.no_cache,
        uncached=frozenset(name for each in options.no_cache_filter for name in each.split(",")),
        explain=options.explain,
        tell=(lambda _: None) if quiet else _tell,
    )
    sockets = build_values.agents(options.ssh)
    context, text, ignored = _context(options, store, stack)
    return replace(
        found, context=context, dockerfile=text, ignored=ignored,
        agents=_agents(sockets, store, stack),
    )  # fmt: skip


def _context(
    options: argparse.Namespace, store: Store, stack: ExitStack
) -> tuple[Path, str, tuple[str, ...]]:
    """Return the directory of the context, the Dockerfile's text, and the ignore rules."""
    from runtime.build import ignore_file, remote_context

    if options.context == options.file == _STDIN:
        raise InvalidConfig("The context and the Dockerfile can't both be standard input.")
    directory = Path(options.context)
    is_fetched = options.context == _STDIN
    if not is_fetched and not directory.is_dir():
        is_fetched = remote_context.is_remote(options.context)
        if not is_fetched:
            raise LabError(f"The context {directory} is not a directory.")
    if options.context == _STDIN:
        directory = _workspace(store, stack).new_directory()
        remote_context.unpack(sys.stdin.buffer, directory)
    elif is_fetched:
        from runtime.build.cancellation import Cancellation
        from runtime.build.downloads import Downloads

        cancellation = Cancellation()
        kept = Downloads(store.directory / "build-downloads", cancellation.check)
        scratch = _workspace(store, stack).new_directory()
        directory = remote_context.fetch(options.context, scratch, kept, cancellation)
    directory = directory.resolve()
    if options.file == _STDIN:
        return directory, sys.stdin.read(), ignore_file.read(directory)
    path = _dockerfile(options.file, directory, is_fetched=is_fetched)
    return directory, _text(path), ignore_file.read(directory, path)


def _dockerfile(name: str | None, directory: Path, *, is_fetched: bool) -> Path:
    """Return the path of the Dockerfile. In a fetched context it lies inside."""
    if name is None:
        return directory / "Dockerfile"
    if not is_fetched:
        return Path(name)
    path = (directory / name).resolve()
    if not path.is_relative_to(directory):
        raise InvalidConfig(f"{name} leads out of the context.")
    return path


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise LabError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise LabError(f"{path} is not UTF-8.") from None


def _agents(sockets: dict[str, list[Path]], store: Store, stack: ExitStack) -> dict[str, Path]:
    """Return a socket for each id. Start agents for keys."""
    from runtime.build.ssh_agent import agent_of

    if not sockets:
        return {}
    own = _workspace(store, stack)
    return {
        name: stack.enter_context(agent_of(paths, own.new_directory()))
        for name, paths in sockets.items()
    }


def _workspace(store: Store, stack: ExitStack) -> Workspace:
    from runtime.build.workspace import workspace

    return stack.enter_context(workspace(store.directory / "builds"))


def _fetch(options: argparse.Namespace, store: Store) -> Callable[[Reference], Image]:
    """Return a function that pulls a base image."""

    def fetch(reference: Reference) -> Image:
        from runtime.images.pull import pull
        from runtime.images.registry import credentials
        from runtime.images.registry.http import Options as Reached
        from runtime.images.registry.repository import Repository

        known = credentials.find(reference.registry)
        reached = Reached(known, options.ca, insecure=options.tls_verify == "false")
        return pull(store, reference, Repository(reference, reached))

    return fetch


@contextmanager
def _opened(destination: str) -> Iterator[IO[bytes]]:
    """Yield standard output, or a file that gets its name when it is complete."""
    if destination == _STDIN:
        if sys.stdout.isatty():
            raise LabError("Refused to write an archive to a terminal: name a file.")
        yield sys.stdout.buffer
        return
    path = Path(destination)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            yield file
        aside.rename(path)
    except OSError as error:
        raise LabError(f"{path} can't be written: {error.strerror}.") from error
    finally:
        aside.unlink(missing_ok=True)


def _save(store: Store, image: Image, destination: str) -> None:
    from runtime.images.archives import save

    with _opened(destination) as file:
        save(store, [image.name], file)


def _report(
    options: argparse.Namespace, image: Image, names: tuple[str, ...], output: Output
) -> None:
    """Print the image, and write the files that scripts read."""
    from runtime.images.reference import parse

    full = [str(parse(name)) for name in names]
    if options.iidfile:
        _write(options.iidfile, image.id)
    if options.metadata_file:
        document = {
            "containerimage.config.digest": image.id,
            "containerimage.digest": image.descriptor.digest,
            "image.name": ",".join(full),
        }
        _write(options.metadata_file, json.dumps(document, indent=2) + "\n")
    if options.quiet or options.progress == "quiet":
        print(image.id)
    elif output.destination != _STDIN:
        print(f"{image.name or '<none>'}  {image.id}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise LabError(f"{path} can't be written: {error.strerror}.") from error


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
