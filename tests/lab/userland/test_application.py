"""The command of an image for the payload, and the event that shows that it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab.errors import InvalidConfig
from lab.userland.application import Application, of_image
from runtime.images import manifest
from runtime.images.manifest import Config, Descriptor, Execution, Healthcheck, Manifest, RootFs
from runtime.images.store import Image, host_platform

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'1' * 64}"
SECOND = 1_000_000_000
PATH = "=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer with a program, a user with two groups, and a relative link."""
    layer = tmp_path / "layer"
    for name in ("bin", "etc", "srv"):
        (layer / name).mkdir(parents=True)
    program(layer / "bin/server")
    (layer / "bin/link").symlink_to("server")
    (layer / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nweb:x:7:8:web:/var/www:/bin/false\n"
    )
    (layer / "etc/group").write_text("root:x:0:\nweb:x:8:\nlogs:x:9:web\n")
    return layer


def program(path: Path) -> None:
    path.write_text("#!/bin/true\n")
    path.chmod(0o755)


def image(execution: Execution | None, platform: str = "") -> Image:
    here = host_platform()
    config = Config(
        platform or here.architecture,
        "linux",
        RootFs("layers", []),
        execution,
        variant=here.variant,
    )
    blob = Descriptor(manifest.MANIFEST, DIGEST, 1)
    return Image("docker.io/library/app:1", blob, Manifest(2, blob, []), config)


def described(layer: Path, **settings: Any) -> Application:
    return of_image(image(Execution(**{"cmd": ["server"], **settings})), [layer], "app:1", 5.0)


def test_the_command_is_entrypoint_and_cmd_with_the_images_surroundings(layer: Path) -> None:
    application = described(
        layer,
        entrypoint=["/bin/server"],
        cmd=["-p", "80"],
        env=["PATH=/bin", "A=b=c", "user=x", "odd", "=worse"],
        user="web",
        working_dir="/srv",
    )
    assert application.start_words() == [
        "@within", "leave", "=PATH=/bin", "=HOME=/var/www", "=A=b=c", "=user=x", "umask=22",
        "workdir=/srv", "user=7:8:9", "--", "/bin/server", "-p", "80",
    ]  # fmt: skip
    assert application.digest == DIGEST
    assert application.ready_seconds == 5.0


def test_without_settings_the_command_runs_as_root_in_the_root_directory(layer: Path) -> None:
    words = described(layer).start_words()
    assert words[2:-2] == [PATH, "=HOME=/root", "umask=22", "workdir=/", "user=0:0:"]


@pytest.mark.parametrize(
    ("user", "word"),
    [
        ("web:logs", "user=7:9:"),
        ("12", "user=12:0:"),
        ("12:13", "user=12:13:"),
        ("7", "user=7:8:9"),
    ],
)
def test_a_user_is_looked_up_in_the_image(layer: Path, user: str, word: str) -> None:
    assert described(layer, user=user).settings[-1] == word


@pytest.mark.parametrize(
    ("words", "found"),
    [(["server"], True), (["link"], True), (["/bin/link"], True), (["./server"], True),
     (["passwd"], False), (["/etc/passwd"], False), (["nothing"], False), (["/bin"], False)],
)  # fmt: skip
def test_the_program_must_be_in_the_image(layer: Path, words: list[str], found: bool) -> None:
    if found:
        assert described(layer, cmd=words, working_dir="/bin").command == tuple(words)
        return
    with pytest.raises(InvalidConfig, match=f"app:1 has no executable file '{words[0]}'"):
        described(layer, cmd=words, working_dir="/bin")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"cmd": []}, "app:1 has no command: it sets neither ENTRYPOINT nor CMD"),
        ({"user": "nobody"}, "has no user 'nobody'"),
        ({"user": "web:none"}, "has no group 'none'"),
        ({"user": "4294967295"}, "4294967295 is no id of a user or a group"),
        ({"user": "²"}, "has no user '²'"),
        ({"working_dir": "srv"}, "WORKDIR 'srv' is not an absolute path"),
        ({"working_dir": "/etc/passwd"}, "WORKDIR /etc/passwd is not a directory"),
        ({"exposed_ports": {"0/tcp": {}}}, "'0/tcp' in EXPOSE is not a port"),
        ({"exposed_ports": {"70000": {}}}, "'70000' in EXPOSE is not a port"),
        ({"exposed_ports": {"http": {}}}, "'http' in EXPOSE is not a port"),
        ({"env": ["A=b\0c"]}, "a word with a NUL character"),
    ],
)
def test_what_can_not_run_is_refused_in_a_sentence(
    layer: Path, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Exception, match=sentence):
        described(layer, **settings)


def test_an_image_without_a_configuration_has_no_command(layer: Path) -> None:
    with pytest.raises(InvalidConfig, match="has no command"):
        of_image(image(None), [layer], "app:1")


def test_an_image_for_another_architecture_is_refused(layer: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"app:1 is for linux/s390x.*, and this host is linux/"):
        of_image(image(Execution(cmd=["server"]), "s390x"), [layer], "app:1")


def test_a_missing_working_directory_is_made_when_the_command_starts(layer: Path) -> None:
    assert "workdir=/made/later" in described(layer, working_dir="/made/later").settings


def test_the_first_tcp_port_shows_that_it_is_ready(layer: Path) -> None:
    ports: dict[str, Any] = {"53/udp": {}, "8080-8090/tcp": {}, "80": {}}
    readiness = described(layer, exposed_ports=ports).readiness
    assert (readiness.by, readiness.port) == ("port", 8080)
    assert readiness.description() == "TCP port 8080 answers"


def test_without_port_and_check_it_is_ready_when_its_program_runs(layer: Path) -> None:
    application = described(layer, exposed_ports={"53/udp": {}})
    assert application.readiness.by == "first instruction"
    assert application.that_ends().readiness.by == "exit"
    assert application.that_ends().command == application.command


@pytest.mark.parametrize(
    ("test", "shell", "check"),
    [
        (["CMD", "server", "-t"], None, ("server", "-t")),
        (["CMD-SHELL", "server -t"], None, ("/bin/sh", "-c", "server -t")),
        (["CMD-SHELL", "server -t"], ["/bin/ash", "-ec"], ("/bin/ash", "-ec", "server -t")),
        (["NONE"], None, ()),
        (["CMD-SHELL"], None, ()),
        ([], None, ()),
    ],
)
def test_a_health_check_comes_before_a_port(
    layer: Path, test: list[str], shell: list[str] | None, check: tuple[str, ...]
) -> None:
    ports: dict[str, Any] = {"80/tcp": {}}
    health = Healthcheck(test=test)
    found = described(layer, healthcheck=health, shell=shell, exposed_ports=ports).readiness
    assert found.check == check
    assert found.by == ("health check" if check else "port")


def test_a_health_check_has_dockers_defaults_and_its_own_times(layer: Path) -> None:
    usual = described(layer, healthcheck=Healthcheck(test=["CMD", "server"])).readiness
    assert (usual.check_seconds, usual.pause_seconds, usual.unhealthy_seconds) == (30, 0.05, 180)
    health = Healthcheck(
        test=["CMD", "server"], interval=SECOND // 100, timeout=2 * SECOND,
        start_period=5 * SECOND, retries=4,
    )  # fmt: skip
    own = described(layer, healthcheck=health)
    assert own.readiness.pause_seconds == 0.01
    assert own.readiness.unhealthy_seconds == pytest.approx(5 + 4 * 2.01)
    assert own.check_words()[:3] == ["@within", "end", "timeout=2000"]
    assert own.check_words()[-2:] == ["--", "server"]


def test_run_json_names_the_image_and_what_ready_means(layer: Path) -> None:
    assert described(layer).document() == {
        "reference": "app:1",
        "digest": DIGEST,
        "command": ["server"],
        "ready": "the program of its command is executed",
        "ready_by": "first instruction",
        "ready_timeout_seconds": 5.0,
    }


def test_times_that_docker_would_refuse_are_dockers_defaults(layer: Path) -> None:
    odd = Healthcheck(test=["CMD", "server"], interval=-1, timeout=-1, start_period=-1, retries=-1)
    usual = Healthcheck(test=["CMD", "server"])
    assert described(layer, healthcheck=odd) == described(layer, healthcheck=usual)
