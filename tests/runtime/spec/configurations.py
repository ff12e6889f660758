"""Configurations for property-based tests: a valid one, and random changes of it."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from runtime import default_spec
from runtime.spec.json_structs import encode

# The number of examples; `make fuzz` sets a high one, and new examples in each run.
MANY = int(os.environ.get("TONNAGE_FUZZ", "0"))
FUZZ = settings(max_examples=MANY or 300, derandomize=not MANY, deadline=None)
SOUND = json.loads(encode(default_spec(["true"])))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def changed(sound: object, data: st.DataObject, junk: object) -> object:
    """Return the document with one value, anywhere in it, replaced by junk or removed."""
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
