"""The palette: told apart by eyes that do not tell red from green."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from lab.analysis import labels
from lab.report import palette
from lab.report.palette import LOOKS

# Machado, Oliveira and Fernandes, IEEE TVCG 2009: complete protanopia and deuteranopia, linear RGB.
EYES = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])
ENOUGH = 15.0  # CIE 1976; about 2.3 is just noticeable side by side


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def seen(colour: str, eyes: str) -> np.ndarray:
    """Return the colour as these eyes see it, in CIE L*a*b*."""
    x, y, z = TO_XYZ @ np.clip(np.array(EYES[eyes]) @ linear(colour), 0, 1) / WHITE
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours. (WCAG 2.2)"""
    lights = sorted(float(TO_XYZ[1] @ linear(each)) for each in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("eyes", EYES)
def test_targets_differ_in_colour_or_in_marker(eyes: str) -> None:
    for one, other in combinations(LOOKS, 2):
        if LOOKS[one].marker == LOOKS[other].marker:
            for place in ("colour", "on_dark"):
                first, second = (getattr(LOOKS[name], place) for name in (one, other))
                distance = np.linalg.norm(seen(first, eyes) - seen(second, eyes))
                assert distance >= ENOUGH, (one, other, place, distance)


def test_the_targets_of_most_runs_differ_in_their_markers() -> None:
    usual = ("native", "container", "crun", "runc", "podman", "docker", "vm", "microvm", "uml")
    markers = [palette.marker(name) for name in usual if name != "uml"]
    assert len(markers) == len(set(markers))


@pytest.mark.parametrize("name", LOOKS)
def test_marks_stand_out_from_the_page(name: str) -> None:
    assert contrast(LOOKS[name].colour, palette.PAPER) >= 3.0
    assert contrast(LOOKS[name].on_dark, "#111827") >= 4.5


def test_a_page_can_set_every_colour() -> None:
    dark = dict(pair.split(":") for pair in palette.dark_variables().split(";"))
    for light, variable in palette.page_colours().items():
        name = variable.removeprefix("var(").partition(",")[0]
        assert name in dark
        assert light in variable


def test_each_colour_stands_in_the_order_of_the_targets() -> None:
    assert labels.in_order(LOOKS) == list(LOOKS) == list(labels.ORDER)
    assert labels.in_order(["of mine", "vm", "native"]) == ["native", "vm", "of mine"]
