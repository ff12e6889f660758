"""ADD and contexts from a git repository, by the git program.

A repository is named by `https://…/NAME.git`, `git://…`, `ssh://…` or `USER@HOST:PATH`, followed by
`#REF:DIRECTORY`. (docker, "Dockerfile reference", "Adding files from a Git repository"; "Build
context", "Git repositories")
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from runtime.build.cancellation import Cancellation
from runtime.errors import InvalidConfig, Unavailable

_USER_AT_HOST = re.compile(r"[A-Za-z0-9_-]+@[A-Za-z0-9.-]+:.+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEMES = ("git", "ssh")
_HOSTS = ("github.com/",)
_OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "http:https:git:ssh",
    "GIT_OPTIONAL_LOCKS": "0",
}


@dataclass(frozen=True, slots=True)
class Repository:
    """A directory of a repository at a branch, tag or commit; an empty version is its default."""

    remote: str
    version: str
    directory: str


def parse(text: str, *, as_context: bool = False) -> Repository | None:
    """Return the repository that a source names, or None for another source.

    A context may also be named as `github.com/OWNER/NAME`. Raise InvalidConfig.
    """
    if as_context and text.startswith(_HOSTS):
        text = f"https://{text}"
        is_named = True
    else:
        is_named = False
    remote, _, fragment = text.partition("#")
    scheme, separator, _ = remote.partition("://")
    if separator:
        path = urllib.parse.urlsplit(remote).path
        is_web = scheme in ("http", "https") and (path.endswith(".git") or is_named)
        if not is_web and scheme not in _SCHEMES:
            return None
    elif not _USER_AT_HOST.fullmatch(remote):
        return None
    version, _, directory = fragment.partition(":")
    if version.startswith("-"):
        raise InvalidConfig(f"{text}: {version!r} is no branch, tag or commit.")
    return Repository(remote, version, directory.strip("/"))


def commit_of(repository: Repository, cancellation: Cancellation) -> str:
    """Return the commit that a version names now. Raise InvalidConfig, Unavailable."""
    version = repository.version or "HEAD"
    if _COMMIT.fullmatch(version):
        return version
    patterns = [version, f"{version}^{{}}"]  # the latter is the commit of an annotated tag
    answer = _git(["ls-remote", "--", repository.remote, *patterns], cancellation)
    found = {}
    for line in answer.splitlines():
        commit, _, name = line.partition("\t")
        found[name] = commit
    for name in (
        f"refs/tags/{version}^{{}}", f"{version}^{{}}", f"refs/tags/{version}", version,
        f"refs/heads/{version}",
    ):  # fmt: skip
        if name in found:
            return found[name]
    raise InvalidConfig(f"{repository.remote} has no branch and no tag {version!r}.")


def check_out(
    repository: Repository,
    commit: str,
    target: Path,
    cancellation: Cancellation,
    *,
    keeps_history: bool = False,
) -> Path:
    """Write the files of a commit below `target`, and return the directory that was asked for.

    Submodules are checked out too. All files get the time of the commit. Raise InvalidConfig,
    Unavailable.
    """
    _git(["init", "--quiet", "--template=", str(target)], cancellation)
    inside = ["-C", str(target)]
    remote = repository.remote
    _git([*inside, "remote", "add", "origin", remote], cancellation)
    try:
        _git([*inside, "fetch", "--quiet", "--depth=1", "origin", commit], cancellation)
    except Unavailable:
        # Some servers send neither single commits nor shallow histories.
        refs = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        _git([*inside, "fetch", "--quiet", "origin", *refs], cancellation)
    _git([*inside, "-c", "advice.detachedHead=false", "checkout", "--quiet", commit], cancellation)
    if (target / ".gitmodules").exists():
        options = ["--quiet", "--init", "--recursive", "--depth=1"]
        _git([*inside, "submodule", "update", *options], cancellation)
    seconds = int(_git([*inside, "show", "--no-patch", "--format=%ct", commit], cancellation))
    if not keeps_history:
        _remove_histories(target)
    _set_times(target, seconds)
    found = (target / repository.directory).resolve()
    if not found.is_relative_to(target.resolve()) or not found.is_dir():
        raise InvalidConfig(f"{remote} has no directory {repository.directory!r} at {commit}.")
    return found


def _git(arguments: list[str], cancellation: Cancellation) -> str:
    """Return the output of git. Raise Unavailable if it is missing or fails."""
    if not shutil.which("git"):
        raise Unavailable("git is not installed, which reads git repositories.")
    with subprocess.Popen(
        ["git", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", umask=0o022,
        env=_environment(),
    ) as process, cancellation.stopping(process.kill):  # fmt: skip
        output, errors = process.communicate()
    cancellation.check()
    if process.returncode != 0:
        lines = errors.strip().splitlines()
        words = lines[-1] if lines else f"exit code {process.returncode}"
        raise Unavailable(f"git failed: {words.rstrip('.')}.")
    return output


def _environment() -> dict[str, str]:
    """Return the environment without variables that name another repository."""
    kept = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    return kept | _ENVIRONMENT


def _remove_histories(directory: Path) -> None:
    """Remove .git of the repository and of its submodules."""
    for path in sorted(directory.rglob(".git")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _set_times(directory: Path, seconds: int) -> None:
    """Set the times of all files, so that the same commit gives the same layer."""
    for parent, directories, names in os.walk(directory, topdown=False):
        for name in (*directories, *names):
            os.utime(os.path.join(parent, name), (seconds, seconds), follow_symlinks=False)
    os.utime(directory, (seconds, seconds))
