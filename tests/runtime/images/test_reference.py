"""References to images: docker's defaults, and refusals in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidConfig
from runtime.images.reference import parse

DIGEST = f"sha256:{'a1' * 32}"


@pytest.mark.parametrize(
    ("text", "whole", "familiar"),
    [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("me/app", "docker.io/me/app:latest", "me/app:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("index.docker.io/library/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("[::1]:5000/a/b", "[::1]:5000/a/b:latest", "[::1]:5000/a/b:latest"),
        ("GHCR.io/me/app", "GHCR.io/me/app:latest", "GHCR.io/me/app:latest"),
        ("host:5000/a/b/c", "host:5000/a/b/c:latest", "host:5000/a/b/c:latest"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
        (f"q.io/a:v@{DIGEST}", f"q.io/a:v@{DIGEST}", f"q.io/a:v@{DIGEST}"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest", "a__b/c-d.e:latest"),
    ],
)
def test_a_reference_is_completed_as_docker_completes_it(
    text: str, whole: str, familiar: str
) -> None:
    reference = parse(text)
    assert (str(reference), reference.familiar) == (whole, familiar)
    assert parse(whole) == parse(reference.familiar) == reference


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "repository's name"),
        ("Debian", "repository's name"),
        ("debian:", "not a tag"),
        ("debian:-a", "not a tag"),
        (f"debian:{'a' * 129}", "not a tag"),
        ("debian@sha256:12", "not a digest"),
        ("debian@", "not a digest"),
        ("a//b", "repository's name"),
        ("a/../b", "repository's name"),
        ("-host.io/a", "HOST"),
        ("host:port/a", "HOST"),
        ("a" * 64, "image's ID"),
        (f"h.io/{'a' * 255}", "more than 255"),
        ("https://h.io/a", "repository's name|HOST"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        parse(text)


@given(st.text(max_size=80))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidConfig:
        return
    assert parse(str(reference)) == reference
