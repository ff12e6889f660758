"""The modules that a command imports, since the start of a container waits for each."""

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
    """Return the modules loaded by a command on a container that does not exist."""
    result = subprocess.run(
        [sys.executable, "-IS", "-c", LOADED, PROJECT, "--root", tmp_path, *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(result.stdout.splitlines()[-1].split())


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


@pytest.mark.parametrize("verb", ["create", "run"])
def test_a_start_loads_at_once_what_it_uses(tmp_path: Path, verb: str) -> None:
    """Modules outside the image of a command are searched for one by one."""
    assert {
        "runtime.container.create",
        "runtime.process.init",
        "runtime.seccomp.cache",
        "runtime.cgroups.manager",
        "runtime.cgroups.device_rules",
    } <= loaded(tmp_path, verb, "none")


def test_names_of_the_package_come_when_they_are_asked_for() -> None:
    assert set(runtime.__all__) <= {name for name in runtime.__all__ if hasattr(runtime, name)}
    with pytest.raises(AttributeError, match="'runtime' has no attribute 'nothing'"):
        _ = runtime.nothing  # type: ignore[attr-defined]


def copy(package: Path, name: str) -> None:
    (package / f"{name}.py").write_bytes((PROJECT / f"runtime/{name}.py").read_bytes())


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Make a package `runtime` with our finder and a module `sample`, which prints its path."""
    package = tmp_path / "runtime"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "oci").mkdir()
    (package / "oci/__init__.py").touch()
    copy(package, "oci/module_finder")
    (package / "sample.py").write_text("print('first', __file__)\n")
    return package


def sample(package: Path, tracer: str = "") -> str:
    code = (
        f"import sys; sys.path.append({str(package.parent)!r})\n"
        f"from runtime.oci import module_finder\nmodule_finder.install()\n{tracer}\n"
        "import runtime.sample\n"
    )
    result = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_the_finder_reads_what_python_has_compiled(package: Path) -> None:
    """The second import does not compile the source."""
    assert sample(package) == f"first {package}/sample.py"
    kept = "module_finder.SourceFileLoader.get_code = None"
    assert sample(package, kept) == f"first {package}/sample.py"


def test_the_finder_follows_a_change_of_the_source(package: Path) -> None:
    sample(package)
    (package / "sample.py").write_text("print('second')\n")
    assert sample(package) == "second"
    (package / "sample.py").write_text("print('zebras')\n")  # the same size
    os.utime(package / "sample.py", (1, 1))
    assert sample(package) == "zebras"


@pytest.mark.parametrize("spoilt", [b"", b"nothing of the kind"])
def test_the_finder_does_without_a_compiled_file(package: Path, spoilt: bytes) -> None:
    sample(package)
    (compiled,) = (package / "__pycache__").glob("sample.*.pyc")
    compiled.write_bytes(spoilt)
    assert sample(package).startswith("first")


@pytest.fixture
def verbs(package: Path) -> Path:
    """Make a package with our images and a verb `sample`, which imports a helper."""
    for name in ("oci/module_image", "lazy"):
        copy(package, name)
    (package / "oci/commands").mkdir()
    (package / "oci/commands/__init__.py").touch()
    (package / "oci/commands/sample.py").write_text("from runtime.oci.commands import helper\n")
    (package / "oci/commands/helper.py").write_text("VALUE = 'first'\n")
    return package


def result_of_verb(package: Path) -> tuple[str, bool]:
    """Return the value in the verb's helper, and True if it was imported from an image."""
    code = (
        f"import sys; sys.path.append({str(package.parent)!r})\n"
        "from runtime.oci import module_finder\nmodule_finder.install()\n"
        "from runtime.oci.module_image import import_verb\n"
        "verb = import_verb('sample')\n"
        "assert verb.__file__ == sys.argv[1], verb.__file__\n"
        "assert verb.helper.__package__ == 'runtime.oci.commands'\n"
        "assert verb.helper.__spec__.name == 'runtime.oci.commands.helper'\n"
        "print(verb.helper.VALUE, sys.meta_path[0].imported[-1][0] == 'runtime.oci.module_image')"
    )
    result = subprocess.run(
        [sys.executable, "-IS", "-c", code, package / "oci/commands/sample.py"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    value, by_image = result.stdout.split()
    return value, by_image == "True"


def image_of(package: Path) -> Path:
    (path,) = (package / "__pycache__").glob("sample-v?.*.image")
    return path


def test_a_verb_is_imported_by_its_image(verbs: Path) -> None:
    assert result_of_verb(verbs) == ("first", False)
    assert result_of_verb(verbs) == ("first", True)


def test_an_image_does_not_outlive_a_change(verbs: Path) -> None:
    result_of_verb(verbs)
    (verbs / "oci/commands/helper.py").write_text("VALUE = 'changed'\n")
    assert result_of_verb(verbs) == ("changed", False)
    assert result_of_verb(verbs) == ("changed", True)
    (verbs / "oci/commands/helper.py").unlink()
    (verbs / "oci/commands/sample.py").write_text("class helper:\n    VALUE = 'gone'\n")
    with pytest.raises(subprocess.CalledProcessError):  # a class, not a module
        result_of_verb(verbs)


def test_an_image_that_was_copied_is_of_the_copy(verbs: Path, tmp_path: Path) -> None:
    result_of_verb(verbs)
    copy = tmp_path / "copy/runtime"
    shutil.copytree(verbs, copy)
    assert result_of_verb(copy) == ("first", True)
    (copy / "oci/commands/helper.py").write_text("VALUE = 'copied'\n")
    assert result_of_verb(copy) == ("copied", False)
    assert result_of_verb(verbs) == ("first", True)


@pytest.mark.parametrize("spoilt", [b"", b"nothing of the kind", bytes(4), b"\x20\0\0\0N"])
def test_an_image_that_is_none_is_made_anew(verbs: Path, spoilt: bytes) -> None:
    result_of_verb(verbs)
    image_of(verbs).write_bytes(spoilt)
    assert result_of_verb(verbs) == ("first", False)
    assert result_of_verb(verbs) == ("first", True)


def test_without_a_place_for_an_image_all_goes_on(verbs: Path) -> None:
    result_of_verb(verbs)
    image_of(verbs).unlink()
    shutil.rmtree(verbs / "__pycache__")
    (verbs / "__pycache__").touch()  # root could write to a directory
    assert result_of_verb(verbs) == ("first", False)
    assert result_of_verb(verbs) == ("first", False)


def test_an_object_in_lines() -> None:
    assert encode_lines({"a": 1, "b": {}, "c": {"d": ["e"]}}) == (
        '{\n  "a": 1,\n  "b": {},\n  "c": {\n    "d": ["e"]\n  }\n}'
    )
