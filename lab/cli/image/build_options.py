"""The options of `tonnage image build`, which are docker's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "context",
        metavar="CONTEXT",
        help="the directory that COPY and ADD read; a git repository or a URL; -: an archive, or a"
        " Dockerfile alone, on standard input",
    )
    parser.add_argument(
        "-f", "--file", metavar="FILE", help="default: CONTEXT/Dockerfile; -: standard input"
    )
    parser.add_argument("--target", metavar="STAGE", help="the stage to build; default: the last")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="stages to build at once; default: one for each CPU")  # fmt: skip
    parser.add_argument("--explain", action="store_true", help="print why a step is not cached")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the image's ID")
    parser.add_argument(
        "--progress", choices=("auto", "plain", "tty", "quiet"), default="auto",
        help="quiet: as -q; all others: plain lines",
    )  # fmt: skip
    _add_inputs(parser)
    _add_results(parser)
    _add_cache(parser)
    _add_run(parser)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    _add_list(parser, "--build-arg", "NAME[=VALUE]",
              "the value of an ARG; without =VALUE that of the environment")  # fmt: skip
    _add_list(parser, "--secret", "id=NAME[,src=FILE|,env=NAME]",
              "a secret for RUN --mount=type=secret, which stays out of the image")  # fmt: skip
    _add_list(parser, "--ssh", "default|ID=SOCKET|ID=KEY[,KEY…]",
              "an agent or keys for RUN --mount=type=ssh; default: $SSH_AUTH_SOCK")  # fmt: skip
    _add_list(parser, "--build-context", "NAME=CONTEXT",
              "a directory, docker-image://IMAGE, oci-layout://DIR or a URL that NAME stands for"
              " in FROM and --from")  # fmt: skip
    parser.add_argument("--pull", action="store_true",
                        help="pull base images even if the store has them")  # fmt: skip
    parser.add_argument("--tls-verify", choices=("true", "false"), default="true",
                        help="false: allow registries with plain HTTP")  # fmt: skip
    parser.add_argument("--ca", type=Path, metavar="FILE",
                        help="trust these certificates of registries too")  # fmt: skip
    parser.add_argument("--platform", metavar="OS/ARCH", help="this host's: others are refused")


def _add_results(parser: argparse.ArgumentParser) -> None:
    _add_list(parser, "--tag", "NAME", "may be given several times", "-t")
    _add_list(parser, "--label", "NAME=VALUE", "a label of the image")
    _add_list(parser, "--annotation", "NAME=VALUE", "an annotation of the manifest")
    _add_list(parser, "--output", "DIR|-|type=KIND,dest=PATH",
              "the files in a directory (local) or an archive (tar), or the image in an archive"
              " (docker, oci); default: the store", "-o")  # fmt: skip
    parser.add_argument("--iidfile", type=Path, metavar="FILE", help="write the image's ID to it")
    parser.add_argument("--metadata-file", type=Path, metavar="FILE",
                        help="write digests and names to it, as JSON")  # fmt: skip


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-cache", action="store_true", help="ignore the cache")
    _add_list(parser, "--no-cache-filter", "STAGE[,STAGE]", "ignore the cache in these stages")
    _add_list(parser, "--cache-from", "SOURCE", "ignored: the cache is in the store")
    _add_list(parser, "--cache-to", "TARGET", "refused: the cache is in the store")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--network", choices=("default", "host", "none"), default="default",
                        help="of RUN; the default is the host's")  # fmt: skip
    _add_list(parser, "--add-host", "NAME:ADDRESS", "a line of /etc/hosts during RUN")
    parser.add_argument("--shm-size", metavar="SIZE", help="of /dev/shm during RUN, such as 64m")
    _add_list(parser, "--ulimit", "NAME=SOFT[:HARD]", "a resource limit of RUN")
    _add_list(parser, "--allow", "ENTITLEMENT", "security.insecure: allow RUN --security=insecure")


def _add_list(
    parser: argparse.ArgumentParser, name: str, metavar: str, text: str, *short: str
) -> None:
    parser.add_argument(*short, name, action="append", default=[], metavar=metavar, help=text)
