"""The access-keys page: the automatic way first, and keys to paste for whoever cannot use it.

A look shows account, role and how long, and hands out nothing; only the button does. The answer to that POST is kept by
no browser (`no-store`), masks what is secret, and clears itself when the keys have expired.
"""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

from flask import Blueprint, render_template, request, url_for

from broker import flow
from broker.duration import format_duration, parse_duration
from broker.entitle.entitlement import Entitlement, Rule
from broker.errors import InvalidRequest
from broker.evaluate.condition import Circumstances
from broker.evaluate.verdict import Objection, Refusal, StepUp
from broker.flow import Parts
from broker.flow.console import NOT_GIVEN, look
from broker.issue.issuer import Lease
from broker.web.cookie import live_session
from broker.web.guard import Audience, audience
from broker.web.key_text import texts
from broker.web.profile import profile_of
from broker.web.shown import lasting
from broker.web.step_up import way

LENGTHS = ("15m", "30m", "1h", "2h", "4h", "8h", "12h")
"""What can be chosen, as far as the role allows it."""
USUAL = "1h"
"""What is chosen already: long enough for most work, and no longer than needed."""
LONGEST_ROLE = 200

Page = str | tuple[str, int]


def make(parts: Parts, now: Callable[[], Circumstances], url: str) -> Blueprint:
    """The blueprint; `url` is the broker's origin, for the profile."""
    keys = Blueprint("keys", __name__)

    def page(role: str, found: Entitlement | None, said: Rule | Objection, status: HTTPStatus) -> Page:
        if found is None:
            return render_template("not_given.html", role=role), HTTPStatus.FORBIDDEN
        lengths = _lengths(found)
        shown = render_template(
            "keys.html",
            entitlement=found,
            profile=profile_of(found, url=url),
            objection=None if isinstance(said, Rule) else said,
            way=way(parts, live_session(), said, back=url_for("keys.look_at", role=role)),
            lengths=[(length, lasting(parse_duration(length))) for length in lengths],
            length=USUAL if USUAL in lengths else lengths[-1],
        )
        return shown, status

    @keys.get("/access-keys")
    @audience(Audience.SIGNED_IN)
    def look_at() -> Page:
        role = _role(request.args.getlist("role"))
        return page(role, *look(parts, live_session(), role=role, circumstances=now()), HTTPStatus.OK)

    @keys.post("/access-keys")
    @audience(Audience.SIGNED_IN)
    def issue() -> Page:
        role, asked = _role(request.form.getlist("role")), _length(request.form.get("duration", ""))
        session, moment = live_session(), now()
        answer = flow.lease(parts, session, role=role, asked=asked, circumstances=moment)
        found, _ = look(parts, session, role=role, circumstances=moment)
        if found is None or not isinstance(answer, Lease):
            said = answer if isinstance(answer, Refusal | StepUp) else NOT_GIVEN
            return page(role, found, said, HTTPStatus.FORBIDDEN)
        profile = profile_of(found, url=url)
        blocks = texts(answer, profile=profile.name)
        return render_template("keys.html", entitlement=found, profile=profile, lease=answer, texts=blocks)

    return keys


def _lengths(entitlement: Entitlement) -> list[str]:
    """The lengths that the role allows, its own longest among them."""
    longest = entitlement.role.max_session
    fitting = [length for length in LENGTHS if parse_duration(length) < longest]
    return [*fitting, format_duration(longest)]


def _role(values: list[str]) -> str:
    """The one role that is named. Raises `InvalidRequest`."""
    if len(values) != 1 or not 0 < len(values[0]) <= LONGEST_ROLE:
        message = "The address does not name one role."
        raise InvalidRequest(message, remedy="Choose it in the list of your roles.")
    return values[0]


def _length(text: str) -> timedelta | None:
    """The length that was chosen; None: as long as the role allows. Raises `InvalidRequest`."""
    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        message = "That is not a length of time."
        raise InvalidRequest(message, remedy="Choose one in the list.") from error
