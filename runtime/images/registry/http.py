"""Requests to one registry: TLS, tokens, redirects, retries.

(distribution-spec; docker's "Token Authentication Specification"; RFC 9110)
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import random
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Self

from runtime.errors import ContainerError, InvalidConfig, NotFound, Unavailable
from runtime.images.reference import DEFAULT_REGISTRY
from runtime.images.registry.credentials import Credentials

_DOCKER_HOST = "registry-1.docker.io"
_SECONDS = 30.0
_RETRIES = 5
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
_REDIRECTS = 10
_LARGEST_ANSWER_BYTES = 8 << 20
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTED = (301, 302, 303, 307, 308)
_AGENT = "tonnage"
_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')


Body = bytes | IO[bytes] | None


class CutOff(Exception):
    """The connection failed; the request may be made again."""


@dataclass(frozen=True, slots=True)
class Options:
    """How registries are reached.

    `authorities` is a file of certificates to trust beside the system's. `insecure` allows plain
    HTTP and certificates that nobody vouches for; loopback addresses may always be reached by HTTP.
    """

    credentials: Credentials | None = None
    authorities: Path | None = None
    insecure: bool = False
    timeout_seconds: float = _SECONDS


@dataclass(slots=True)
class Answer:
    """A registry's answer, whose connection is open until the block is left."""

    status: int
    headers: Mapping[str, str]
    body: http.client.HTTPResponse
    connection: http.client.HTTPConnection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def read(self) -> bytes:
        """Return a small body. Raises Unavailable for a large one, CutOff if it ends too early."""
        try:
            document = self.body.read(_LARGEST_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise CutOff(str(error)) from None
        if len(document) > _LARGEST_ANSWER_BYTES:
            raise Unavailable(f"The registry sent more than {_LARGEST_ANSWER_BYTES} bytes.")
        return document


@dataclass(slots=True)
class Registry:
    """A registry that is asked; several threads may ask at once."""

    name: str
    options: Options
    _scheme: str = ""
    _tokens: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @property
    def host(self) -> str:
        """HOST[:PORT] of the registry's API."""
        return _DOCKER_HOST if self.name == DEFAULT_REGISTRY else self.name

    def ask(
        self,
        method: str,
        target: str,
        scope: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        expected: tuple[int, ...] = (200,),
    ) -> Answer:
        """Return the answer to a request, authorized for `scope` and redirected as it says.

        A registry that is busy or out of reach is asked again with growing pauses. Raises NotFound
        for 404, Unavailable for all else that is not `expected`.
        """
        pause_seconds = _FIRST_PAUSE_SECONDS
        start = _tell(body)
        for attempt in range(_RETRIES + 1):
            last = attempt == _RETRIES
            try:
                answer = self._authorized(method, target, scope, dict(headers or {}), body)
            except ssl.SSLCertVerificationError as error:
                raise Unavailable(self._certificate_words(error)) from None
            except (OSError, http.client.HTTPException, CutOff) as error:
                if last or isinstance(error, ConnectionRefusedError | socket.gaierror):
                    words = f"The registry {self.name} can't be reached: {error}."
                    raise Unavailable(words) from None
            else:
                if answer.status in expected:
                    return answer
                with answer:
                    if answer.status not in _AGAIN or last:
                        raise self._error(answer, f"{method} {target}")
                    pause_seconds = _pause(answer, pause_seconds)
            _seek(body, start)
            time.sleep(pause_seconds * random.uniform(0.5, 1))
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    def _authorized(
        self, method: str, target: str, scope: str, headers: dict[str, str], body: Body
    ) -> Answer:
        """Make a request; if the registry wants a token, get one and make it again."""
        start = _tell(body)
        if known := self._tokens.get(scope):
            headers["Authorization"] = known
        answer = self._redirected(method, target, headers, body)
        if answer.status != http.client.UNAUTHORIZED:
            return answer
        with answer:
            challenge = answer.headers.get("WWW-Authenticate") or ""
        headers["Authorization"] = self._authorization(challenge, scope)
        self._tokens[scope] = headers["Authorization"]
        _seek(body, start)
        return self._redirected(method, target, headers, body)

    def _redirected(self, method: str, target: str, headers: dict[str, str], body: Body) -> Answer:
        """Make a request where it leads to; another host does not get our authorization."""
        url = urllib.parse.urljoin(f"{self._base()}/", target)
        for _ in range(_REDIRECTS):
            answer = self._request(method, url, headers, body)
            place = answer.headers.get("Location")
            if answer.status not in _REDIRECTED or not place or method not in ("GET", "HEAD"):
                return answer
            with answer:
                onwards = urllib.parse.urljoin(url, place)
            if _origin(onwards) != _origin(url):
                headers = {key: value for key, value in headers.items() if key != "Authorization"}
            url = onwards
        raise Unavailable(f"The registry {self.name} redirects more than {_REDIRECTS} times.")

    def _request(self, method: str, url: str, headers: dict[str, str], body: Body) -> Answer:
        parts = urllib.parse.urlsplit(url)
        connection = self._connection(parts.scheme, parts.netloc)
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        try:
            connection.request(method, path, body, {"User-Agent": _AGENT, **headers})
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        return Answer(response.status, response.headers, response, connection)

    def _connection(self, scheme: str, host: str) -> http.client.HTTPConnection:
        seconds = self.options.timeout_seconds
        if scheme == "http":
            if not (self.options.insecure or is_loopback(host)):
                raise Unavailable(f"The registry {self.name} leads to plain HTTP at {host}.")
            return http.client.HTTPConnection(host, timeout=seconds)
        if scheme != "https":
            raise Unavailable(f"The registry {self.name} leads to {scheme}://{host}.")
        return http.client.HTTPSConnection(host, timeout=seconds, context=self._tls())

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.options.authorities:
            try:
                context.load_verify_locations(self.options.authorities)
            except (OSError, ssl.SSLError) as error:
                words = f"{self.options.authorities} holds no certificates: {error}."
                raise InvalidConfig(words) from None
        if self.options.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _base(self) -> str:
        """Return scheme and host: HTTPS, or HTTP where that is allowed and HTTPS is not spoken."""
        with self._lock:
            if not self._scheme:
                plain = self.options.insecure or is_loopback(self.host)
                self._scheme = "http" if plain and not self._speaks_tls() else "https"
        return f"{self._scheme}://{self.host}"

    def _speaks_tls(self) -> bool:
        connection = self._connection("https", self.host)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError:
            return True
        except (ssl.SSLError, ConnectionResetError):
            return False
        except OSError:
            return True  # asked again, and then said, by whoever makes the request
        finally:
            connection.close()
        return True

    def _authorization(self, challenge: str, scope: str) -> str:
        """Return the header that answers a challenge. Raises Unavailable."""
        scheme, _, rest = challenge.partition(" ")
        credentials = self.options.credentials
        if scheme.lower() == "basic":
            if credentials is None:
                raise Unavailable(
                    f"The registry {self.name} wants a user: log in with docker login."
                )
            return credentials.basic
        parameters = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in parameters:
            raise Unavailable(f"The registry {self.name} wants {scheme or 'an unknown scheme'!r}.")
        return f"Bearer {self._token(parameters, scope)}"

    def _token(self, parameters: Mapping[str, str], scope: str) -> str:
        """Get a token from the server that the challenge names."""
        query = {"scope": parameters.get("scope") or scope}
        if service := parameters.get("service"):
            query["service"] = service
        realm, credentials = parameters["realm"], self.options.credentials
        headers: dict[str, str] = {}
        method, body = "GET", None
        if credentials and credentials.identity_token:
            fields = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token,
                      "client_id": _AGENT, **query}  # fmt: skip
            method, body = "POST", urllib.parse.urlencode(fields).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            if credentials:
                headers["Authorization"] = credentials.basic
            realm += ("&" if "?" in realm else "?") + urllib.parse.urlencode(query)
        with self._request(method, realm, headers, body) as answer:
            if answer.status != http.client.OK:
                raise self._error(answer, "its token server")
            try:
                document = json.loads(answer.read())
                token: str = document.get("token") or document["access_token"]
            except (ValueError, KeyError, AttributeError, TypeError):
                raise Unavailable(
                    f"The token server of {self.name} answered without a token."
                ) from None
        return token

    def _error(self, answer: Answer, what: str) -> ContainerError:
        """Return the error of an answer that was not expected, with the registry's own words."""
        try:
            document = answer.read()
        except (CutOff, Unavailable):
            document = b""
        reason = f"{answer.status} {http.client.responses.get(answer.status, '')}".strip()
        text = f"The registry {self.name} answered {reason} to {what}"
        if words := _words(document):
            text += f": {words}"
        kind = NotFound if answer.status == http.client.NOT_FOUND else Unavailable
        return kind(f"{text}.")

    def _certificate_words(self, error: ssl.SSLCertVerificationError) -> str:
        return (
            f"The certificate of the registry {self.name} is not trusted ({error.verify_message}): "
            "name its authority, or allow insecure registries."
        )


def is_loopback(host: str) -> bool:
    """Return True for localhost and for addresses of this host alone."""
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _tell(body: Body) -> int:
    return 0 if body is None or isinstance(body, bytes) else body.tell()


def _seek(body: Body, start: int) -> None:
    """Go back in a body that is sent again."""
    if body is not None and not isinstance(body, bytes):
        body.seek(start)


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _pause(answer: Answer, seconds: float) -> float:
    """Return how long to wait: what the registry asks for, within bounds, else `seconds`."""
    asked = answer.headers.get("Retry-After") or ""
    return min(float(asked), _LONGEST_PAUSE_SECONDS) if asked.isdigit() else seconds


def _words(document: bytes) -> str:
    """Return what a registry says in its errors; nothing for other documents, such as HTML."""
    try:
        errors = json.loads(document)["errors"]
        return "; ".join(
            f"{each['code']}: {each.get('message', '')}".rstrip(": ") for each in errors
        )
    except (ValueError, KeyError, TypeError):
        return ""
