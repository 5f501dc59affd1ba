"""Why don't I have that role? A page, and its twin in the API: the same sentences, from the same answer of `flow`.

What may be told to whom is decided in `flow.why`; here it is put into words.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flask import Blueprint, Response, current_app, render_template, request
from flask_babel import force_locale, gettext
from flask_openapi.blueprint import APIBlueprint
from markupsafe import Markup, escape
from pydantic import BaseModel, ConfigDict, Field

from broker.entitle.trace import Line, Part
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import Answer as Asked
from broker.evaluate.verdict import Refusal
from broker.flow import Parts
from broker.flow.why import Standing, Why, why
from broker.web.api import PROBLEMS, READ, Answer
from broker.web.cookie import live_session
from broker.web.guard import Audience, audience
from broker.web.language import ENGLISH, told_in
from broker.web.shown import shown, typed
from broker.web.step_up import way

LONGEST_ROLE = 200
Now = Callable[[], Circumstances]

SUMMARY = {
    Standing.READY: "You have this role, and nothing stands in its way.",
    Standing.STEP_UP: "You have this role. It asks for a fresh second factor first.",
    Standing.LOCKED: "You have this role, but not now, or not from here.",
    Standing.DENIED: "One of your groups is kept from this role.",
    Standing.NOT_GIVEN: "None of your groups gives you this role.",
    Standing.UNKNOWN: "None of your groups gives you a role of this name.",
}
PARTS = {
    Part.GIVES: "The mapping %(rule)s gives it to members of %(groups)s, and you are one.",
    Part.EXPIRED: "The mapping %(rule)s gave it to members of %(groups)s until it expired.",
    Part.REPLACED: "The mapping %(rule)s means an older group of the same name as your %(groups)s.",
    Part.NO_GROUP: "The mapping %(rule)s gives it to members of %(names)s. You are not one.",
    Part.DENIES: "The rule %(rule)s keeps members of %(groups)s from it, whatever else gives it.",
}
CONDITIONS = {
    "mfa": "The second factor is fresh and strong enough (%(rule)s).",
    "source_ip": "Your network address is one of those that may (%(rule)s).",
    "time_of_day": "It is the right time of day (%(rule)s).",
    "tls": "The connection is encrypted as it must be (%(rule)s).",
}
NEXT = {
    Standing.READY: "Open it from the list of your roles.",
    Standing.UNKNOWN: "Check the name. If you were promised this role, ask whoever promised it which group gives it, "
    "and let its owner add you.",
}
PROVE = "Show a second factor again when the role asks for it."
NO_FACTOR = "You have no second factor of the kind that is wanted. Ask your help desk how to get one."
WAIT = "Wait until it opens."
WAIT_OR_ASK = "Wait until it opens, or ask %(owners)s."
ASK = "Ask %(owners)s. A change of your groups counts here within a minute."
ASK_ANY = "Ask the owner of the AWS account. A change of your groups counts here within a minute."
MET = "A condition is met (%(rule)s)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One line."""

    good: bool
    """It speaks for the person; else against."""
    text: Markup


class WhyNot(Answer):
    """How the person who asks stands to one role."""

    role: str = Field(description="account/role; as it was asked for where there is nothing to be told.")
    granted: bool = Field(description="Whether the mapping gives it.")
    available: Literal["now", "step-up", "refused"]
    summary: str
    lines: list[str] = Field(description="Each rule that may be told and its part, in a sentence.")
    opens_at: datetime | None = Field(None, description="refused: when time alone heals it.")
    groups_read_at: datetime = Field(description="When the directory was asked for the person's groups.")
    next_step: str


class Question(BaseModel):
    """Which role."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str = Field(
        description="account/role, with the account's name or number, or an ARN.", min_length=1, max_length=LONGEST_ROLE
    )


def make(parts: Parts, now: Now) -> Blueprint:
    """The page."""
    pages = Blueprint("why", __name__)

    @pages.get("/why")
    @audience(Audience.SIGNED_IN)
    def page() -> str:
        session, role = live_session(), typed(request.args.get("role", ""), LONGEST_ROLE)
        found = why(parts, session, role=role, circumstances=now())
        return render_template(
            "why.html",
            asked=role,
            found=found,
            summary=gettext(SUMMARY[found.standing]),
            lines=list(sentences(found)),
            next_step=next_step(found),
            opens_at=_opens_at(found),
            way=way(parts, session, found.objection, back=f"/access-keys?role={found.role}") if found.objection else "",
        )

    return pages


def make_api(parts: Parts, now: Now) -> APIBlueprint:
    """The same for programs, in English."""
    api = APIBlueprint("why_api", __name__, url_prefix="/api/v1", abp_responses=PROBLEMS)

    @api.get("/why", summary="Why (not) this role", responses={200: WhyNot}, security=READ)
    @audience(Audience.SIGNED_IN)
    def answer(query: Question) -> Response:
        found = why(parts, live_session(), role=query.role, circumstances=now())
        with force_locale(ENGLISH):
            told = _told(found)
        return current_app.response_class(told.model_dump_json(), mimetype="application/json")

    return api


def _told(found: Why) -> WhyNot:
    available: dict[Standing, Any] = {Standing.READY: "now", Standing.STEP_UP: "step-up"}
    return WhyNot(
        role=found.role,
        granted=found.given,
        available=available.get(found.standing, "refused"),
        summary=SUMMARY[found.standing],
        lines=[line.text.striptags() for line in sentences(found)],
        opens_at=_opens_at(found),
        groups_read_at=found.read_at,
        next_step=next_step(found).striptags(),
    )


def sentences(found: Why) -> Iterator[Sentence]:
    """The rules, then the conditions."""
    for line in found.rules:
        if line.part in PARTS:
            yield Sentence(good=line.part is Part.GIVES, text=_rule(line))
    for answer in found.answers:
        yield Sentence(good=answer.objection is None, text=_condition(answer))


def next_step(found: Why) -> Markup:
    """What to do about it."""
    owners = _names(found.owners)
    if found.standing in NEXT:
        return _said(NEXT[found.standing])
    if found.standing is Standing.STEP_UP:
        return _said(PROVE if found.can_prove else NO_FACTOR)
    if _opens_at(found):
        return _said(WAIT_OR_ASK if owners else WAIT, owners=owners)
    return _said(ASK if owners else ASK_ANY, owners=owners)


def _rule(line: Line) -> Markup:
    groups = _names(sorted({group.name for group in line.by}))
    return _said(PARTS[line.part], rule=line.rule.name, groups=groups, names=_names(line.names))


def _condition(answer: Asked) -> Markup:
    if answer.objection is not None:
        return _said("%(reason)s (%(rule)s)", reason=told_in(answer.objection.reason), rule=answer.rule)
    return _said(CONDITIONS.get(answer.condition, MET), rule=answer.rule)


def _said(sentence: str, **values: object) -> Markup:
    """A sentence in the reader's language, as HTML; `striptags` makes plain text of it."""
    return escape(gettext(sentence)) % values


def _names(names: "tuple[str, ...] | list[str]") -> Markup:
    """Names from a directory or a document, with "or" between them."""
    return escape(f" {gettext('or')} ").join(shown(name) for name in names)


def _opens_at(found: Why) -> datetime | None:
    return found.objection.opens_at if isinstance(found.objection, Refusal) else None
