"""The .dockerignore file of a context, or of a Dockerfile alone.

(docker, "Build context", ".dockerignore files")
"""

from __future__ import annotations

from pathlib import Path


def read(context: Path, dockerfile: Path | None = None) -> tuple[str, ...]:
    """Return the lines of DOCKERFILE.dockerignore, else those of .dockerignore in the context."""
    own = [dockerfile.with_name(f"{dockerfile.name}.dockerignore")] if dockerfile else []
    for path in (*own, context / ".dockerignore"):
        if path.is_file():
            lines = path.read_text("utf-8", errors="surrogateescape").splitlines()
            return tuple(line.removeprefix("\ufeff") for line in lines)
    return ()
