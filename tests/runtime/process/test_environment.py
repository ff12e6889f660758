"""The environment of a process: one value for each variable, and a home."""

from __future__ import annotations

from runtime.process.environment import with_environment
from runtime.spec.config import Process, User

PASSWD = b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"


def environment(*variables: str, uid: int = 0) -> tuple[str, ...]:
    process = Process(cwd="/", env=variables, user=User(uid=uid, gid=uid))
    return with_environment(process, lambda: PASSWD).env


def test_the_last_value_of_a_variable_counts() -> None:
    assert environment("A=1", "HOME=/h", "A=2") == ("A=2", "HOME=/h")


def test_a_missing_or_empty_home_is_the_users() -> None:
    assert environment("A=1", uid=1000) == ("A=1", "HOME=/home/user")
    assert environment("HOME=") == ("HOME=/root",)


def test_a_complete_environment_stays_as_it_is() -> None:
    process = Process(cwd="/", env=("HOME=/h", "A=1"))
    assert with_environment(process, lambda: PASSWD) is process
