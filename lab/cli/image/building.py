"""`tonnage image build`, with docker's options."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from runtime.images.store import Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add build."""
    build = verbs.add_parser("build", parents=[common], help="build an image from a Dockerfile")
    build.add_argument(
        "context", type=Path, metavar="CONTEXT", help="the directory that COPY and ADD read"
    )
    build.add_argument(
        "-f", "--file", type=Path, metavar="FILE", help="default: CONTEXT/Dockerfile; -: from stdin"
    )
    build.add_argument(
        "-t",
        "--tag",
        action="append",
        default=[],
        metavar="NAME",
        help="may be given several times",
    )
    build.add_argument("--target", metavar="STAGE", help="the stage to build; default: the last")
    build.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME[=VALUE]",
        help="the value of an ARG; without =VALUE that of the environment",
    )  # fmt: skip
    build.add_argument(
        "--secret", action="append", default=[], metavar="id=NAME,src=FILE",
        help="a file for RUN --mount=type=secret, which stays out of the image",
    )  # fmt: skip
    build.add_argument(
        "--build-context", action="append", default=[], metavar="NAME=DIR",
        help="a directory that COPY --from=NAME copies from",
    )  # fmt: skip
    build.add_argument("--no-cache", action="store_true", help="ignore the cache")
    build.add_argument("--explain", action="store_true", help="print why a step is not cached")
    build.add_argument("-q", "--quiet", action="store_true", help="print only the image's ID")
    build.set_defaults(image_verb=_build)


def _build(options: argparse.Namespace, store: Store) -> int:
    from runtime.build.builder import build
    from runtime.build.options import Options

    context = options.context
    if not context.is_dir():
        raise LabError(f"The context {context} is not a directory.")
    with Path(os.devnull).open("wb") as nothing:
        image = build(
            store,
            Options(
                context=context.resolve(),
                dockerfile=_dockerfile(options),
                names=tuple(options.tag),
                target=options.target,
                arguments=_arguments(options.build_arg),
                secrets={key: Path(value) for key, value in _secrets(options.secret)},
                contexts={key: Path(value) for key, value in _pairs(options.build_context)},
                ignored=_ignored(context, options.file),
                epoch_seconds=_epoch_seconds(),
                use_cache=not options.no_cache,
                explain=options.explain,
                tell=(lambda _: None) if options.quiet else _tell,
                output=nothing.fileno() if options.quiet else sys.stderr.fileno(),
            ),
        )
    print(image.id if options.quiet else f"{image.name or '<none>'}  {image.id}")
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _dockerfile(options: argparse.Namespace) -> str:
    path = options.file or options.context / "Dockerfile"
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except OSError as error:
        raise LabError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise LabError(f"{path} is not UTF-8.") from None


def _ignored(context: Path, file: Path | None) -> tuple[str, ...]:
    """Return the lines of FILE.dockerignore if it is there, else those of CONTEXT/.dockerignore."""
    own = [file.with_name(f"{file.name}.dockerignore")] if file and str(file) != "-" else []
    for path in (*own, context / ".dockerignore"):
        if path.is_file():
            lines = path.read_text("utf-8", errors="surrogateescape").splitlines()
            return tuple(line.removeprefix("\ufeff") for line in lines)
    return ()


def _arguments(words: Sequence[str]) -> dict[str, str]:
    """Return build arguments. Without a value, take that of the environment if it is set."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise LabError(f"--build-arg {word!r} has no name.")
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
    return found


def _secrets(words: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for word in words:
        fields = dict(part.partition("=")[::2] for part in word.split(","))
        path = fields.get("src") or fields.get("source") or fields.get("id", "")
        if "id" not in fields or not Path(path).is_file():
            raise LabError(f"--secret {word!r} is not id=NAME,src=FILE with a file that is there.")
        found.append((fields["id"], path))
    return found


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for word in words:
        name, _, directory = word.partition("=")
        if not name or not Path(directory).is_dir():
            raise LabError(
                f"--build-context {word!r} is not NAME=DIR with a directory that is there."
            )
        found.append((name, str(Path(directory).resolve())))
    return found


def _epoch_seconds() -> int | None:
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return None
    if not text.isdigit():
        raise LabError(f"SOURCE_DATE_EPOCH is {text!r}, which is not a number of seconds.")
    return int(text)
