"""One HTTP request to the broker, and its answer: over verified TLS, without redirects, small, and soon or not at all.

Python's own `urllib` follows redirects and `http.client` waits for ever, so this stands between. Authorities: those of
the system (`SSL_CERT_FILE`, `SSL_CERT_DIR` as OpenSSL has them), and in addition `AWS_CA_BUNDLE` and the remembered
`ca_file`. Proxies: those of the environment or the system, never for this machine itself.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from threading import Event, Timer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from .deadline import Deadline
from .failure import AWAY, CONFIG, DENIED, FAILED, SIGN_IN, STEP_UP, TYPE, Failure, one_line
from .server import Server
from .version import VERSION

ONE_REQUEST = 20.0
"""Seconds at most, from the first packet to the last."""
SILENCE = 10.0
"""Seconds for one address to answer, and between two packets."""
LARGEST = 4 * 1024 * 1024
"""Bytes of an answer: ten times the list of a person with 1,000 roles."""
AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
NOTHING_DONE = (HTTPStatus.BAD_REQUEST, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
LATER = "Try again in a moment."
LONGEST_TITLE, LONGEST_DETAIL = 200, 800
"""Characters that are shown."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: Mapping[str, Any]
    retry_after: int = 0

    @property
    def is_a_no(self) -> bool:
        """Whether the broker itself says that nothing was done: no proxy, and no error on the way."""
        ours = str(self.body.get("type", "")).startswith(TYPE)
        return (ours and self.status in NOTHING_DONE) or (
            self.status == HTTPStatus.BAD_REQUEST and isinstance(self.body.get("error"), str)
        )


class Lost(Failure):
    """The request was sent, and the broker's own answer did not arrive: it may have counted."""


class Wire:
    """Asks one broker. Raises `Failure` when it cannot be asked, or answers what is no JSON object."""

    def __init__(self, server: Server, *, environ: Mapping[str, str], ca_file: str, deadline: Deadline) -> None:
        """`ca_file` may be ''."""
        self.server = server
        self._environ = environ
        self._ca_file = ca_file
        self._deadline = deadline

    def get(self, path: str, *, token: str = "") -> Answer:
        """GET."""
        return self._ask("GET", path, None, {}, token)

    def post_json(self, path: str, body: Mapping[str, Any], *, token: str) -> Answer:
        """POST of JSON."""
        return self._ask("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"}, token)

    def post_form(self, path: str, fields: Mapping[str, str]) -> Answer:
        """POST as forms do, and as OAuth asks for."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, urlencode(fields).encode(), kind, "")

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], token: str) -> Answer:
        seconds = self._deadline.left(ONE_REQUEST)
        if not seconds:
            raise Failure(AWAY, f"{self.server.url} did not answer in time.", step=LATER)
        connection = self._connection(seconds)
        all_headers = {"User-Agent": f"aws-broker/{VERSION}", "Accept": "application/json", **headers}
        if token:
            all_headers["Authorization"] = f"Bearer {token}"
        late = Event()
        watch = Timer(seconds, _hang_up, (connection, late))
        watch.daemon = True
        sent = False
        try:
            watch.start()
            connection.connect()
            sent = True
            connection.request(method, path, body, all_headers)
            with connection.getresponse() as answer:
                data = answer.read(LARGEST + 1)
            if late.is_set():  # check: workstation-cut-short
                raise TimeoutError
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error) from error
        except (OSError, http.client.HTTPException) as error:
            kind = Lost if sent else Failure
            why = "no answer in time" if late.is_set() else _why(error)
            raise kind(AWAY, f"{self.server.url} cannot be reached: {one_line(why)}.", step=LATER) from error
        finally:
            watch.cancel()
            connection.close()
        retry_after = _seconds(answer.headers.get("Retry-After", ""))
        return Answer(answer.status, self._understood(answer.status, data), retry_after)

    def _understood(self, status: int, data: bytes) -> Mapping[str, Any]:
        """The JSON object in an answer. Raises `Lost`, also for a redirect: a proxy may say so."""
        step = f"Is {self.server.url} the broker's address? Otherwise tell its operators."
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:  # check: workstation-redirect
            raise Lost(FAILED, f"{self.server.url} sends us elsewhere, which is not followed.", step=step)
        if len(data) > LARGEST:  # check: workstation-answer-size
            raise Lost(FAILED, f"{self.server.url} answers too much.", step=step)
        try:
            body = json.loads(data) if data.strip() else {}
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            return body
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Lost(AWAY, f"{self.server.url} answers with an error ({status}).", step=LATER)
        raise Lost(FAILED, f"{self.server.url} does not answer as a broker does ({status}).", step=step)

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        proxy = self._proxy()
        host, port = (self.server.host, self.server.port) if proxy is None else (proxy[0], proxy[1])
        if self.server.scheme == "https":
            secure = http.client.HTTPSConnection(host, port, timeout=min(seconds, SILENCE), context=self._context())
            if proxy is not None:
                secure.set_tunnel(self.server.host, self.server.port, headers=proxy[2])
            return secure
        return http.client.HTTPConnection(
            host, port, timeout=min(seconds, SILENCE)
        )  # to this machine, see `server.parsed`

    def _proxy(self) -> tuple[str, int, dict[str, str]] | None:
        """(host, port, headers) of the proxy on the way, if there is one."""
        if self.server.is_loopback or proxy_bypass(self.server.host):  # check: workstation-loopback-proxy
            return None
        url = getproxies().get("https", "")
        if not url:
            return None
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            host, port = parts.hostname if parts.scheme == "http" else None, parts.port or 8080
        except ValueError:
            host, port = None, 0
        if host is None:
            raise Failure(CONFIG, "HTTPS_PROXY is not a URL.", step="Write it as http://HOST:PORT.")
        if parts.username is None:
            return host, port, {}
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return host, port, {"Proxy-Authorization": "Basic " + base64.b64encode(user.encode()).decode()}

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        for file in filter(None, (self._ca_file, self._environ.get("AWS_CA_BUNDLE", ""))):
            _trust(context, file)
        return context

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> Failure:
        return Failure(
            CONFIG,
            f"The certificate of {self.server.url} is not trusted: {one_line(error.verify_message)}.",
            step=f"If its authority is your company's own: aws-broker login --server {self.server.url} --ca-file FILE",
        )


def _trust(context: ssl.SSLContext, file: str) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        step = "Name a PEM file with --ca-file or AWS_CA_BUNDLE."
        raise Failure(CONFIG, f"{file} cannot be used as certificate authority.", step=step) from error


def _hang_up(connection: http.client.HTTPConnection, late: Event) -> None:
    """End whatever the connection is waiting for. What has come by then can look whole, so it is said first."""
    late.set()
    if connection.sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # the socket itself, below TLS


def _why(error: Exception) -> str:
    """Why it failed, without addresses of Python objects."""
    if isinstance(error, http.client.HTTPException):
        return "the answer is broken"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _seconds(text: str) -> int:
    return min(int(text[:9]), 3600) if text.isascii() and text.isdigit() else 0


def refused(answer: Answer, server: Server) -> Failure:
    """What an answer other than 200 means here."""
    body = answer.body
    title = one_line(str(body.get("title") or f"{server.url} answers with an error ({answer.status})."))[:LONGEST_TITLE]
    detail = one_line(str(body.get("detail") or ""))[:LONGEST_DETAIL]
    login = f"aws-broker login --server {server.url}"
    kind = str(body.get("type", "")).rpartition(":")[2]
    if answer.status == HTTPStatus.UNAUTHORIZED:
        failure = Failure(SIGN_IN, title, step=f"Run: {login}", problem=body)
    elif kind == "step-up":
        failure = Failure(STEP_UP, _and(title, detail), step=f"Run: {login} --force", problem=body)
    elif answer.status == HTTPStatus.FORBIDDEN:
        failure = Failure(DENIED, _and(title, detail), step="Ask why: aws-broker why ROLE", problem=body)
    elif answer.status in AGAIN:
        failure = Failure(AWAY, title, step=detail or LATER, problem=body)
    else:
        failure = Failure(FAILED, title, step=detail or _quote(body), problem=body)
    failure.retry_after = answer.retry_after
    return failure


def _and(title: str, detail: str) -> str:
    return f"{title} {detail}".strip()


def _quote(body: Mapping[str, Any]) -> str:
    """Whom to tell what."""
    request = one_line(str(body.get("request_id") or ""))
    return f"Tell the broker's operators the request id {request}." if request else "Tell the broker's operators."
