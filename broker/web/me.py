"""My sessions: the browsers and programs in which somebody is signed in as me, and how to end them."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for
from flask_openapi.blueprint import APIBlueprint
from pydantic import Field
from werkzeug.wrappers import Response as AnyResponse

from broker.errors import InvalidRequest
from broker.evaluate.condition import Circumstances
from broker.flow import Parts
from broker.flow.sessions import ID_LENGTH, end_everywhere, end_one, end_others, mine
from broker.sessions.session import Door
from broker.web.api import CHANGE, PROBLEMS, Answer
from broker.web.cookie import leave, live_session
from broker.web.guard import Audience, audience

OTHERS, EVERYWHERE = "others", "everywhere"

Now = Callable[[], Circumstances]


class Ended(Answer):
    """How far that went."""

    ended: int = Field(description="Sessions that ended: browsers, programs, and what was on its way between them.")


def make(parts: Parts, now: Now) -> Blueprint:
    """The page."""
    me = Blueprint("me", __name__)

    @me.get("/sessions")
    @audience(Audience.SIGNED_IN)
    def sessions() -> str:
        held = mine(parts, live_session())
        browsers = [one for one in held if one.door is Door.BROWSER]
        programs = [one for one in held if one.door is Door.CLI]
        return render_template("sessions.html", browsers=browsers, programs=programs)

    @me.post("/sessions/end")
    @audience(Audience.SIGNED_IN)
    def end() -> AnyResponse:
        which, session = _which(), live_session()
        if which == OTHERS:
            end_others(parts, session, now())
        elif which == EVERYWHERE:
            end_everywhere(parts, session, now())
        if which == EVERYWHERE or (which != OTHERS and end_one(parts, session, which, now())):
            leave()
            return redirect(url_for("signin.sign_in_page"), HTTPStatus.SEE_OTHER)
        return redirect(url_for("me.sessions"), HTTPStatus.SEE_OTHER)

    return me


def make_api(parts: Parts, now: Now) -> APIBlueprint:
    """The same for programs: `aws-broker logout --all`."""
    api = APIBlueprint("me_api", __name__, url_prefix="/api/v1", abp_responses=PROBLEMS)

    @api.post("/sign-out-everywhere", summary="End all my sessions", responses={200: Ended}, security=CHANGE)
    @audience(Audience.SIGNED_IN)
    def sign_out_everywhere() -> Response:
        ended = end_everywhere(parts, live_session(), now())
        if not g.bearer:
            leave()
        return current_app.response_class(Ended(ended=ended).model_dump_json(), mimetype="application/json")

    return api


def _which() -> str:
    """What the button that was pressed stands for. Raises `InvalidRequest`."""
    values = request.form.getlist("end")
    if len(values) != 1 or (values[0] not in {OTHERS, EVERYWHERE} and len(values[0]) != ID_LENGTH):
        message = "The form is not complete."
        raise InvalidRequest(message, remedy="Load the page again.")
    return values[0]
