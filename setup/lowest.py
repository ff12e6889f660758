"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

Linters are left out: their reports differ between versions, and the tests don't need them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent
_LOWER_BOUND = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)(?P<marker>;.*)?$")


def constraints(text: str) -> list[str]:
    """Return a constraint for each dependency. Raises ValueError for one without a lower bound."""
    project = tomllib.loads(text)["project"]
    lines = []
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        bound = _LOWER_BOUND.match(requirement)
        if not bound:
            raise ValueError(f"pyproject.toml: {requirement}: needs a lower bound, as in name>=1.0")
        lines.append(f"{bound[1]}=={bound[2]}{bound['marker'] or ''}")
    return lines


if __name__ == "__main__":
    print(*constraints((PROJECT / "pyproject.toml").read_text(encoding="utf-8")), sep="\n")
