"""Downloads: what a server has is fetched once, checked, and asked for again."""

from __future__ import annotations

import base64
import hashlib
import stat
from typing import TYPE_CHECKING

import pytest

from runtime.build import downloads
from runtime.build.cancellation import Cancellation, Cancelled
from runtime.build.downloads import Download, Downloads
from runtime.build.urls import check_checksum
from runtime.errors import InvalidConfig, Unavailable
from tests.runtime.images.registry.server import Asked, Reply, Server, digest_of, serving

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"content of a file\n" * 1000
MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts are cut short, and proxies are not asked."""
    monkeypatch.setattr(downloads, "_FIRST_PAUSE_SECONDS", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def kept(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path / "kept", lambda: None)


def tagged(asked: Asked) -> Reply:
    """Answer as a server that knows ETags."""
    if asked.headers.get("If-None-Match") == '"one"':
        return Reply(304, headers={"ETag": '"one"'})
    return Reply(200, CONTENT, {"ETag": '"one"', "Last-Modified": MODIFIED})


def fetch(
    kept: Downloads, server: Server, target: Path, path: str = "/a.txt", checksum: str | None = None
) -> Download:
    return kept.fetch(f"http://{server.host}{path}", target, checksum)


def test_a_file_has_the_attributes_that_docker_gives(kept: Downloads, tmp_path: Path) -> None:
    with serving(tagged) as server:
        found = fetch(kept, server, tmp_path / "x", "/d/a%20b.txt?q=1")
    status = (tmp_path / "x").stat()
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o600, 1445412480)
    assert (found.name, found.digest) == ("a b.txt", digest_of(CONTENT))
    assert server.asked[0].path == "/d/a%20b.txt?q=1"


def test_the_second_request_is_conditional(kept: Downloads, tmp_path: Path) -> None:
    with serving(tagged) as server:
        first = fetch(kept, server, tmp_path / "x")
        second = fetch(kept, server, tmp_path / "y")
        assert [asked.headers.get("If-None-Match") for asked in server.asked] == [None, '"one"']
    assert first == second
    assert (tmp_path / "y").read_bytes() == CONTENT


def test_without_a_tag_the_time_is_asked_for(kept: Downloads, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("If-Modified-Since") == MODIFIED:
            return Reply(304)
        return Reply(200, CONTENT, {"Last-Modified": MODIFIED})

    with serving(answer) as server:
        fetch(kept, server, tmp_path / "x")
        assert fetch(kept, server, tmp_path / "y").digest == digest_of(CONTENT)


def test_a_new_content_replaces_the_old_one(kept: Downloads, tmp_path: Path) -> None:
    with serving(lambda _: Reply(200, str(len(server.asked)).encode())) as server:
        fetch(kept, server, tmp_path / "x")
        fetch(kept, server, tmp_path / "y")
    assert ((tmp_path / "x").read_text(), (tmp_path / "y").read_text()) == ("1", "2")
    assert (tmp_path / "x").stat().st_mtime == 0


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_file_with_the_checksum_is_not_asked_for_again(
    kept: Downloads, tmp_path: Path, algorithm: str
) -> None:
    checksum = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    with serving(tagged) as server:
        fetch(kept, server, tmp_path / "x", checksum=checksum)
        fetch(kept, server, tmp_path / "y", checksum=checksum)
        assert len(server.asked) == 1


def test_a_wrong_checksum_is_refused_each_time(kept: Downloads, tmp_path: Path) -> None:
    wrong = f"sha256:{'0' * 64}"
    with serving(tagged) as server:
        for _ in range(2):
            with pytest.raises(InvalidConfig, match=f"has the digest {digest_of(CONTENT)}, not"):
                fetch(kept, server, tmp_path / "x", checksum=wrong)
        fetch(kept, server, tmp_path / "x")
        with pytest.raises(InvalidConfig, match="has the digest"):
            fetch(kept, server, tmp_path / "y", checksum=wrong)
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(
    ("path", "disposition", "name"),
    [
        ("/a", 'attachment; filename="b"', "a"),
        ("/a/", 'attachment; filename="b"', "b"),
        ("/", 'attachment; filename="../../etc/b"', "b"),
        ("/", 'attachment; filename=".."', ""),
        ("/", None, ""),
    ],
)
def test_names(
    kept: Downloads, tmp_path: Path, path: str, disposition: str | None, name: str
) -> None:
    headers = {"Content-Disposition": disposition} if disposition else {}
    with serving(lambda _: Reply(200, b"", headers)) as server:
        assert fetch(kept, server, tmp_path / "x", path).name == name


def test_redirects_lead_to_servers_alone(kept: Downloads, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/again":
            return Reply(302, headers={"Location": "/a.txt"})
        if asked.path == "/file":
            return Reply(302, headers={"Location": "file:///etc/passwd"})
        return tagged(asked)

    with serving(answer) as server:
        assert fetch(kept, server, tmp_path / "x", "/again").name == "again"
        with pytest.raises(Unavailable, match="can't be downloaded"):
            fetch(kept, server, tmp_path / "y", "/file")


def test_busy_and_broken_servers_are_asked_again(kept: Downloads, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if len(server.asked) == 1:
            return Reply(503)
        if len(server.asked) == 2:
            return Reply(200, CONTENT[:100], length=len(CONTENT))
        return tagged(asked)

    with serving(answer) as server:
        assert fetch(kept, server, tmp_path / "x").digest == digest_of(CONTENT)
        assert len(server.asked) == 3


def test_other_answers_are_errors_at_once(kept: Downloads, tmp_path: Path) -> None:
    with serving(lambda _: Reply(404)) as server:
        with pytest.raises(Unavailable, match="the server answered 404 Not Found"):
            fetch(kept, server, tmp_path / "x")
        assert len(server.asked) == 1
        host = server.host
    with pytest.raises(Unavailable, match="refused"):
        kept.fetch(f"http://{host}/x", tmp_path / "x")
    with pytest.raises(InvalidConfig, match="is no URL"):
        kept.fetch("http://127.0.0.1:1/a b", tmp_path / "x")


def test_a_password_is_sent_and_not_shown(kept: Downloads, tmp_path: Path) -> None:
    expected = f"Basic {base64.b64encode(b'me:s/ecret').decode()}"

    def answer(asked: Asked) -> Reply:
        return Reply(200 if asked.headers.get("Authorization") == expected else 403)

    with serving(answer) as server:
        kept.fetch(f"http://me:s%2Fecret@{server.host}/x", tmp_path / "x")
        with pytest.raises(Unavailable) as raised:
            kept.fetch(f"http://me:wrong@{server.host}/x", tmp_path / "y")
    assert "wrong" not in str(raised.value)


def test_a_cancelled_build_ends_a_transfer(tmp_path: Path) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with serving(tagged) as server, pytest.raises(Cancelled):
        fetch(Downloads(tmp_path / "kept", cancellation.check), server, tmp_path / "x")


def test_what_is_no_checksum() -> None:
    for text in ("abc", "sha256:abc", f"md5:{'0' * 32}", f"sha256:{'A' * 64}"):
        with pytest.raises(InvalidConfig, match="is no digest"):
            check_checksum(text)
