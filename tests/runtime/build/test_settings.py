"""Instructions that change the configuration alone, by docker's rules."""

from __future__ import annotations

import pytest

from runtime.build import settings
from runtime.build.dockerfile import parse
from runtime.build.settings import Settings
from runtime.errors import InvalidConfig
from runtime.images.manifest import Config, Execution, RootFs


def after(text: str, base: Config | None = None) -> Settings:
    found = settings.of_image(base, "\\")
    for instruction in parse(text).instructions:
        assert settings.apply(found, instruction)
    return found


def base(**execution: object) -> Config:
    return Config("amd64", "linux", RootFs("layers", []), Execution(**execution))  # type: ignore[arg-type]


def test_variables_of_one_instruction_see_those_before_it() -> None:
    found = after("ENV a=1\nENV a=2 b=$a c='x y'\nENV old the rest $b")
    assert found.environment["b"] == "1"
    assert found.environment["a"] == "2"
    assert found.environment["c"] == "x y"
    assert found.environment["old"] == "the rest 1"


def test_directories_are_relative_to_each_other() -> None:
    assert after("ENV D=/x\nWORKDIR $D\nWORKDIR y\nWORKDIR ../z").directory == "/x/z"


def test_an_entry_point_drops_the_bases_command_and_not_its_own() -> None:
    image = base(cmd=["base"], entrypoint=["old"])
    assert after('ENTRYPOINT ["new"]', image).command is None
    assert after('CMD ["own"]\nENTRYPOINT ["new"]', image).command == ["own"]


def test_the_shell_form_takes_the_shell() -> None:
    found = after('CMD echo $HOME\nSHELL ["/bin/bash", "-ec"]\nENTRYPOINT exec top')
    assert found.command == ["/bin/sh", "-c", "echo $HOME"]
    assert found.entrypoint == ["/bin/bash", "-ec", "exec top"]


def test_ports() -> None:
    found = after("ENV P=80\nEXPOSE $P 53/UDP 8000-8002/tcp")
    assert list(found.ports) == ["80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp"]


def test_health_checks() -> None:
    found = after("HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f /").health
    assert found is not None
    assert (found.test, found.interval, found.timeout, found.retries) == (
        ["CMD-SHELL", "curl -f /"], 90_000_000_000, 500_000_000, 3,
    )  # fmt: skip
    none = after("HEALTHCHECK NONE").health
    assert none is not None and none.test == ["NONE"]
    by_array = after('HEALTHCHECK CMD ["a", "b"]').health
    assert by_array is not None and by_array.test == ["CMD", "a", "b"]


def test_labels_volumes_users_and_the_rest() -> None:
    found = after(
        'ENV V=1\nLABEL a="$V" b=c\nVOLUME ["/x y"]\nVOLUME /z\n'
        "USER a:b\nSTOPSIGNAL 9\nMAINTAINER me"
    )
    assert found.labels == {"a": "1", "b": "c"}
    assert list(found.volumes) == ["/x y", "/z"]
    assert (found.user, found.stop_signal, found.author) == ("a:b", "9", "me")
    assert after("ONBUILD RUN x").triggers == ["RUN x"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("EXPOSE web", "EXPOSE: 'web'"),
        ("EXPOSE 0", "range of ports"),
        ("EXPOSE 10-9", "range of ports"),
        ("SHELL /bin/bash -c", "JSON array"),
        ("HEALTHCHECK", "CMD and a command"),
        ("HEALTHCHECK --interval=5 CMD x", "no duration"),
        ("HEALTHCHECK --interval=5us CMD x", "less than a millisecond"),
        ("HEALTHCHECK --often=5s CMD x", "no option --often"),
        ("HEALTHCHECK --retries=many CMD x", "no number"),
        ("WORKDIR", "WORKDIR needs"),
        ("VOLUME", "VOLUME needs"),
        ("ONBUILD FROM x", "ONBUILD FROM is not allowed"),
        ("ONBUILD ONBUILD RUN x", "ONBUILD ONBUILD is not allowed"),
        ("ENV a=${b", "not closed"),
    ],
)
def test_what_is_wrong_is_said(text: str, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        after(text)
