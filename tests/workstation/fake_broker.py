"""A small broker on a loopback socket: the contracts that the workstation program relies on, and ways to break them."""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

TYPE = "urn:aws-federation-broker:problem:"
ROLES = (
    ("payments-dev", "210987654321", "dev", "power-user", "federated/PowerUser"),
    ("payments-dev", "210987654321", "dev", "read-only", "federated/ReadOnly"),
    ("payments-prod", "012345678901", "prod", "read-only", "federated/ReadOnly"),
)
Reply = tuple[int, Mapping[str, Any]]


def role_now(account: str, number: str, env: str, name: str, path: str, **more: object) -> dict[str, Any]:
    return {
        "role": f"{account}/{name}",
        "account": account,
        "account_id": number,
        "env": env,
        "role_arn": f"arn:aws:iam::{number}:role/{path}",
        "description": f"{name} in {account}",
        "max_session": 3600,
        "available": "now",
        "reason": "",
        "opens_at": None,
    } | more


class FakeBroker:
    """What it knows, what it was asked, and how it misbehaves."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        """`POST /api/v1/credentials` -> how often."""
        self.bodies: list[Mapping[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.questions: list[dict[str, str]] = []
        """What browsers asked of /oauth/authorize."""
        self.roles = [role_now(*one) for one in ROLES]
        self.life = timedelta(hours=1)
        self.access_life = 900
        self.delay = 0.0
        """Seconds before credentials are answered."""
        self.answers: dict[str, Callable[[], Reply]] = {}
        """`METHOD path` -> what is answered instead."""
        self.metadata: dict[str, Any] = {}
        """What the metadata says otherwise."""
        self.callback: dict[str, str] = {}
        """What the redirect to the program says otherwise."""
        self.lose_renewals = False
        """Count renewals, and hang up instead of answering."""
        self.codes: dict[str, dict[str, str]] = {}
        self.grants: dict[str, tuple[str, str]] = {}
        """Family -> the access and the refresh token that count now."""
        self.lock = threading.Lock()

    def tokens(self, family: str) -> dict[str, Any]:
        """New ones; those from before are worth nothing."""
        self.grants[family] = (f"{family}.{secrets.token_urlsafe(32)}", f"{family}.{secrets.token_urlsafe(32)}")
        access, refresh = self.grants[family]
        return {
            "token_type": "Bearer",
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": self.access_life,
        }

    def end(self) -> None:
        """As a log-out everywhere does."""
        self.grants.clear()

    def described(self) -> Reply:
        return 200, {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/oauth/authorize",
            "token_endpoint": f"{self.url}/oauth/token",
            "revocation_endpoint": f"{self.url}/oauth/revoke",
            "code_challenge_methods_supported": ["S256"],
        } | self.metadata

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes on to."""
        self.questions.append(query)
        assert query["response_type"] == "code"
        assert query["client_id"] == "aws-broker"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(32)
        self.codes[code] = query
        back = {"code": code, "state": query["state"], "iss": self.url} | self.callback
        return f"{query['redirect_uri']}?{urlencode({name: value for name, value in back.items() if value})}"

    def token(self, form: dict[str, str]) -> Reply:
        refused: Reply = (400, {"error": "invalid_grant"})
        if form["client_id"] != "aws-broker":
            return 400, {"error": "invalid_client"}
        if form["grant_type"] == "authorization_code":
            query = self.codes.pop(form["code"], None)
            digest = (
                base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
            )
            if query is None or query["redirect_uri"] != form["redirect_uri"] or query["code_challenge"] != digest:
                return refused
            return 200, self.tokens(secrets.token_urlsafe(32))
        family = form["refresh_token"].partition(".")[0]
        if form["refresh_token"] != self.grants.get(family, ("", ""))[1]:
            self.grants.pop(family, None)  # a second use ends the grant
            return refused
        return 200, self.tokens(family)

    def credentials(self, body: Mapping[str, Any]) -> Reply:
        self.bodies.append(body)
        time.sleep(self.delay)
        found = next((role for role in self.roles if role["role"] == body["role"]), None)
        if found is None:
            return self.problem(403, "denied", "Not granted.", "No mapping gives you this role.")
        life = min(self.life, timedelta(seconds=body.get("duration", 43_200)))
        ends = (datetime.now(UTC) + life).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, {
            "lease": "01939f4e-2c1b-7d3e-9a53-4f1d2c3b4a59",
            "account_id": found["account_id"],
            "role_arn": found["role_arn"],
            "session_name": "ada",
            "region": "eu-central-1",
            "credentials": {
                "Version": 1,
                "AccessKeyId": "ASIA" + secrets.token_hex(8).upper(),
                "SecretAccessKey": base64.b64encode(secrets.token_bytes(30)).decode(),
                "SessionToken": base64.b64encode(secrets.token_bytes(600)).decode(),
                "Expiration": ends,
            },
        }

    def problem(self, status: int, code: str, title: str, detail: str = "", **more: object) -> Reply:
        return status, {
            "type": TYPE + code,
            "title": title,
            "status": status,
            "detail": detail,
            "request_id": "r-1",
        } | more

    def api(self, method: str, path: str, query: dict[str, str], body: Mapping[str, Any]) -> Reply:  # noqa: PLR0911 (one answer for each address)
        if (method, path) == ("GET", "/api/v1/whoami"):
            who = {"username": "ada", "display_name": "Ada Lovelace", "provider": "corp-ad", "session_name": "ada"}
            return 200, who | {"signed_in_at": "2026-11-24T08:00:00Z", "factors": ["totp"], "person": "p"}
        if (method, path) == ("GET", "/api/v1/roles"):
            return 200, {"revision": "r", "roles": self.roles}
        if (method, path) == ("POST", "/api/v1/credentials"):
            return self.credentials(body)
        if (method, path) == ("POST", "/api/v1/sign-out-everywhere"):
            self.grants.clear()
            return 200, {"ended": 3}
        if (method, path) == ("POST", "/api/v1/console-links"):
            self.bodies.append(body)
            return 200, {
                "url": f"{self.url}/console/link/{secrets.token_urlsafe(32)}",
                "expires_at": "2026-11-24T08:01:00Z",
            }
        if (method, path) == ("GET", "/api/v1/why"):
            return 200, {
                "role": query["role"],
                "granted": True,
                "available": "refused",
                "summary": "You have this role, but not now, or not from here.",
                "lines": ["The mapping sre gives it to members of SRE, and you are one."],
                "opens_at": "2026-11-25T07:00:00Z",
                "groups_read_at": "2026-11-24T08:00:00Z",
                "next_step": "Wait until it opens.",
            }
        return self.problem(404, "not-found", "There is nothing at this address.")


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._serve("GET", b"")

    def do_POST(self) -> None:
        self._serve("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, method: str, data: bytes) -> None:
        broker, parts = self.server.broker, urlsplit(self.path)
        what, query = f"{method} {parts.path}", dict(parse_qsl(parts.query))
        with broker.lock:
            broker.asked[what] += 1
            broker.headers.append(dict(self.headers))
        if what in broker.answers:
            self._say(*broker.answers[what]())
        elif what == "GET /.well-known/oauth-authorization-server":
            self._say(*broker.described())
        elif what == "GET /oauth/authorize":
            self.send_response(302)
            self.send_header("Location", broker.authorize(query))
            self.end_headers()
        elif what == "POST /oauth/token":
            form = dict(parse_qsl(data.decode()))
            with broker.lock:
                answer = broker.token(form)
            if not (broker.lose_renewals and form["grant_type"] == "refresh_token"):
                self._say(*answer)
        elif what == "POST /oauth/revoke":
            broker.grants.pop(dict(parse_qsl(data.decode()))["token"].partition(".")[0], None)
            self._say(200, {})
        elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in {
            access for access, _ in broker.grants.values()
        }:
            self._say(*broker.problem(401, "not-signed-in", "Nobody is signed in here.", "Sign in first."))
        else:
            self._say(*broker.api(method, parts.path, query, json.loads(data) if data else {}))

    def _say(self, status: int, body: Mapping[str, Any] | bytes) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    broker: FakeBroker
    request_queue_size = 64
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Whoever asked has gone, or has been killed: that is what the tests are about."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[FakeBroker]:
    """A broker on a free port of 127.0.0.1; over TLS where a context is given, as `localhost`."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.broker = FakeBroker()
    port = server.server_address[1]
    server.broker.url = f"http://127.0.0.1:{port}" if context is None else f"https://localhost:{port}"
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.broker
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
