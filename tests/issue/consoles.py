"""Console sign-ins before the sandbox, and a lease to sign in."""

import http.client
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from builders import HOUR, a_permit, a_role, an_entitlement
from contracts.console import Stage, Visited
from contracts.issuer import someone
from issue.stages import BROKER_ROLE, REGION, TRUSTING, an_issuer, key_file

from broker.clock import utc_now
from broker.issue.aws import AwsSettings
from broker.issue.console import ConsoleSignIn, LocalSignIn, SignIn
from broker.issue.issuer import Lease
from broker.sandbox.signin import SandboxSignIn
from broker.sandbox.sts import SandboxSts

ISSUER = "https://broker.corp.example"
COOKIE = "sandbox-console"


def a_console(local: LocalSignIn | None = None, **more: Any) -> ConsoleSignIn:  # noqa: ANN401 (settings, or parts)
    """One that never pauses, unless told otherwise."""
    settings = {name: more.pop(name) for name in list(more) if name in AwsSettings.model_fields}
    parts: dict[str, Any] = {"clock": utc_now, "sleep": lambda _: None} | more
    return ConsoleSignIn(AwsSettings(regions=(REGION,), **settings), issuer=ISSUER, local=local, **parts)


def before(sign_in: SandboxSignIn) -> LocalSignIn:
    return LocalSignIn(sign_in=sign_in.url, console=sign_in.console_url)


def a_lease(**changes: Any) -> Lease:  # noqa: ANN401 (fields of a lease)
    """One as AWS gives it, of an AWS that is not there."""
    given: dict[str, Any] = {
        "id": "lease-1",
        "account": TRUSTING.id,
        "role_arn": f"arn:aws:iam::{TRUSTING.id}:role/federated/ReadOnly",
        "session_name": "ada",
        "source_identity": "ada",
        "access_key_id": "ASIAEXAMPLEEXAMPLE01",
        "secret_access_key": "the-secret-access-key",
        "session_token": "the-session-token",
        "expires_at": utc_now() + HOUR,
        "region": REGION,
        "chained": False,
    }
    return Lease(**given | changes)


def leased(sts: SandboxSts, key: Path, *, lasts: timedelta = HOUR) -> Lease:
    """A lease of `ada`'s from this STS, with the broker's credentials in `key`."""
    now = utc_now()
    entitlement = an_entitlement(account=TRUSTING, role=a_role(iam_role="federated/ReadOnly", max_session=4 * HOUR))
    permit = a_permit(proof=someone("ada", now=now), entitlement=entitlement, at=now)
    return an_issuer(sts.url, key).issue(permit, lease="lease-ada", asked=lasts, now=now)


def stage_of(sts: SandboxSts, sign_in: SandboxSignIn, folder: Path) -> Stage:
    user = key_file(folder, sts.world.users[0].keys[0])
    role = key_file(folder, sts.session_for(BROKER_ROLE, "i-1"))
    nobody = LocalSignIn(sign_in="http://127.0.0.1:9", console="http://127.0.0.1:9")
    return Stage(
        console=a_console(before(sign_in)),
        lease=lambda lasts=HOUR: leased(sts, user, lasts=lasts),
        chained=lambda: leased(sts, role),
        visit=visit,
        offline=lambda: a_console(nobody),
        issuer=ISSUER,
    )


def visit(sign_in: SignIn) -> Visited:
    """Send the form, and follow it with the cookie that is set on the way."""
    return follow(sign_in.action, sign_in.fields)


def follow(url: str, fields: Mapping[str, str] | None = None) -> Visited:
    """A browser: POST with a form, GET without one."""
    method, body, cookie = ("POST", urlencode(fields), "") if fields is not None else ("GET", "", "")
    for _ in range(5):
        status, headers, text = ask(method, url, body, cookie=cookie)
        cookie = headers.get("Set-Cookie", cookie).partition(";")[0]
        if "Location" not in headers:
            return Visited(status=status, text=text, url=url)
        method, body, url = "GET", "", urljoin(url, headers["Location"])
    message = "too many redirects"
    raise AssertionError(message)


def ask(
    method: str, url: str, body: str = "", *, cookie: str = "", kind: str = "application/x-www-form-urlencoded"
) -> tuple[int, http.client.HTTPMessage, str]:
    """One request, followed nowhere."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    headers = {"Cookie": cookie} if cookie else {}
    if method == "POST":
        headers["Content-Type"] = kind
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()
