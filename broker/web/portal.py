"""The home page: which roles, and whether they can be had now."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from broker import flow
from broker.evaluate.condition import Circumstances
from broker.flow import Next, Parts
from broker.web.api import role_now
from broker.web.cookie import current_session
from broker.web.guard import Audience, audience


def make(parts: Parts, now: Callable[[], Circumstances]) -> Blueprint:
    """The blueprint."""
    portal = Blueprint("portal", __name__)

    @portal.get("/")
    @audience(Audience.ANYBODY)
    def home() -> str | Response:
        session = current_session()
        if session is None or flow.next_step(parts, session) is not Next.GO_ON:
            return redirect(url_for("signin.go_on"), HTTPStatus.SEE_OTHER)
        found = [role_now(entitlement, verdict) for entitlement, verdict in flow.roles(parts, session, now())]
        who = session.identity.display_name if session.identity else ""
        return render_template("home.html", roles=found, who=who)

    return portal
