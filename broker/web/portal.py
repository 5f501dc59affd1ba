"""The home page: my roles, found fast; and the marks that put some of them first.

Made for hundreds of roles: a row is a few plain texts, and whatever many rows share is worked out once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from broker import flow
from broker.entitle.entitlement import Account, Entitlement
from broker.errors import InvalidRequest
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import Weighed
from broker.evaluate.verdict import Refusal, StepUp
from broker.flow import Parts
from broker.flow.habits import habits, star, unstar
from broker.sessions.habits import Habit
from broker.sessions.session import Session
from broker.web.cookie import live_session
from broker.web.guard import Audience, audience
from broker.web.language import told_in
from broker.web.shown import lasting, typed

RECENT = 5
COLLAPSED_OVER = 20
"""Accounts; with more of them the list begins closed."""
LONGEST_KEY = 200
LONGEST_QUERY = 200


class Row(NamedTuple):
    """One role, as its row shows it: a tuple, because a template takes one apart fastest."""

    key: str
    """`account/role`: of letters that stand in a query as they are."""
    account: Account
    role: str
    description: str
    lasts: str
    text: str
    """What is searched."""
    starred: bool
    locked: bool
    asks: str
    """Why not at once."""
    opens_at: datetime | None


def make(parts: Parts, now: Callable[[], Circumstances]) -> Blueprint:
    """The blueprint."""
    portal = Blueprint("portal", __name__)

    @portal.get("/")
    @audience(Audience.SIGNED_IN)
    def home() -> str:
        session, moment = live_session(), now()
        found = flow.roles(parts, session, moment)
        if not found:
            identity = flow.present(parts, session, moment, grace=parts.freshness.outage_grace).identity
            return render_template("home.html", rows=[], query="", identity=identity)
        known = {habit.role: habit for habit in habits(parts, session)}
        query = typed(request.args.get("q", ""), LONGEST_QUERY)
        every = [row for row in _rows(found, known) if _fits(row, query)]
        accounts = _by_account(every)
        return render_template(
            "home.html",
            rows=every,
            query=query,
            favourites=[row for row in every if row.starred],
            recent=_recent(every, known, moment.now),
            accounts=accounts,
            is_open=bool(query) or len(accounts) <= COLLAPSED_OVER,
            environments=sorted({row.account.env for row in every} - {""}),
        )

    @portal.post("/favourites")
    @audience(Audience.SIGNED_IN)
    def favourites() -> Response:
        session = live_session()
        change, role = _change()
        change(parts, session, role)
        query = typed(request.form.get("q", ""), LONGEST_QUERY)
        return redirect(url_for("portal.home", q=query or None), HTTPStatus.SEE_OTHER)

    return portal


def _rows(found: Iterable[Weighed], known: Mapping[str, Habit]) -> Iterable[Row]:
    texts: dict[str, str] = {}
    lengths: dict[timedelta, str] = {}
    for entitlement, verdict in found:
        asks, opens_at, locked = "", None, False
        if isinstance(verdict, StepUp | Refusal):
            asks, locked = texts.get(verdict.reason, ""), isinstance(verdict, Refusal)
            opens_at = verdict.opens_at if isinstance(verdict, Refusal) else None
            if not asks:
                asks = texts[verdict.reason] = told_in(verdict.reason)
        role, key = entitlement.role, entitlement.key
        lasts = lengths.get(role.max_session)
        if lasts is None:
            lasts = lengths[role.max_session] = gettext("up to %(time)s", time=lasting(role.max_session))
        habit = known.get(key)
        yield Row(
            key=key,
            account=entitlement.account,
            role=role.name,
            description=role.description,
            lasts=lasts,
            text=_text(entitlement),
            starred=habit is not None and habit.starred,
            locked=locked,
            asks=asks,
            opens_at=opens_at,
        )


def _text(entitlement: Entitlement) -> str:
    """All that a role is searched by: account name, environment, tags, ARN (with the account's number), role."""
    account = entitlement.account
    return " ".join((account.name, account.env, *account.tags.values(), entitlement.role.name, entitlement.role_arn))


def _fits(row: Row, query: str) -> bool:
    """Whether every word that was asked for is in it."""
    if not query:
        return True
    text = f"{row.text} {row.description}".casefold()
    return all(word in text for word in query.casefold().split())


def _recent(rows: Iterable[Row], known: Mapping[str, Habit], now: datetime) -> list[Row]:
    """Used often and lately, and not among the favourites."""
    weighed = [(known[row.key].weight(now), row) for row in rows if row.key in known and not row.starred]
    weighed.sort(key=lambda pair: (-pair[0], pair[1].key))
    return [row for weight, row in weighed[:RECENT] if weight > 0]


def _by_account(rows: Iterable[Row]) -> list[tuple[Account, Sequence[Row]]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.account.name, []).append(row)
    return [(group[0].account, group) for group in grouped.values()]


def _change() -> tuple[Callable[[Parts, Session, str], None], str]:
    """What the button that was pressed asks for. Raises `InvalidRequest`."""
    for name, change in (("star", star), ("unstar", unstar)):
        values = request.form.getlist(name)
        if len(values) != 1 or not 0 < len(values[0]) <= LONGEST_KEY:
            continue
        if not values[0].isprintable():  # check: printable-role-key
            break
        return change, values[0]
    message = "The form is not complete."
    raise InvalidRequest(message, remedy="Load the page again.")
