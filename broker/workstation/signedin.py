"""`SignedIn`: the tokens of this machine's sign-in at one broker, and requests that carry them.

The refresh token changes at each use, and one that is used twice ends the sign-in (RFC 9700, 4.14.2). So one process at
a time renews, under a lock, and looks first whether another has done it already. Before it asks, it writes down that it
does: if the answer is lost, the broker may have counted it, and the person is told why a sign-in is needed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

from . import hot, private
from .checked import Checked
from .deadline import Deadline
from .failure import CONFIG, SIGN_IN, Failure
from .server import Places, Server, parsed
from .wire import Answer, Lost, Wire, refused

CLIENT_ID = "aws-broker"
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,1024}", re.ASCII)
PATH = re.compile(r"/[A-Za-z0-9/._-]{1,200}", re.ASCII)
PAGE = ".html"
EARLY = 30.0
"""Seconds before its end from which an access token is not used any more."""


class Tokens(NamedTuple):
    """What is kept of a sign-in. Not printed, ever."""

    server: str
    id: str
    """Another one for each sign-in: so that nothing of one is filed under the next."""
    access: str
    access_ends: float
    refresh: str
    token_path: str
    revocation_path: str
    renewing: bool = False
    """A renewal was begun, and its answer did not arrive."""

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"Tokens(server={self.server!r}, id={self.id!r})"


class SignedIn:
    """The sign-in at one broker, as far as there is one."""

    def __init__(self, wire: Wire, at: Places, *, now: Callable[[], float], deadline: Deadline) -> None:
        """`now` gives epoch seconds."""
        self._wire = wire
        self._server: Server = wire.server
        self._folder = os.path.join(at.state, hot.slug(self._server.url))
        self._now = now
        self._deadline = deadline

    @property
    def _path(self) -> str:
        return os.path.join(self._folder, "session")

    @property
    def _lock(self) -> str:
        return os.path.join(private.folder(self._folder), "session.lock")

    def tokens(self) -> Tokens | None:
        """What is there; None: nobody is signed in. Raises `Failure` for a file that is not ours alone."""
        if not os.path.lexists(self._folder):
            return None
        private.folder(self._folder)
        return _read(self._path)

    def keep(self, tokens: Tokens, *, clear: Callable[[], None]) -> Tokens | None:
        """A new sign-in takes the place of the old one, when `clear` has removed what that one got; it is returned."""
        with private.locked(self._lock, self._deadline):
            found = self.tokens()
            clear()
            self._write(tokens)
            return found

    def forget(self, *, clear: Callable[[], None]) -> Tokens | None:
        """End it here, and `clear` what it got; what was there, to revoke."""
        with private.locked(self._lock, self._deadline):
            found = self.tokens()
            private.remove(self._path)
            for name in os.listdir(self._folder):
                if name.endswith(PAGE):
                    private.remove(os.path.join(self._folder, name))
            clear()
            return found

    @contextmanager
    def still(self, before: Tokens | None) -> Iterator[bool]:
        """Whether the sign-in is the one that it was; it stays so inside, for `keep` and `forget` wait."""
        with private.locked(self._lock, self._deadline):
            found = self.tokens()
            yield before is not None and found is not None and before.id == found.id

    def page(self, name: str) -> str:
        """The path of a page that leads the browser somewhere; `forget` removes it."""
        return os.path.join(private.folder(self._folder), name + PAGE)

    def revoke(self, tokens: Tokens) -> None:
        """End it at the broker (RFC 7009)."""
        fields = {"token": tokens.refresh, "token_type_hint": "refresh_token", "client_id": CLIENT_ID}
        answer = self._wire.post_form(tokens.revocation_path, fields)
        if answer.status != HTTPStatus.OK:
            raise refused(answer, self._server)

    def get(self, path: str) -> Checked:
        """A signed-in GET."""
        return self._call(path, lambda token: self._wire.get(path, token=token))

    def post(self, path: str, body: Mapping[str, Any]) -> Checked:
        """A signed-in POST."""
        return self._call(path, lambda token: self._wire.post_json(path, body, token=token))

    def _call(self, path: str, ask: Callable[[str], Answer]) -> Checked:
        token = self._access()
        answer = ask(token)
        if answer.status == HTTPStatus.UNAUTHORIZED:  # another process has renewed it meanwhile, or it ended early
            answer = ask(self._renewed(token))
        if answer.status != HTTPStatus.OK:
            raise refused(answer, self._server)
        return Checked(answer.body, path.partition("?")[0])

    def _access(self) -> str:
        found = self.tokens()
        if found is None:
            raise self._nobody()
        return found.access if self._lasts(found) else self._renewed(found.access)

    def _lasts(self, tokens: Tokens) -> bool:
        return tokens.access_ends - self._now() > EARLY

    def _renewed(self, used: str) -> str:
        """An access token other than `used`: another process's, or a new one. Raises `Failure`."""
        with private.locked(self._lock, self._deadline):
            found = self.tokens()
            if found is None:
                raise self._nobody()
            if found.access != used and self._lasts(found):
                return found.access
            self._write(found._replace(renewing=True))
            fields = {"grant_type": "refresh_token", "refresh_token": found.refresh, "client_id": CLIENT_ID}
            try:
                answer = self._wire.post_form(found.token_path, fields)
            except Lost:
                raise
            except Failure:
                self._write(found)  # it was not sent, so it has not counted
                raise
            if answer.status == HTTPStatus.BAD_REQUEST and answer.body.get("error") == "invalid_grant":
                private.remove(self._path)
                raise self._nobody(
                    "The answer to the last renewal of your sign-in was lost; a renewal counts once."
                    if found.renewing
                    else f"Your sign-in at {self._server.url} has ended."
                )
            if answer.status != HTTPStatus.OK:
                if answer.is_a_no:
                    self._write(found)
                raise refused(answer, self._server)
            new = renewal(Checked(answer.body, "token"), found, self._now())
            self._write(new)
            return new.access

    def _write(self, tokens: Tokens) -> None:
        private.write(self._path, json.dumps(tokens._asdict()).encode())

    def _nobody(self, title: str = "") -> Failure:
        title = title or f"Not signed in at {self._server.url}."
        return Failure(SIGN_IN, title, step=f"Run: aws-broker login --server {self._server.url}")


def _read(path: str) -> Tokens | None:
    found = private.read(path)
    if found is None:
        return None
    try:
        tokens = Tokens(**json.loads(found))
        parsed(tokens.server)
    except (ValueError, TypeError, AttributeError, Failure) as error:
        raise Failure(CONFIG, f"{path} is broken.", step=f"Run: rm {path}") from error
    return tokens


def everywhere(at: Places) -> tuple[list[str], list[str]]:
    """(the URL of every broker that somebody is signed in to here, the files from which none can be read)."""
    urls: list[str] = []
    broken: list[str] = []
    for name in sorted(os.listdir(at.state)) if os.path.isdir(at.state) else ():
        path = os.path.join(at.state, name, "session")
        try:
            found = _read(path)
        except Failure:
            broken.append(path)
        else:
            urls += [found.server] if found is not None else []
    return urls, broken


def renewal(body: Checked, before: Tokens, now: float) -> Tokens:
    """The tokens of a token answer (RFC 6749, 5.1)."""
    body.text("token_type", re.compile("bearer", re.IGNORECASE))
    return before._replace(
        access=body.text("access_token", TOKEN),
        refresh=body.text("refresh_token", TOKEN),
        access_ends=now + body.number("expires_in", 1, 86_400),
        renewing=False,
    )
