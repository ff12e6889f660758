"""config.md, "Mounts": any number of mounts, with any limit on the runtime's descriptors."""

from __future__ import annotations

import os
import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import DEADLINE_SECONDS, Result
from tests.oci.users import FIRST_ID, IDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oci.driver import Bundle

LIMITS = "ulimit -Sn; ulimit -Hn; grep -c ' /many/' /proc/self/mountinfo"


@pytest.fixture
def soft() -> Iterator[int]:
    """Return the soft limit that most hosts have; the hard limit is higher."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(1024, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


@pytest.mark.parametrize("options", [("bind",), ("bind", "ro"), ("rbind",)])
@pytest.mark.parametrize("apart", [False, True])
def test_more_mounts_than_descriptors(
    bundle: Bundle, soft: int, options: tuple[str, ...], *, apart: bool
) -> None:
    """The program's limit is the same as with few mounts."""
    if apart:
        os.chown(bundle.rootfs, FIRST_ID, FIRST_ID)
        bundle.namespace("user")
        mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}]
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
    source = bundle.path / "source"
    source.mkdir()
    for number in range(1100):
        bundle.mount(f"/m/{number}", "none", str(source), *options)
    bundle.shell("grep -c ' /m/' /proc/self/mounts; ulimit -S -n")
    result = bundle.run()
    assert result.stdout.split() == ["1100", str(soft)], result.stderr


# With a low hard limit too.


def with_mounts(bundle: Bundle, count: int, *options: str) -> None:
    for number in range(count):
        (bundle.path / f"source{number}").mkdir()
        bundle.mount(f"/many/{number}", "none", f"source{number}", "bind", *options)


def with_user_namespace(bundle: Bundle) -> None:
    bundle.namespace("user")
    mapping = {"containerID": 0, "hostID": FIRST_ID, "size": IDS}
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [mapping]
    os.chown(bundle.rootfs, FIRST_ID, FIRST_ID)


def run(bundle: Bundle, soft: int, hard: int, verb: str = "run") -> Result:
    """Run the container by a runtime with these limits."""
    bundle.shell(LIMITS)
    bundle.write()
    command = (
        bundle.runtime.command, "--root", str(bundle.runtime.root), verb,
        "--bundle", str(bundle.path), bundle.identity,
    )  # fmt: skip
    limited = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
    with (bundle.path / "stdout").open("wb") as out, (bundle.path / "stderr").open("wb") as err:
        result = subprocess.run(
            ["/bin/sh", "-c", limited, "sh", *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=DEADLINE_SECONDS, check=False,
        )  # fmt: skip
    return Result(result.returncode, bundle.output(), bundle.errors())


@pytest.mark.parametrize("options", [(), ("ro",)], ids=["plain", "read-only"])
@pytest.mark.parametrize(
    ("count", "soft", "hard", "namespace"),
    [
        (1100, 1024, 1024, "host's users"),
        (100, 64, 64, "host's users"),
        (17, 64, 64, "host's users"),
        (1100, 64, 4096, "users of its own"),  # the runtime holds all their sources open
        (10, 64, 64, "users of its own"),
    ],
)
def test_a_low_limit(
    bundle: Bundle, namespace: str, count: int, soft: int, hard: int, options: tuple[str, ...]
) -> None:
    """The program has the limits of the runtime."""
    with_mounts(bundle, count, *options)
    if namespace == "users of its own":
        with_user_namespace(bundle)
    result = run(bundle, soft, hard)
    assert (result.exit_code, result.stdout.split()) == (0, [str(soft), str(hard), str(count)]), (
        result
    )


@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_limit_of_its_own(bundle: Bundle, verb: str) -> None:
    """process.rlimits: the limit is lower than the number of descriptors during set-up."""
    with_mounts(bundle, 100)
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 50}]
    result = run(bundle, 64, 64, verb)
    if verb == "create":
        assert result, result.stderr
        assert bundle.start()
        bundle.wait("stopped")
    assert bundle.output().split() == ["10", "50", "100"]


@pytest.mark.parametrize("kind", ["idmap", "tmpcopyup"])
def test_many_mounts_that_are_prepared(bundle: Bundle, kind: str) -> None:
    for number in range(60):
        if kind == "idmap":
            (bundle.path / f"source{number}").mkdir()
            bundle.mount(f"/many/{number}", "none", f"source{number}", "bind", "idmap")
            mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": 1000}]
            bundle.config["mounts"][-1] |= {"uidMappings": mapping, "gidMappings": mapping}
        else:
            bundle.mount(f"/many/{number}", "tmpfs", "tmpfs", "tmpcopyup")
    result = run(bundle, 64, 256)
    if kind == "idmap" and "invalid argument" in result.stderr:
        pytest.skip("the bundle's file system has no id-mapped mounts")
    assert (result.exit_code, result.stdout.split()) == (0, ["64", "256", "60"]), result


@pytest.mark.parametrize("words", [(), ("--no-pivot",)], ids=["pivot", "no pivot"])
@pytest.mark.parametrize("namespace", ["mounts of its own", "host's mounts"])
def test_each_is_what_it_is_to_be(bundle: Bundle, namespace: str, words: tuple[str, ...]) -> None:
    """Files, directories and links, nested and in order; absolute, or relative to the bundle."""
    if namespace == "host's mounts":
        bundle.without_namespace("mount")
    for number in range(40):
        source = bundle.path / f"source{number}"
        (source / "below/below/below").mkdir(parents=True)
        (source / "file").write_text(f"{number}\n")
        (bundle.path / f"link{number}").symlink_to(source)
        named = (f"source{number}", str(source), str(bundle.path / f"link{number}"))[number % 3]
        place = "/many/on" + "/below" * (number % 4)
        if number % 5:
            bundle.mount(place, "none", named, "bind", "ro")
        else:
            bundle.mount("/many/file", "none", f"{named}/file", "bind")
    bundle.shell("cd /many; cat file on/file on/below/file on/below/below/file; pwd")
    result = bundle.run(*words)
    assert result, result.stderr
    assert result.stdout.split() == ["35", "36", "37", "38", "/many"]
