"""`make demo`: its small environment has all that a replayed race imports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTED = """
import contextlib, io, json, sys
from lab.cli.main import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["race", "--replay", "results/2026-11-29-vm", "--lang", "zh", "--speed", "1000"])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def closure(names: list[str]) -> set[str]:
    """Return distributions with all that they require, without extras."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name not in found:
            found.add(name)
            for each in metadata.requires(name) or []:
                if "extra ==" not in each and ("python_version" not in each):
                    left.append(re.match(r"[\w.-]+", each)[0])  # type: ignore[index]
    return found


def test_the_demonstration_installs_what_it_imports() -> None:
    line = re.search(r"^DEMO_NEEDS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line
    installed = closure(line[1].split())
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    owners = metadata.packages_distributions()
    needed = {
        re.sub(r"[-_.]+", "-", owner).lower()
        for module in json.loads(done.stdout)
        for owner in owners.get(module, ())
    }
    ours = {"tonnage", "setuptools", "pip"}
    for module in ("_virtualenv", "_distutils_hack"):
        ours |= {owner.lower() for owner in owners.get(module, ())}
    assert needed - ours <= installed


def test_an_old_python_is_named_before_anything_is_set_up(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "--file", ROOT / "Makefile", "demo", f"PYTHON={old}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.startswith("Python 3.11 or newer is needed: make PYTHON=python3.12")
    assert list(tmp_path.iterdir()) == [old]
