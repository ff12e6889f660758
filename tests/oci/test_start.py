"""Two processes that start one container, and demands that can't be fulfilled."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import DEADLINE_SECONDS, sleeps, waited_for

if TYPE_CHECKING:
    from tests.oci.driver import Bundle, Result

HOOKS = {"startContainer": [{"path": "/bin/sleep", "args": ["sleep", "0.5"]}]}
MONTH_SECONDS = 30 * 86400


def starting(bundle: Bundle) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [bundle.runtime.command, "--root", bundle.runtime.root, "start", bundle.identity],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("hooks", [{}, HOOKS], ids=["plain", "while a hook runs"])
def test_of_two_starts_one_wins(bundle: Bundle, hooks: dict[str, object]) -> None:
    """The other prints one sentence, and does no harm."""
    bundle.config["hooks"] = hooks
    bundle.shell("exec sleep 60")
    bundle.created()
    both = [starting(bundle) for _ in range(4)]
    output = [process.communicate(timeout=DEADLINE_SECONDS)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1, 1, 1]
    for text in sorted(output)[1:]:
        assert text in {
            f"tonnage-oci: The container {bundle.identity} is being started by another process.\n",
            f"tonnage-oci: The container {bundle.identity} is running: it can't be started.\n",
        }
    assert bundle.state()["status"] == "running"


def test_a_start_that_was_killed_before_it_could_say_so(bundle: Bundle) -> None:
    """The program runs, and the next start finds it running."""
    bundle.shell("exec sleep 60")
    bundle.created()
    directory = bundle.runtime.root / bundle.identity
    with (directory / "start").open("wb", buffering=0) as gate:
        gate.write((1).to_bytes(8, "little"))
    pid = bundle.state()["pid"]
    waited_for(lambda: sleeps(pid), "it runs")
    result = bundle.start()
    assert result.exit_code == 1
    assert "is running: it can't be started." in result.stderr
    assert bundle.state()["status"] == "running"


# Files that can't be written to, durations that can't be waited for, names that are not valid.


def refused(bundle: Bundle, result: Result) -> str:
    """Check that there is one sentence, and nothing left; return the sentence."""
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("tonnage-oci: ")
    assert not bundle.runtime.left(bundle.identity)
    return result.stderr


@pytest.mark.parametrize("path", ["/none/pid", "/", "/proc/pid", "/dev/full"])
@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_pid_file_that_cannot_be_written(bundle: Bundle, verb: str, path: str) -> None:
    bundle.shell("exec sleep 60")
    words = ("--pid-file", path)
    result = bundle.create(*words) if verb == "create" else bundle.run("--detach", *words)
    assert f"--pid-file {path}: " in refused(bundle, result)


@pytest.mark.parametrize("path", ["/none/pid", "/", "/dev/full"])
@pytest.mark.parametrize("words", [(), ("--detach",)], ids=["foreground", "detached"])
def test_an_exec_whose_pid_file_cannot_be_written(
    bundle: Bundle, words: tuple[str, ...], path: str
) -> None:
    bundle.running()
    result = bundle.exec(*words, "--pid-file", path, bundle.identity, "sleep", "77")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"tonnage-oci: --pid-file {path}: ")
    assert result.stderr.count("\n") == 1
    assert "sleep 77" not in bundle.exec(bundle.identity, "ps", "-ef").stdout


def test_a_pid_file_that_is_no_file_is_written_to(bundle: Bundle) -> None:
    bundle.running()
    null = os.stat("/dev/null")  # noqa: PTH116
    result = bundle.exec("--detach", "--pid-file", "/dev/null", bundle.identity, "true")
    assert result, result.stderr
    assert os.stat("/dev/null").st_rdev == null.st_rdev  # noqa: PTH116
    result = bundle.exec("--pid-file", "/dev/stdout", bundle.identity, "true")
    assert result.stdout.isdecimal()


def test_a_hook_may_take_a_month(bundle: Bundle) -> None:
    """The timeout is longer than poll(2) can wait at once."""
    hook = {"path": "/bin/true", "timeout": MONTH_SECONDS}
    bundle.config["hooks"] = {"createRuntime": [hook], "startContainer": [hook]}
    bundle.shell("true")
    assert bundle.run()


def test_an_identifier_may_begin_with_a_dot(bundle: Bundle) -> None:
    bundle.shell("echo up")
    bundle.identity = f".{bundle.identity}"
    result = bundle.run()
    assert (result.exit_code, result.stdout) == (0, "up\n")


@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_bundle_whose_path_is_no_utf_8_is_refused(bundle: Bundle, verb: str) -> None:
    """The state is JSON, and could not be read again."""
    bundle.write()
    path = os.fsencode(bundle.path) + b"/b\xff"
    os.mkdir(path)  # noqa: PTH102
    (bundle.path / "config.json").rename(os.fsdecode(path) + "/config.json")
    os.mkdir(path + b"/rootfs")  # noqa: PTH102
    result = bundle.runtime.tell(verb, "--bundle", os.fsdecode(path), bundle.identity)
    assert "is not UTF-8" in refused(bundle, result)


@pytest.mark.parametrize("option", ["--console-socket", "--pidfd-socket"])
def test_a_socket_that_is_not_there(bundle: Bundle, option: str) -> None:
    path = str(bundle.path / ("x" * 120))
    bundle.process["terminal"] = option == "--console-socket"
    result = bundle.create(option, path)
    assert refused(bundle, result) == f"tonnage-oci: {option} {path}: No such file or directory.\n"


def test_an_output_that_is_full(bundle: Bundle) -> None:
    bundle.running()
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        result = subprocess.run(
            [bundle.runtime.command, "--root", bundle.runtime.root, "list"],
            stdout=full, stderr=subprocess.PIPE, check=False, text=True,
        )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr == "tonnage-oci: Can't write to stdout: No space left on device.\n"
