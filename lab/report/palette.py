"""The colour and the marker of each target, the same in every picture, and the page's colours.

Grey is native, cool colours are containers, warm colours are machines. Eyes that do not tell red
from green tell them by lightness; where two colours are close to such eyes, the markers differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    pass

INK, FAINT, GRID, EDGE, PAPER = "#1f2937", "#5b6472", "#e5e7eb", "#9ca3af", "#ffffff"


class Look(NamedTuple):
    """A target's colour on a white page and on a dark one, and its marker."""

    colour: str
    on_dark: str
    marker: str


LOOKS = {
    "native": Look("#64748b", "#cbd5e1", "P"),
    "container": Look("#0f766e", "#2dd4bf", "o"),
    "crun": Look("#0284c7", "#38bdf8", "s"),
    "runc": Look("#1e3a8a", "#93b4ff", "D"),
    "podman": Look("#7c4dff", "#c4b5fd", "^"),
    "docker": Look("#4d7c0f", "#a3e635", "v"),
    "lxc": Look("#155e75", "#67e8f9", "8"),
    "lxc-dir": Look("#0e9fb8", "#a5f3fc", "p"),
    "vm": Look("#b91c1c", "#f87171", "X"),
    "vm-tuned": Look("#7f1d1d", "#fca5a5", "*"),
    "microvm": Look("#c27400", "#fbbf24", "<"),
    "vm-restore": Look("#9d174d", "#f472b6", ">"),
    "microvm-restore": Look("#c2410c", "#fb923c", "h"),
    "qemu": Look("#e23d3d", "#fda4af", "d"),
    "qemu-microvm": Look("#9a7800", "#fde047", "H"),
    "virt-install": Look("#78350f", "#d6a77a", "p"),
    "uml": Look("#44403c", "#a8a29e", "P"),
}
_OTHER = Look(INK, "#e5e7eb", "o")
_NEUTRAL = {
    "ink": (INK, "#e5e7eb"), "faint": (FAINT, "#9ca3af"), "grid": (GRID, "#374151"),
    "edge": (EDGE, "#6b7280"), "paper": (PAPER, "#111827"),
}  # fmt: skip


def colour(target: str) -> str:
    """Return the target's colour, the same in every picture."""
    return LOOKS.get(target, _OTHER).colour


def marker(target: str) -> str:
    """Return the target's marker, the same in every picture."""
    return LOOKS.get(target, _OTHER).marker


def page_colours() -> dict[str, str]:
    """Return the text that a page has in place of each colour: a variable that CSS can set."""
    targets = {look.colour: f"var(--{name},{look.colour})" for name, look in LOOKS.items()}
    neutral = {light: f"var(--{name},{light})" for name, (light, _) in _NEUTRAL.items()}
    return targets | neutral


def dark_variables() -> str:
    """Return the variables of pictures on a dark page, for a rule of the page's style sheet."""
    targets = [f"--{name}:{look.on_dark}" for name, look in LOOKS.items()]
    neutral = [f"--{name}:{dark}" for name, (_, dark) in _NEUTRAL.items()]
    return ";".join([*targets, *neutral])
