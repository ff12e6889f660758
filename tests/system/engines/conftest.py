"""Fixtures of podman and docker over the OCI runtime under test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.userland import root_tree
from tests.system.engines import engine as engines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.engines.engine import Engine


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of a small image."""
    target = Path(tmp_path_factory.mktemp("image")) / "image.tar"
    engines.pack_image(root_tree.build_tree(print), target)
    return target


@pytest.fixture(scope="module", params=("podman", "docker"))
def engine(request: pytest.FixtureRequest, image: Path) -> Iterator[Engine]:
    """Start an engine over the runtime under test; a module may choose others by indirect
    parametrization.
    """
    with engines.started(request.param, image, "e") as engine:
        yield engine
