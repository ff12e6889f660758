"""Any text is either a valid configuration or refused in one sentence."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from runtime import ContainerError
from runtime.container.validation import check
from runtime.spec.config import Spec
from runtime.spec.json_structs import decode
from tests.runtime.spec.configurations import FUZZ, JUNK, SOUND, changed


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
