"""The directory of a container: absent, complete and damaged states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime import AlreadyExists, CorruptState, InvalidConfig, InvalidState, NotFound, default_spec
from runtime.container.state import CONFIG, STATE, Lock, State, StateDirectory, check_writable
from runtime.spec.config import Hook, Hooks
from runtime.spec.json_structs import encode

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    return StateDirectory(str(tmp_path / "root"), "box")


def test_a_saved_state_is_loaded(directory: StateDirectory) -> None:
    state = State(identifier="box", pid=7, bundle="/bundle", process_start=42)
    directory.make()
    directory.save(state)
    assert directory.load() == state


def test_an_absent_container_is_not_found(directory: StateDirectory) -> None:
    with pytest.raises(NotFound, match="There is no container box"):
        directory.load()
    with pytest.raises(NotFound), Lock(directory):
        pass


def test_a_container_without_state_is_corrupt(directory: StateDirectory) -> None:
    directory.make()
    with pytest.raises(CorruptState, match=r"has no state\.json"):
        directory.load()
    with pytest.raises(CorruptState, match=r"has no config\.json"):
        directory.configuration_with_hooks()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "box"}', '{"id": 7}'])
def test_a_damaged_state_is_corrupt(directory: StateDirectory, text: str) -> None:
    directory.make()
    directory.write(STATE, text)
    with pytest.raises(CorruptState, match="the state of box"):
        directory.load()


def test_an_id_is_taken_once(directory: StateDirectory) -> None:
    directory.make()
    with pytest.raises(AlreadyExists, match="There is a container box already"):
        directory.make()


def test_a_lock_is_held_once(directory: StateDirectory) -> None:
    directory.make()
    with Lock(directory), pytest.raises(InvalidState, match="being started"), Lock(directory):
        pass


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "ä", "a" * 1025])
def test_an_invalid_id_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match="not a valid container id"):
        StateDirectory("/root", name)


def test_a_path_that_is_not_utf_8_is_refused() -> None:
    check_writable(bundle="/ä")
    with pytest.raises(InvalidConfig, match=r"bundle: the path .* is not UTF-8"):
        check_writable(bundle="/\udcff")


def test_a_configuration_is_decoded_if_it_has_hooks(directory: StateDirectory) -> None:
    spec = default_spec(["true"])
    directory.make()
    directory.write(CONFIG, encode(spec))
    assert directory.configuration_with_hooks() is None
    spec = spec.replace(hooks=Hooks(poststop=(Hook(path="/bin/true"),)))
    directory.write(CONFIG, encode(spec))
    assert directory.configuration_with_hooks() == spec
