"""Credentials, from the cache or from the broker: however many processes ask at once, one of them asks the broker.

The one that does holds the role's lock; the others wait for it and look into the cache again. A failure is kept for a
few seconds too, so that those who waited do not each repeat it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import NamedTuple

from . import hot, private
from .checked import Checked
from .deadline import Deadline
from .failure import AWAY, CONFIG, DENIED, FAILED, SIGN_IN, STEP_UP, Failure
from .roles import ARN, KEY, TYPED, fetch, matching, one
from .server import Places, Server
from .signedin import SignedIn, Tokens

AHEAD = 1200.0
"""Seconds. SDKs ask again for each request once less than 15 minutes are left (botocore); so nothing is served that
would get there soon."""
LAST = 60.0
"""Seconds that must be left of credentials that are served because the broker is away."""
FAILURE, LONGEST_FAILURE = 5.0, 30.0
"""Seconds for which a failure is not asked for again; the longest that the broker can ask for."""
KEPT_FAILURES = (DENIED, STEP_UP, AWAY)
KEPT_MEMBERS = ("type", "title", "detail", "request_id", "condition", "rule")
LONGEST_MEMBER = 200
"""What is kept of the problem behind a failure: texts, as short as this."""
LOCK, FAILED_BEFORE = "+lock", "+failed"
"""What is added to a role's file name; `hot.slug` never gives a `+`, so that no role is filed under it."""
KEY_ID = re.compile(r"[A-Z0-9]{16,128}", re.ASCII)
SECRET = re.compile(r"[A-Za-z0-9/+=_-]{16,128}", re.ASCII)
SESSION_TOKEN = re.compile(r"[A-Za-z0-9/+=_-]{16,8192}", re.ASCII)
"""Alphabets without anything that a shell would read."""


class Credentials(NamedTuple):
    """What AWS is asked with, and for whom."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires: float
    """Epoch seconds."""
    role: str
    account_id: str
    role_arn: str
    session_name: str
    region: str

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"Credentials(role={self.role!r}, expires={self.expires!r})"

    @property
    def process_line(self) -> str:
        """What `credential_process` defines, on one line, its end written as every SDK can read it."""
        ends = datetime.fromtimestamp(int(self.expires), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps(
            {
                "Version": 1,
                "AccessKeyId": self.access_key_id,
                "SecretAccessKey": self.secret_access_key,
                "SessionToken": self.session_token,
                "Expiration": ends,
            }
        )


Kept = tuple[Credentials, float]
"""And until when they are fresh."""


def fresh_until(expires: float, now: float) -> float:
    """Until when credentials that were issued now are served from the cache.

    Until 20 minutes before their end; shorter ones for two thirds of their life. Of an hour both are the same; of the
    15 minutes that are the least, the broker is asked every 10, and the SDK, which asks for each request, is answered
    from the cache in between, never with less than 5 minutes left.
    """
    return expires - min(AHEAD, max(0.0, expires - now) / 3)


class Cache:
    """The credentials of one person at one broker."""

    def __init__(
        self,
        signed_in: SignedIn,
        server: Server,
        at: Places,
        *,
        now: Callable[[], float],
        deadline: Deadline,
        warn: Callable[[str], None],
    ) -> None:
        """`now` gives epoch seconds; `warn` is told what a person might want to know."""
        self._signed_in = signed_in
        self._server = server
        self._folder = os.path.join(at.cache, hot.slug(server.url))
        self._now = now
        self._deadline = deadline
        self._warn = warn

    def get(self, typed: str) -> Credentials:
        """Credentials for the role that `typed` means. Raises `Failure`."""
        return self._get(typed)[0]

    def clear(self) -> None:
        """Forget all credentials and failures; for `SignedIn.keep` and `forget`."""
        clear(self._folder)

    def ask(self, typed: str, duration: int | None = None) -> Credentials:
        """Credentials from the broker, past the cache."""
        if KEY.fullmatch(typed):
            try:
                return self._asked(typed, duration)
            except Failure as failure:
                if failure.code != DENIED or failure.problem.get("condition"):
                    raise
                found = [role.role for role in matching(fetch(self._signed_in), typed)]
                if len(found) != 1 or found == [typed]:
                    raise
                return self._asked(found[0], duration)
        return self._asked(self._meant(typed), duration, arn=typed if ARN.fullmatch(typed) else "")

    def _meant(self, typed: str) -> str:
        return one(fetch(self._signed_in), typed, self._server.url).role

    def _asked(self, role: str, duration: int | None, *, arn: str = "") -> Credentials:
        wanted = {"role": role} if duration is None else {"role": role, "duration": duration}
        try:
            found = leased(self._signed_in.post("/api/v1/credentials", wanted), role)
        except Failure as failure:
            failure.step = failure.step.replace("why ROLE", f"why {role}")
            raise
        if arn and found.role_arn != arn:  # check: workstation-role-arn
            raise Failure(FAILED, f"The broker answers with another role than {arn}.", step="Tell its operators.")
        if found.expires <= self._now():
            clock = datetime.fromtimestamp(self._now(), timezone.utc).strftime("%H:%M:%S")
            message = f"The credentials have ended before they came; this machine's clock says {clock} UTC."
            raise Failure(CONFIG, message, step="Set its clock.")
        return found

    def _get(self, typed: str) -> Kept:
        path = os.path.join(private.folder(self._folder), hot.slug(typed))
        found = self._kept(path)
        if found is not None and found[1] > self._now():
            return found
        with private.locked(path + LOCK, self._deadline):
            found = self._kept(path)
            if found is not None and found[1] > self._now():
                return found
            try:
                return self._new(typed, path)
            except Failure as failure:
                if found is None or failure.code not in {AWAY, SIGN_IN} or found[0].expires - self._now() < LAST:
                    raise
                self._warn(f"{failure.line} Until then: the credentials from before, which end soon.")
                return found

    def _new(self, typed: str, path: str) -> Kept:
        """Ask, and keep the answer, good or bad. The caller holds the lock of `path`."""
        self._same_failure_again(path + FAILED_BEFORE)
        before = self._signed_in.tokens()
        try:
            found, until = self._fetched(typed)
        except Failure as failure:
            self._keep_failure(path + FAILED_BEFORE, failure, before)
            raise
        head = f"aws-broker 1 {until:.0f} {found.expires:.0f}"
        data = f"{head}\n{found.process_line}\n{json.dumps(found._asdict())}\n".encode()
        with self._signed_in.still(before) as same:
            if not same:  # check: cache-of-this-sign-in
                return found, until
            _write(path, data)
            private.remove(path + FAILED_BEFORE)
        return found, until

    def _fetched(self, typed: str) -> Kept:
        """Of the broker; for another way to name a role, what the cache has or gets under its own name."""
        if KEY.fullmatch(typed):
            found = self.ask(typed)
            return found, fresh_until(found.expires, self._now())
        kept = self._get(self._meant(typed))
        if ARN.fullmatch(typed) and kept[0].role_arn != typed:  # check: workstation-cached-role-arn
            raise Failure(FAILED, f"The broker gives another role than {typed}.", step="Tell its operators.")
        return kept

    def _kept(self, path: str) -> Kept | None:
        """What is there, as far as it has not ended."""
        data = private.read(path)
        try:
            head, _, rest = (data or b"").split(b"\n", 2)
            found = Credentials(**json.loads(rest))
            until = float(head.split(b" ")[2])
        except (ValueError, TypeError, IndexError):
            return None
        return (found, until) if found.expires > self._now() else None

    def _same_failure_again(self, path: str) -> None:
        try:
            kept = json.loads(private.read(path) or b"{}")
            if self._now() < kept["until"] < self._now() + LONGEST_FAILURE:
                raise Failure(kept["code"], kept["title"], step=kept["step"], problem=kept["problem"])
        except (ValueError, KeyError, TypeError):
            return

    def _keep_failure(self, path: str, failure: Failure, before: Tokens | None) -> None:
        if failure.code not in KEPT_FAILURES:
            return
        until = self._now() + min(max(FAILURE, failure.retry_after), LONGEST_FAILURE - 1)
        problem = {name: failure.problem.get(name) for name in KEPT_MEMBERS}
        short = {name: text for name, text in problem.items() if isinstance(text, str) and len(text) <= LONGEST_MEMBER}
        kept = {"until": until, "code": failure.code, "title": failure.title, "step": failure.step, "problem": short}
        data = json.dumps(kept).encode()
        with self._signed_in.still(before) as same:
            if same:
                _write(path, data)


def _write(path: str, data: bytes) -> None:
    """Keep what can be read again."""
    if len(data) <= hot.LARGEST:
        private.write(path, data)


def clear(folder: str) -> None:
    """Forget what is in a broker's folder. Locks stay: somebody may be waiting for one. Raises `Failure`."""
    if os.path.lexists(folder):
        for name in os.listdir(private.folder(folder)):
            if not name.endswith(LOCK):
                private.remove(os.path.join(folder, name))


def folders(at: Places) -> list[str]:
    """Of all brokers, also where the sign-in has ended before. To `clear`, when no sign-in is left.

    That is why no lock is needed: whoever would write into one asks `SignedIn.still` first.
    """
    return [os.path.join(at.cache, name) for name in sorted(os.listdir(at.cache))] if os.path.isdir(at.cache) else []


def leased(body: Checked, role: str) -> Credentials:
    """The answer of `POST /api/v1/credentials`. Raises `Failure`."""
    inner = body.part("credentials")
    inner.number("Version", 1, 1)
    return Credentials(
        access_key_id=inner.text("AccessKeyId", KEY_ID),
        secret_access_key=inner.text("SecretAccessKey", SECRET),
        session_token=inner.text("SessionToken", SESSION_TOKEN, most=8192),
        expires=inner.instant("Expiration"),
        role=role,
        account_id=body.text("account_id", re.compile("[0-9]{12}")),
        role_arn=body.text("role_arn", ARN),
        session_name=body.text("session_name", TYPED),
        region=body.text("region", TYPED),
    )
