"""An STS that answers what a test tells it to, on a loopback socket: for answers that no honest STS gives.

By default it is honest: it assumes whatever it is asked to, and echoes what AWS echoes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs

from broker.clock import utc_now

ARN = "arn:aws:iam::111122223333:user/federation-broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    action: str
    region: str
    form: Mapping[str, str]
    connection: int
    """The client's port: another connection, another port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    body: str
    date: str = ""
    hang_up: bool = False


def error(code: str, status: int = 400) -> Reply:
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    return Reply(status=status, body=body)


def caller(arn: str = ARN) -> Reply:
    return Reply(
        status=200,
        body=f"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AIDAEXAMPLE</UserId>"
        "<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
    )


def credentials(asked: Asked, *, date: str = "", **changed: str) -> Reply:
    """What AWS answers to AssumeRole, with some values `changed`; an empty value leaves its element out."""
    account, role = asked.form["RoleArn"].split(":")[4], asked.form["RoleArn"].rpartition("/")[2]
    expires = utc_now() + timedelta(seconds=int(asked.form["DurationSeconds"]))
    values = {
        "AccessKeyId": "ASIAEXAMPLEEXAMPLE01",
        "SecretAccessKey": "secret-secret-secret",
        "SessionToken": "token-token-token-token",
        "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{asked.form['RoleSessionName']}",
        "SourceIdentity": asked.form["SourceIdentity"],
    } | changed

    def element(name: str) -> str:
        return f"<{name}>{values[name]}</{name}>" if values[name] else ""

    inner = "".join(map(element, ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")))
    return Reply(
        status=200,
        date=date,
        body=f"<AssumeRoleResponse><AssumeRoleResult><Credentials>{inner}</Credentials><AssumedRoleUser>"
        f"{element('Arn')}<AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId></AssumedRoleUser>{element('SourceIdentity')}"
        "</AssumeRoleResult></AssumeRoleResponse>",
    )


@dataclass(slots=True, kw_only=True)
class Crooked:
    """Its address, what it was asked, and what it answers to AssumeRole and GetCallerIdentity."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    assume_role: Callable[[Asked], Reply] = credentials
    get_caller_identity: Callable[[Asked], Reply] = lambda _: caller()

    @property
    def regions(self) -> list[str]:
        """The regions that AssumeRole was asked in, in order."""
        return [asked.region for asked in self.asked if asked.action == "AssumeRole"]


@contextmanager
def crooked_sts() -> Iterator[Crooked]:
    sts = Crooked()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
            flat = {name: values[0] for name, values in form.items()}
            region = self.headers["Authorization"].split("Credential=")[1].split("/")[2]
            asked = Asked(action=flat["Action"], region=region, form=flat, connection=self.client_address[1])
            sts.asked.append(asked)
            reply = sts.assume_role(asked) if asked.action == "AssumeRole" else sts.get_caller_identity(asked)
            if reply.hang_up:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            if reply.date != "none":
                self.send_header("Date", reply.date or format_datetime(datetime.now(UTC), usegmt=True))
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(reply.body.encode())))
            with suppress(ConnectionError):  # a client that no longer waits is what some tests are about
                self.end_headers()
                self.wfile.write(reply.body.encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    sts.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield sts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
