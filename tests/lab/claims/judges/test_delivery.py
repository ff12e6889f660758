"""Judges of images: the same everywhere, built and shared, moved to other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.claims.judging import FAILS, HOLDS, INCONCLUSIVE, UNTESTED, row
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from lab.results.run_folder import Run

BUILT, SAME, MOVES = "built from a Dockerfile", "development, test", "another platform"
ENGINE = {"build-cold": 2.0, "build-cached": 0.4, "push": 0.5, "pull-cold": 1.0, "same-image": 1.0}
UNITS = {"same-image": "integer", "same-user-land": "integer", "wire-cold": "byte",
         "image-compressed": "byte"}  # fmt: skip
FOOT = {"same-user-land", "image-compressed", "move"}


def on(
    path: Path,
    figures: dict[str, dict[str, float]],
    *failures: tuple[str, str],
    **settings: Any,
) -> Run:
    """Write a run of three rounds with these values by target and metric, and load it."""
    with RunFolder(path / "run", HOST, {**SETTINGS, **settings}) as made:
        made.append(
            Sample("footprint" if metric in FOOT else "delivery", target, metric,
                   UNITS.get(metric, "second"), number,
                   value if metric in UNITS else value * (1 + number / 1000), note="sha256:5")
            for number in range(3)
            for target, values in figures.items()
            for metric, value in values.items()
        )  # fmt: skip
        made.append(
            Sample("delivery", target, "pull-cold", "second", 0, None, censored=reason)
            for target, reason in failures
        )
    return run_folder.load(path / "run")


def test_images_are_built_and_shared_by_every_engine(tmp_path: Path) -> None:
    found = row(on(tmp_path, {"container": ENGINE, "docker": ENGINE}), BUILT)
    assert (found.verdict, found.reason) == (
        HOLDS, "built from a Dockerfile, pushed to a registry and pulled from one by container,"
        " docker",
    )  # fmt: skip
    assert found.measured[:2] == ("container build-cold 2 s", "container build-cached 400 ms")
    assert len(found.measured) == 8
    assert all("–" in interval for interval in found.interval)


def test_an_engine_that_failed_leaves_it_open(tmp_path: Path) -> None:
    found = row(on(tmp_path, {"container": ENGINE}, ("podman", "podman hung")), BUILT)
    assert (found.verdict, found.reason) == (INCONCLUSIVE, "podman failed: podman hung")


def test_a_pulled_image_with_another_id_is_a_failure(tmp_path: Path) -> None:
    other = {**ENGINE, "same-image": 0.0}
    run = on(tmp_path, {"container": ENGINE, "docker": other})
    for words in (BUILT, SAME):
        found = row(run, words)
        assert (found.verdict, found.reason) == (
            FAILS, "the image that was pulled differs from the pushed one in docker",
        )  # fmt: skip


def test_without_a_registry_the_reason_is_given(tmp_path: Path) -> None:
    found = row(on(tmp_path, {}, untested={"delivery": "docker-registry is not installed"}), BUILT)
    assert (found.verdict, found.reason) == (
        UNTESTED, "delivery can't be measured on this host: docker-registry is not installed",
    )  # fmt: skip


def test_an_older_run_has_no_delivery(tmp_path: Path) -> None:
    run = on(tmp_path, {"container": {"same-user-land": 1.0}}, experiments=["footprint"])
    found = row(run, BUILT)
    assert (found.verdict, found.reason) == (UNTESTED, "delivery was not measured in this run")
    found = row(run, SAME)
    assert found.verdict == HOLDS
    assert found.reason.startswith("the same digest in all of them (sha256:5); this covers files")


def test_files_and_ids_make_the_image_the_same(tmp_path: Path) -> None:
    figures = {"container": {"same-user-land": 1.0, "same-image": 1.0}, "runc": {"same-image": 1.0}}
    found = row(on(tmp_path, figures), SAME)
    assert found.verdict == HOLDS
    assert "every tool pulled the image that was pushed, by its ID" in found.reason
    assert len(found.measured) == 3
    different = {"container": {"same-user-land": 0.0, "same-image": 1.0}}
    assert row(on(tmp_path / "other", different), SAME).verdict == FAILS


def test_moving_is_judged_by_the_wire_and_else_by_copies(tmp_path: Path) -> None:
    new = {
        "container": {"wire-cold": 5e7, "pull-cold": 1.0, "image-compressed": 5e7, "move": 1.0},
        "vm": {"wire-cold": 9e7, "pull-cold": 1.5, "image-compressed": 9e7, "move": 0.5},
    }
    found = row(on(tmp_path, new), MOVES)
    assert found.verdict == HOLDS
    assert "bytes on the wire, seconds to fetch and unpack them" in found.reason
    old = {name: {key: each[key] for key in ("image-compressed", "move")}
           for name, each in new.items()}  # fmt: skip
    found = row(on(tmp_path / "older", old), MOVES)
    assert (found.verdict, found.reason) == (
        FAILS, "no more in move: a machine's disk is used as it was shipped (same user land: bytes"
        " as shipped, seconds to copy and unpack them)",
    )  # fmt: skip
    assert row(on(tmp_path / "none", {}), MOVES).verdict == UNTESTED
