"""`tonnage vm`: errors of its command line, and empty lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.cli import exit_codes, main

pytestmark = pytest.mark.usefixtures("clean_state")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["vm", "run"],
            "Give an image (tonnage vm images lists them), --disk, --cdrom or --kernel",
        ),
        (["vm", "run", "nowhere"], "There is no image nowhere"),
        (["vm", "run", "--disk", "a,colour=red"], "--disk: there is no option 'colour'"),
        (["vm", "run", "--disk", "a", "--name", "a/b"], "name must be up to 48 letters"),
        (["vm", "run", "--disk", "a", "--name", "."], "name must be up to 48 letters"),
        (["vm", "run", "--disk", "a", "--name="], "name must be up to 48 letters"),
        (["vm", "run", "--kernel", "k", "--append", "caf\udce9"], "must be UTF-8 without control"),
        (
            ["vm", "create", "--disk", "a", "--connect", "test:///default", "--name", "a/b"],
            "name must be up to 48 letters",
        ),
        (
            ["vm", "rename", "--connect", "test:///default", "test", "a/b"],
            "name must be up to 48 letters",
        ),
        (["vm", "start", "--connect", "test:///default", "caf\udce9"], "is not valid UTF-8"),
        (
            ["vm", "run", "--disk", "a", "--network", "carrier"],
            "--network: there is no kind 'carrier'",
        ),
        (["vm", "run", "--disk", "a", "-p", "web"], "'web' is not a port mapping"),
        (["vm", "run", "--disk", "a", "--network", "none", "-p", "1:2"], "--publish needs"),
        (["vm", "run", "--disk", "a", "-v", "x"], "'x' is not a volume"),
        (["vm", "run", "--disk", "a", "--append", "quiet"], "need --kernel or an image"),
        (["vm", "run", "--disk", "a", "--ssh-key", "nowhere"], "Can't read nowhere"),
        (["vm", "run", "--connect", "qemu:///system", "x"], "run uses its own libvirt"),
        (["vm", "run", "--disk", "a", "--mac", "first"], "mac must be a unicast address"),
        (
            [
                "vm",
                "run",
                "--disk",
                "a",
                "--mac",
                "52:54:00:00:00:01",
                "--mac",
                "52:54:00:00:00:02",
            ],
            "--mac is given 2 times, but there are only 1 network cards",
        ),
        (
            [
                "vm",
                "run",
                "--disk",
                "a",
                "--network",
                "user",
                "--network",
                "passt",
                "--mac",
                "52:54:00:00:00:0A",
                "--mac",
                "52-54-00-00-00-0a",
            ],
            "networks contains 52:54:00:00:00:0a twice",
        ),
        (
            ["vm", "run", "--cdrom", "a", "--machine", "microvm", "--kernel", "k"],
            "cdroms is not supported on a microvm",
        ),
        (
            ["vm", "change-media", "--connect", "test:///default", "test"],
            "Give either an ISO to insert, or --eject",
        ),
        (
            ["vm", "change-media", "--connect", "test:///default", "test", "--eject"],
            "test has no CD-ROM drive",
        ),
        (
            ["vm", "undefine", "--connect", "test:///default", "test", "--remove-all-storage"],
            "test is running: shut it down first",
        ),
        (
            ["vm", "snapshot-delete", "--connect", "test:///default", "test", "x", "--metadata"],
            "test has no snapshot x",
        ),
        (["vm", "create", "x"], "--connect qemu:///system"),
        (["vm", "list", "--connect", "zeppelin:///x"], "Can't open libvirt at zeppelin:///x"),
        (["vm", "image", "import", "x", "nowhere"], "There is no file nowhere"),
        (["vm", "image", "remove", "x"], "There is no image x"),
        (["vm", "image", "resize", "x", "1G"], "There is no image x"),
    ],
)
def test_unusable_options_end_in_an_error(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if words[:2] == ["vm", "run"]:
        words = [*words, "--accel", "tcg"]
    assert main.main(words) == exit_codes.BAD_USAGE
    output = capsys.readouterr()
    assert sentence in output.err
    assert output.out == ""
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    "words",
    [["vm"], ["vm", "fly"], ["vm", "run", "--memory", "much"], ["vm", "run", "--cpus", "x"],
     ["vm", "image"], ["vm", "image", "resize", "x", "0"], ["vm", "list", "--format", "xml"]],
)  # fmt: skip
def test_bad_words_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(words)
    assert ended.value.code == exit_codes.BAD_USAGE
    assert "usage: tonnage vm" in capsys.readouterr().err


def test_the_default_uri_is_used_for_kept_machines_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """LIBVIRT_DEFAULT_URI does not affect run, and list prints machines of both kinds."""
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "test:///default")
    assert main.main(["vm", "run", "nowhere", "--accel", "tcg"]) == exit_codes.BAD_USAGE
    assert "There is no image nowhere" in capsys.readouterr().err
    assert main.main(["vm", "list", "--format", "json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["test"]


def test_lists_of_nothing_are_empty(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["vm", "list"], ["vm", "images"], ["vm", "image", "list"]):
        assert main.main([*words, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out) == []
    assert main.main(["vm", "list"]) == 0
    assert capsys.readouterr().out.split() == [
        "NAME", "STATE", "ACCELERATOR", "VCPUS", "MEMORY", "AUTOSTART",
    ]  # fmt: skip
