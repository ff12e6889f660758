"""What a command imports: a start waits for each module."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runtime
from runtime.spec.json_structs import encode_lines

PROJECT = Path(__file__).parents[3]
LOADED = """
import sys
sys.path.append(sys.argv.pop(1))
from runtime.oci import module_finder
module_finder.install()
from runtime.oci.cli import main
main(sys.argv[1:])
print(*sorted(sys.modules))
"""


def loaded(tmp_path: Path, *words: str) -> set[str]:
    """The modules of a command about a container that is not there."""
    done = subprocess.run(
        [sys.executable, "-IS", "-c", LOADED, PROJECT, "--root", tmp_path, *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("verb", ["state", "start", "kill", "delete", "pause"])
def test_a_verb_does_not_load_what_others_use(tmp_path: Path, verb: str) -> None:
    modules = loaded(tmp_path, verb, "none")
    assert "runtime.container.container" in modules
    assert not modules & {
        "runtime.container.create",
        "runtime.process.init",
        "runtime.spec.config",
        "runtime.container.hooks",
    }
    assert not modules & {"json", "re", "typing", "ctypes", "_ctypes", "subprocess", "signal"}


def test_names_of_the_package_come_when_they_are_asked_for() -> None:
    assert set(runtime.__all__) <= {name for name in runtime.__all__ if hasattr(runtime, name)}
    with pytest.raises(AttributeError, match="'runtime' has no attribute 'nothing'"):
        _ = runtime.nothing  # type: ignore[attr-defined]


def copy(package: Path, name: str) -> None:
    (package / f"{name}.py").write_bytes((PROJECT / f"runtime/{name}.py").read_bytes())


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package `runtime` with our finder and a module `told`, which says what it is."""
    package = tmp_path / "runtime"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "oci").mkdir()
    (package / "oci/__init__.py").touch()
    copy(package, "oci/module_finder")
    (package / "told.py").write_text("print('first', __file__)\n")
    return package


def told(package: Path, tracer: str = "") -> str:
    code = (
        f"import sys; sys.path.append({str(package.parent)!r})\n"
        f"from runtime.oci import module_finder\nmodule_finder.install()\n{tracer}\n"
        "import runtime.told\n"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_finder_reads_what_python_has_compiled(package: Path) -> None:
    """The second time the source is not compiled any more."""
    assert told(package) == f"first {package}/told.py"
    kept = "module_finder.SourceFileLoader.get_code = None"
    assert told(package, kept) == f"first {package}/told.py"


def test_the_finder_follows_a_change_of_the_source(package: Path) -> None:
    told(package)
    (package / "told.py").write_text("print('second')\n")
    assert told(package) == "second"
    (package / "told.py").write_text("print('zebras')\n")  # of the same size
    os.utime(package / "told.py", (1, 1))
    assert told(package) == "zebras"


@pytest.mark.parametrize("spoilt", [b"", b"nothing of the kind"])
def test_the_finder_does_without_a_compiled_file(package: Path, spoilt: bytes) -> None:
    told(package)
    (compiled,) = (package / "__pycache__").glob("told.*.pyc")
    compiled.write_bytes(spoilt)
    assert told(package).startswith("first")


@pytest.fixture
def verbs(package: Path) -> Path:
    """A package with our images and a verb `told`, which imports a helper."""
    for name in ("oci/module_image", "lazy"):
        copy(package, name)
    (package / "oci/commands").mkdir()
    (package / "oci/commands/__init__.py").touch()
    (package / "oci/commands/told.py").write_text("from runtime.oci.commands import helper\n")
    (package / "oci/commands/helper.py").write_text("SAID = 'first'\n")
    return package


def said_by_verb(package: Path) -> tuple[str, bool]:
    """What the verb's helper says, and whether it came of an image."""
    code = (
        f"import sys; sys.path.append({str(package.parent)!r})\n"
        "from runtime.oci import module_finder\nmodule_finder.install()\n"
        "from runtime.oci.module_image import import_verb\n"
        "verb = import_verb('told')\n"
        "assert verb.__file__ == sys.argv[1], verb.__file__\n"
        "assert verb.helper.__package__ == 'runtime.oci.commands'\n"
        "assert verb.helper.__spec__.name == 'runtime.oci.commands.helper'\n"
        "print(verb.helper.SAID, sys.meta_path[0].imported[-1][0] == 'runtime.oci.module_image')"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code, package / "oci/commands/told.py"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said, by_image = done.stdout.split()
    return said, by_image == "True"


def image_of(package: Path) -> Path:
    (found,) = (package / "__pycache__").glob("told-v?.*.image")
    return found


def test_a_verb_is_imported_by_its_image(verbs: Path) -> None:
    assert said_by_verb(verbs) == ("first", False)
    assert said_by_verb(verbs) == ("first", True)


def test_an_image_does_not_outlive_a_change(verbs: Path) -> None:
    said_by_verb(verbs)
    (verbs / "oci/commands/helper.py").write_text("SAID = 'changed'\n")
    assert said_by_verb(verbs) == ("changed", False)
    assert said_by_verb(verbs) == ("changed", True)
    (verbs / "oci/commands/helper.py").unlink()
    (verbs / "oci/commands/told.py").write_text("class helper:\n    SAID = 'gone'\n")
    with pytest.raises(subprocess.CalledProcessError):  # it is in no package now
        said_by_verb(verbs)


def test_an_image_that_was_copied_is_of_the_copy(verbs: Path, tmp_path: Path) -> None:
    said_by_verb(verbs)
    copy = tmp_path / "copy/runtime"
    shutil.copytree(verbs, copy)
    assert said_by_verb(copy) == ("first", True)
    (copy / "oci/commands/helper.py").write_text("SAID = 'copied'\n")
    assert said_by_verb(copy) == ("copied", False)
    assert said_by_verb(verbs) == ("first", True)


@pytest.mark.parametrize("spoilt", [b"", b"nothing of the kind", bytes(4), b"\x20\0\0\0N"])
def test_an_image_that_is_none_is_made_anew(verbs: Path, spoilt: bytes) -> None:
    said_by_verb(verbs)
    image_of(verbs).write_bytes(spoilt)
    assert said_by_verb(verbs) == ("first", False)
    assert said_by_verb(verbs) == ("first", True)


def test_without_a_place_for_an_image_all_goes_on(verbs: Path) -> None:
    said_by_verb(verbs)
    image_of(verbs).unlink()
    shutil.rmtree(verbs / "__pycache__")
    (verbs / "__pycache__").touch()  # root may write anywhere else
    assert said_by_verb(verbs) == ("first", False)
    assert said_by_verb(verbs) == ("first", False)


def test_an_object_in_lines() -> None:
    assert encode_lines({"a": 1, "b": {}, "c": {"d": ["e"]}}) == (
        '{\n  "a": 1,\n  "b": {},\n  "c": {\n    "d": ["e"]\n  }\n}'
    )
