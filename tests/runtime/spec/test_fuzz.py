"""Whatever comes as a configuration is either sound or refused in one sentence."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import ContainerError, default_spec
from runtime.container.validation import check
from runtime.spec.config import Spec
from runtime.spec.json_structs import decode, encode

# `make fuzz` asks for many, other ones each time.
MANY = int(os.environ.get("TONNAGE_FUZZ", "0"))
FUZZ = settings(max_examples=MANY or 300, derandomize=not MANY, deadline=None)
SOUND = json.loads(encode(default_spec(["true"])))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def judge(text: str | bytes) -> None:
    try:
        check(decode(Spec, text, "config.json"), lambda _: None)
    except ContainerError as error:
        sentence = str(error)
        assert sentence.endswith("."), sentence
        assert "\n" not in sentence.strip(), sentence


@FUZZ
@given(text=st.binary() | st.text() | st.builds(json.dumps, JUNK))
def test_junk_is_refused(text: str | bytes) -> None:
    judge(text)


@FUZZ
@given(data=st.data(), junk=JUNK)
def test_a_sound_configuration_with_something_else_in_it(data: st.DataObject, junk: object) -> None:
    judge(json.dumps(changed(SOUND, data, junk)))


def changed(sound: object, data: st.DataObject, junk: object) -> object:
    """The document with one value, anywhere in it, replaced or left out."""
    document: Any = json.loads(json.dumps(sound))
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys)) if keys else None
        if key is None or not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            break
        place = place[key]
    if key is not None:
        if data.draw(st.booleans()):
            place[key] = junk
        else:
            del place[key]
    return document
