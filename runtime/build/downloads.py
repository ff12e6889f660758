"""Files that ADD and contexts take from URLs, each kept until its server has another.

Redirects and the proxies of the environment are followed. Plain HTTP is allowed, as by docker: with
`--checksum` the content is checked all the same. (docker, "Dockerfile reference", "ADD"; RFC 9110,
"Conditional Requests")
"""

from __future__ import annotations

import base64
import email.message
import email.utils
import fcntl
import hashlib
import http.client
import json
import os
import posixpath
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.errors import InvalidConfig, Unavailable

_AGENT = "tonnage"
_SECONDS = 30.0
_RETRIES = 4
_FIRST_PAUSE_SECONDS = 0.25
_PIECE_BYTES = 1 << 18
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
# Errors that another attempt does not mend.
_FINAL = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
_MODE = 0o600
_RECORD, _CONTENT = "record.json", "content"


@dataclass(frozen=True, slots=True)
class Download:
    """A file from a URL: its name, its digest, and what its server said of it."""

    name: str
    digest: str
    etag: str = ""
    last_modified: str = ""


class _Interrupted(Exception):
    """A transfer failed; it may be tried again."""


class Downloads:
    """The downloads in `directory`; `check` raises an exception to end a transfer."""

    def __init__(self, directory: Path, check: Callable[[], None]) -> None:
        self._directory = directory
        self._check = check

    def fetch(self, url: str, target: Path, checksum: str | None = None) -> Download:
        """Make `target` a link to the content of a URL.

        Ask the server if it has changed, unless a file with the checksum was downloaded before.
        Raise InvalidConfig for a wrong checksum, Unavailable.
        """
        with self._locked(url) as place:
            known = _known(place)
            if known is None or checksum is None or not _has(place / _CONTENT, checksum):
                known = self._current(url, place, known, checksum)
            os.link(place / _CONTENT, target)
        return known

    def _current(
        self, url: str, place: Path, known: Download | None, checksum: str | None
    ) -> Download:
        """Return what the server has now, after some attempts."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        for attempt in range(_RETRIES + 1):
            try:
                return self._asked(url, place, known, checksum)
            except _Interrupted as error:
                if attempt == _RETRIES:
                    raise Unavailable(f"{_shown(url)} can't be downloaded: {error}.") from None
            self._check()
            time.sleep(pause_seconds)
            pause_seconds *= 2
        raise AssertionError("the last attempt returns or raises")

    def _asked(
        self, url: str, place: Path, known: Download | None, checksum: str | None
    ) -> Download:
        try:
            with _opener().open(_request(url, known), timeout=_SECONDS) as answer:
                return self._received(url, answer, place, checksum)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.client.NOT_MODIFIED and known:
                    if checksum is not None and not _has(place / _CONTENT, checksum):
                        raise _wrong(url, checksum, known.digest) from None
                    return known
                words = f"the server answered {error.code} {error.reason}".strip()
                if error.code in _AGAIN:
                    raise _Interrupted(words) from None
                raise Unavailable(f"{_shown(url)} can't be downloaded: {words}.") from None
        except (http.client.InvalidURL, UnicodeError, ValueError) as error:
            raise InvalidConfig(f"{_shown(url)} is no URL: {error}.") from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, _FINAL):
                words = f"{_shown(url)} can't be downloaded: {reason}."
                raise Unavailable(words) from None
            raise _Interrupted(str(reason)) from None

    def _received(
        self, url: str, answer: http.client.HTTPResponse, place: Path, checksum: str | None
    ) -> Download:
        """Write an answer to the place of its URL."""
        headers = answer.headers
        algorithm = checksum.partition(":")[0] if checksum else "sha256"
        digest, size_bytes = hashlib.new(algorithm), 0
        aside = place / f".{_CONTENT}"
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with open(descriptor, "wb") as file:
            while piece := answer.read(_PIECE_BYTES):
                self._check()
                digest.update(piece)
                size_bytes += len(piece)
                file.write(piece)
        expected = headers.get("Content-Length") or ""
        if expected.isdecimal() and int(expected) != size_bytes:
            raise _Interrupted(f"{size_bytes} of {expected} bytes came")
        came = f"{algorithm}:{digest.hexdigest()}"
        if checksum is not None and came != checksum:
            aside.unlink()
            raise _wrong(url, checksum, came)
        last_modified = headers.get("Last-Modified") or ""
        seconds = _seconds(last_modified)
        os.chmod(aside, _MODE)  # whatever the umask is
        os.utime(aside, (seconds, seconds))
        made = Download(_name(url, headers), came, headers.get("ETag") or "", last_modified)
        (place / _RECORD).unlink(missing_ok=True)
        aside.rename(place / _CONTENT)
        (place / _RECORD).write_text(json.dumps(asdict(made)), "utf-8")
        return made

    @contextmanager
    def _locked(self, url: str) -> Iterator[Path]:
        """Yield the place of a URL, which one build uses at a time."""
        place = self._directory / hashlib.sha256(url.encode()).hexdigest()
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield place
        finally:
            os.close(descriptor)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https alone: a redirect leads to no file of the host."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


def _request(url: str, known: Download | None) -> urllib.request.Request:
    """Return a request, which is conditional if the content is known."""
    parts = urllib.parse.urlsplit(url)
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    user, at, host = parts.netloc.rpartition("@")
    if at:
        encoded = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        headers["Authorization"] = f"Basic {encoded}"
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    elif known and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    plain = urllib.parse.urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return urllib.request.Request(plain, headers=headers)


def _known(place: Path) -> Download | None:
    """Return the record of a complete download, or None."""
    try:
        found = Download(**json.loads((place / _RECORD).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if (place / _CONTENT).is_file() else None


def _has(path: Path, checksum: str) -> bool:
    algorithm, _, digits = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digits


def _name(url: str, headers: email.message.Message) -> str:
    """Return the last part of the URL's path, else the name that the server gives, else nothing."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    if path and not path.endswith("/"):
        return posixpath.basename(path)
    given = headers.get_filename() or ""
    name = posixpath.basename(given)
    return "" if name in (".", "..") else name


def _seconds(last_modified: str) -> int:
    """Return the time of a header, or 0, as BuildKit has it."""
    try:
        return max(0, int(email.utils.parsedate_to_datetime(last_modified).timestamp()))
    except (ValueError, TypeError, OverflowError):
        return 0


def _wrong(url: str, checksum: str, came: str) -> InvalidConfig:
    return InvalidConfig(f"{_shown(url)} has the digest {came}, not {checksum}.")


def _shown(url: str) -> str:
    """Return a URL without the password in it."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
