"""`dumpxml`, `define` and `edit`, on libvirt's own test driver."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli import exit_codes, main
from vms import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Hold a connection open, so that each command sees the same simulated host."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    address = "test:///default"
    with tempfile.TemporaryDirectory(dir="/tmp") as state:
        monkeypatch.setenv("TONNAGE_STATE", state)
        with Connection.open(Path(state) / "held", address):
            yield address


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Set EDITOR to a command with an argument."""
    program = tmp_path / "my editor"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("EDITOR", f"'{program}' --wait")


def left(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("*.xml"))


def test_the_description_is_printed(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["vm", "dumpxml", "--connect", uri, "test"]) == 0
    assert capsys.readouterr().out.startswith("<domain type='test' id='1'>")
    assert main.main(["vm", "dumpxml", "--connect", uri, "test", "--inactive"]) == 0
    assert capsys.readouterr().out.startswith("<domain type='test'>")


def test_a_machine_is_changed_by_the_users_editor(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    editor(tmp_path, monkeypatch, 'sed -i "s|<vcpu.*</vcpu>|<vcpu>3</vcpu>|" "$2"')
    assert main.main(["vm", "edit", "--connect", uri, "test"]) == 0
    assert "test is changed from its next start on" in capsys.readouterr().err
    main.main(["vm", "dumpxml", "--connect", uri, "test", "--inactive"])
    assert "<vcpu placement='static'>3</vcpu>" in capsys.readouterr().out
    assert left(tmp_path) == []


def test_an_unchanged_text_is_not_defined(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    editor(tmp_path, monkeypatch, "sleep 1.1")
    assert main.main(["vm", "edit", "--connect", uri, "test"]) == 0
    assert "test is unchanged" in capsys.readouterr().err
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ('sed -i "s|</domain>||" "$2"', "is not well-formed XML"),
        ('echo "<network/>" >"$2"', "must be <domain>, not <network>"),
        ('sed -i "s|<name>test|<name>other|" "$2"', "The name of test can't be edited"),
        ('sed -i "s|<uuid>.|<uuid>0|" "$2"', "The uuid of test can't be edited"),
        ('sed -i "s|<vcpu.*</vcpu>|<vcpu>many</vcpu>|" "$2"', "Can't define the machine"),
        (r'printf "\351" >"$2"', "is not valid UTF-8"),
        ("exit 3", "failed with exit code 3"),
        ("exit 0", "The editor ended at once: set EDITOR to a command that waits"),
        (
            """sed -i "s|</devices>|<disk type='file'><source file='/nowhere'/>"""
            """<target dev='vdz'/></disk></devices>|" "$2\"""",
            "Can't read /nowhere",
        ),
    ],
)
def test_a_rejected_text_is_kept(
    uri: str, script: str, sentence: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    main.main(["vm", "dumpxml", "--connect", uri, "test", "--inactive"])
    before = capsys.readouterr().out
    editor(tmp_path, monkeypatch, script)
    assert main.main(["vm", "edit", "--connect", uri, "test"]) == exit_codes.BAD_USAGE
    output = capsys.readouterr().err
    (file,) = left(tmp_path)
    assert sentence in output
    assert f"test is unchanged. Your text is kept in {file}" in output
    assert file.read_bytes()
    main.main(["vm", "dumpxml", "--connect", uri, "test", "--inactive"])
    assert capsys.readouterr().out == before


def test_a_missing_editor(
    uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISUAL", "no-such-editor")
    assert main.main(["vm", "edit", "--connect", uri, "test"]) == exit_codes.BAD_USAGE
    assert "Can't run the editor 'no-such-editor'" in capsys.readouterr().err


def test_a_machine_is_defined_from_a_file(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.xml"
    file.write_text(
        "<domain type='test'><name>defined</name><memory>1</memory><os><type>hvm</type></os>"
        "</domain>"
    )
    assert main.main(["vm", "define", "--connect", uri, str(file)]) == 0
    assert "defined is defined" in capsys.readouterr().err
    file.write_text(file.read_text().replace("defined<", "a b<"))
    assert main.main(["vm", "define", "--connect", uri, str(file)]) == exit_codes.BAD_USAGE
    assert "name must be up to 48" in capsys.readouterr().err
    assert main.main(["vm", "define", "--connect", uri, "nowhere"]) == exit_codes.BAD_USAGE
    assert "Can't read nowhere" in capsys.readouterr().err
