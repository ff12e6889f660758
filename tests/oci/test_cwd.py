"""process.cwd in directories that not every user may enter. (config.md, "Process")"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.oci.driver import Bundle

USER, OTHERS = 1000, 7_000_000


@pytest.fixture
def private(bundle: Bundle) -> Bundle:
    """Add a directory that only the container's user may enter, not even its root.

    The directory's group is not mapped in the container, so nobody overrides its permissions.
    """
    path = bundle.rootfs / "private"
    path.mkdir(mode=0o700)
    os.chown(path, USER, OTHERS)
    bundle.namespace("user")
    maps = [{"containerID": 0, "hostID": 0, "size": 65536}]
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = maps
    bundle.process["cwd"] = "/private"
    bundle.shell("id -u; pwd; : >here")
    return bundle


def test_a_directory_that_the_user_alone_may_enter(private: Bundle) -> None:
    private.process["user"] = {"uid": USER, "gid": USER}
    result = private.run()
    assert (result.exit_code, result.stdout) == (0, f"{USER}\n/private\n"), result.stderr
    assert (private.rootfs / "private/here").stat().st_uid == USER


def test_a_directory_that_the_user_may_not_enter_is_an_error(private: Bundle) -> None:
    result = private.run()
    assert not result
    assert "Can't enter /private: permission denied." in result.stderr
    assert private.runtime.left(private.identity) == []


def test_exec_where_the_user_alone_may_enter(private: Bundle) -> None:
    private.process["cwd"] = "/"
    private.running()
    result = private.exec(f"--user={USER}:{USER}", "--cwd=/private", private.identity, "pwd")
    assert (result.exit_code, result.stdout) == (0, "/private\n"), result.stderr
    result = private.exec("--cwd=/private", private.identity, "pwd")
    assert not result
    assert "Can't enter /private: permission denied." in result.stderr


def test_a_directory_that_root_alone_may_enter_is_the_users_cwd(bundle: Bundle) -> None:
    """Root enters it, as in runc and crun: then the user may be there, but can't come back."""
    (bundle.rootfs / "root-only").mkdir(mode=0o700)
    bundle.process.update({"cwd": "/root-only", "user": {"uid": USER, "gid": USER}})
    bundle.shell("readlink /proc/self/cwd")
    result = bundle.run()
    assert (result.exit_code, result.stdout) == (0, "/root-only\n"), result.stderr
