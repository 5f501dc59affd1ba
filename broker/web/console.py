"""The console's door: a page that says what will be opened, and one button.

A link carries role, service and region only; looking at it opens nothing. The answer to the button is a page whose form
the browser sends on to AWS by itself, or by one more click without JavaScript. So the sign-in token is in the body of
two answers that nobody keeps (`no-store`), and in no address, history, log or Referer.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from broker import flow
from broker.duration import format_duration
from broker.entitle.entitlement import Entitlement, Rule
from broker.errors import InvalidRequest
from broker.evaluate.condition import Circumstances
from broker.evaluate.verdict import Objection, Refusal, StepUp
from broker.flow import Parts
from broker.flow.console import console, look, use, wish
from broker.issue.console import SignIn
from broker.issue.destination import HOME, SERVICES, Destination
from broker.web.cookie import live_session
from broker.web.guard import Audience, audience
from broker.web.headers import allow_form

LONGEST_ROLE = 200
PLACES: Sequence[tuple[str, str]] = (("", HOME), *sorted(SERVICES.items(), key=lambda item: item[1].lower()))
"""What can be chosen: the name in a link, and the name for people."""


def make(parts: Parts, now: Callable[[], Circumstances]) -> Blueprint:
    """The blueprint."""
    pages = Blueprint("console", __name__)
    door = _Door(parts, now)

    @pages.get("/console")
    @audience(Audience.SIGNED_IN)
    def look_at() -> Response:
        role = _one(request.args, "role", LONGEST_ROLE)
        if not role:
            return redirect(url_for("portal.home"), HTTPStatus.SEE_OTHER)
        return door.page(role, _destination(request.args))

    @pages.post("/console")
    @audience(Audience.SIGNED_IN)
    def open_it() -> Response:
        return door.open(_one(request.form, "role", LONGEST_ROLE), _destination(request.form))

    @pages.get("/console/link/<token>")
    @audience(Audience.SIGNED_IN)
    def look_at_link(token: str) -> Response:
        found = wish(parts, live_session(), token)
        return door.page(found.role, Destination(service=found.service, region=found.region), token=token)

    @pages.post("/console/link/<token>")
    @audience(Audience.SIGNED_IN)
    def open_link(token: str) -> Response:
        found = use(parts, live_session(), token)
        return door.open(found.role, Destination(service=found.service, region=found.region))

    return pages


class _Door:
    """What the page and the link have in common."""

    def __init__(self, parts: Parts, now: Callable[[], Circumstances]) -> None:
        self._parts, self._now = parts, now

    def page(self, role: str, destination: Destination, *, token: str = "") -> Response:
        """What would be opened, and the button; or why not."""
        found, verdict = look(self._parts, live_session(), role=role, circumstances=self._now())
        refused = isinstance(verdict, Refusal)
        return self._page(role, destination, found, verdict, token, HTTPStatus.FORBIDDEN if refused else HTTPStatus.OK)

    def open(self, role: str, destination: Destination) -> Response:
        """Decide, and hand the sign-in over to this browser; or the page once more, with what stands in the way."""
        session, moment = live_session(), self._now()
        answer = console(self._parts, session, role=role, destination=destination, circumstances=moment)
        if isinstance(answer, SignIn):
            return _handed_over(answer)
        found, _ = look(self._parts, session, role=role, circumstances=moment)
        return self._page(role, destination, found, answer, "", HTTPStatus.FORBIDDEN)

    def _page(
        self,
        role: str,
        destination: Destination,
        found: Entitlement | None,
        verdict: Rule | Objection,
        token: str,
        status: HTTPStatus,
    ) -> Response:
        page = render_template(
            "console.html",
            role=role,
            entitlement=found,
            lasts=format_duration(found.role.max_session) if found else "",
            destination=destination,
            places=PLACES,
            session_name=live_session().session_name,
            refusal=verdict if isinstance(verdict, Refusal) else None,
            step_up=verdict if isinstance(verdict, StepUp) else None,
            prove=self._prove(role, destination, verdict),
            token=token,
            leave=self._parts.console.leave(found.account.partition) if found else "",
        )
        return make_response(page, status)

    def _prove(self, role: str, destination: Destination, verdict: Rule | Objection) -> str:
        """Where one of the factors that are wanted is shown, and leads back here from; empty: they have none."""
        if not isinstance(verdict, StepUp):
            return ""
        mine = [factor.method for factor in flow.factors(self._parts, live_session())]
        method = next((method for method in mine if method in verdict.methods), None)
        back = f"{url_for('console.look_at')}?{urlencode(_query(role, destination))}"
        return url_for("signin.challenge_page", method=method.value, next=back) if method else ""


def _handed_over(sign_in: SignIn) -> Response:
    allow_form(*sign_in.origins)
    answer = make_response(render_template("console_open.html", sign_in=sign_in))
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _query(role: str, destination: Destination) -> dict[str, str]:
    asked = {"role": role, "service": destination.service, "region": destination.region}
    return {name: value for name, value in asked.items() if value}


def _destination(given: MultiDict[str, str]) -> Destination:
    return Destination(service=_one(given, "service", 40), region=_one(given, "region", 40))


def _one(given: MultiDict[str, str], name: str, longest: int) -> str:
    """The value of this name, empty where there is none. Raises `InvalidRequest` for two, or one that is too long."""
    values = [value.strip() for value in given.getlist(name)]
    if len(values) > 1 or any(len(value) > longest for value in values):  # check: console-one-of-a-name
        message = "This link is not one of ours."
        raise InvalidRequest(message, remedy="Choose the role on the page of your roles.")
    return values[0] if values else ""
