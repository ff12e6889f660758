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
from typing import Protocol, Self

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
AGAIN = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTED = (301, 302, 303, 307, 308)
_AGENT = "tonnage"
_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')


class _Readable(Protocol):
    """A body that is sent in pieces, from where it stands."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, /) -> int: ...

    def tell(self) -> int: ...


Body = bytes | _Readable | None


class CutOff(Exception):
    """The connection failed; the request may be made again."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the connection to a registry.

    `authorities` is a file of certificates to trust beside the system's. `insecure` allows plain
    HTTP and untrusted certificates. Plain HTTP to loopback addresses is always allowed. `retries`
    is how often a request is repeated if the registry is busy or unreachable.
    """

    credentials: Credentials | None = None
    authorities: Path | None = None
    insecure: bool = False
    timeout_seconds: float = _SECONDS
    retries: int = _RETRIES


@dataclass(slots=True)
class Answer:
    """The answer of a registry. Its connection is closed when the block ends."""

    status: int
    headers: http.client.HTTPMessage
    body: http.client.HTTPResponse
    connection: http.client.HTTPConnection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def read(self) -> bytes:
        """Return a small body. Raise Unavailable for a large one, CutOff if it ends too early."""
        try:
            document = self.body.read(_LARGEST_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise CutOff(str(error)) from None
        if len(document) > _LARGEST_ANSWER_BYTES:
            raise Unavailable(f"The registry sent more than {_LARGEST_ANSWER_BYTES} bytes.")
        announced = self.headers.get("Content-Length") or ""
        if announced.isdecimal() and len(document) < int(announced):
            raise CutOff(f"{len(document)} of {announced} bytes came")
        return document


@dataclass(slots=True)
class Registry:
    """A registry. Several threads may send requests at once."""

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
        """Return the answer to a request, with authorization for `scope`, after redirects.

        Repeat the request with growing pauses if the registry is busy or unreachable. Raise
        NotFound for 404, Unavailable for any other status that is not `expected`.
        """
        pause_seconds = _FIRST_PAUSE_SECONDS
        start = _tell(body)
        for attempt in range(self.options.retries + 1):
            last = attempt == self.options.retries
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
                    if answer.status not in AGAIN or last:
                        raise self.error(answer, f"{method} {target}")
                    pause_seconds = pause(answer, pause_seconds)
            _seek(body, start)
            time.sleep(pause_seconds * random.uniform(0.5, 1))
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    def ask_once(
        self, method: str, target: str, scope: str, headers: Mapping[str, str], body: Body = None
    ) -> Answer:
        """Return the answer to a request, of any status, with authorization for `scope`.

        Raise CutOff if the connection fails, Unavailable if the certificate is not trusted.
        """
        try:
            return self._authorized(method, target, scope, dict(headers), body)
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(self._certificate_words(error)) from None
        except (OSError, http.client.HTTPException) as error:
            raise CutOff(str(error) or type(error).__name__) from None

    def _authorized(
        self, method: str, target: str, scope: str, headers: dict[str, str], body: Body
    ) -> Answer:
        """Send a request. If the registry wants a token, get one and send it again."""
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
        """Send a request and follow redirects, without the authorization to other hosts."""
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
            try:
                connection.request(method, path, body, {"User-Agent": _AGENT, **headers})
            except (BrokenPipeError, ConnectionResetError):
                if body is None:
                    raise
                # The registry may have answered before it read the body, to refuse it.
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
        """Return scheme and host. The scheme is HTTP if that is allowed and TLS fails."""
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
            return True  # the request itself will fail and report it
        finally:
            connection.close()
        return True

    def _authorization(self, challenge: str, scope: str) -> str:
        """Return the header that answers a challenge. Raise Unavailable."""
        scheme, _, rest = challenge.partition(" ")
        credentials = self.options.credentials
        if scheme.lower() == "basic":
            if credentials is None:
                words = "wants a password: run docker login, or pass --creds"
                raise Unavailable(f"The registry {self.name} {words}.")
            return credentials.basic
        parameters = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in parameters:
            raise Unavailable(
                f"The registry {self.name} wants an unsupported authorization: {scheme!r}."
            )
        return f"Bearer {self._token(parameters, scope)}"

    def _token(self, parameters: Mapping[str, str], scope: str) -> str:
        """Get a token from the server that the challenge names."""
        wanted = parameters.get("scope") or scope
        query = {"service": parameters["service"]} if parameters.get("service") else {}
        realm, credentials = parameters["realm"], self.options.credentials
        headers: dict[str, str] = {}
        method, body = "GET", None
        if credentials and credentials.identity_token:
            fields = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token,
                      "client_id": _AGENT, "scope": wanted, **query}  # fmt: skip
            method, body = "POST", urllib.parse.urlencode(fields).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            if credentials:
                headers["Authorization"] = credentials.basic
            # Several scopes are several parameters here, but one field of a form.
            pairs = [*(("scope", each) for each in wanted.split()), *query.items()]
            realm += ("&" if "?" in realm else "?") + urllib.parse.urlencode(pairs)
        with self._request(method, realm, headers, body) as answer:
            if answer.status != http.client.OK:
                raise self.error(answer, "its token server")
            try:
                document = json.loads(answer.read())
                token: str = document.get("token") or document["access_token"]
            except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
                raise Unavailable(
                    f"The token server of {self.name} answered without a token."
                ) from None
        return token

    def error(self, answer: Answer, what: str) -> ContainerError:
        """Return an error for an unexpected answer, with the message of the registry."""
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
            "pass its certificate with --ca, or --tls-verify=false."
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
    """Rewind a body that is sent again."""
    if body is not None and not isinstance(body, bytes):
        body.seek(start)


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def pause(answer: Answer, seconds: float) -> float:
    """Return the time to wait: the registry's Retry-After, within bounds, else `seconds`."""
    asked = answer.headers.get("Retry-After") or ""
    return min(float(asked), _LONGEST_PAUSE_SECONDS) if asked.isdecimal() else seconds


def _words(document: bytes) -> str:
    """Return the messages of a registry's error document, or nothing for other documents."""
    try:
        errors = json.loads(document)["errors"]
        return "; ".join(
            f"{each['code']}: {each.get('message', '')}".rstrip(": ") for each in errors
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
