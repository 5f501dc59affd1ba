"""`POST /api/v1/console-links`: a link that opens the console in the browser of the same person. Once, and soon."""

from collections.abc import Callable
from datetime import datetime

from flask import Response, current_app, url_for
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field

from broker.evaluate.condition import Circumstances
from broker.evaluate.verdict import Refusal
from broker.flow import Parts
from broker.flow.console import hand_off
from broker.issue.destination import Destination
from broker.web.api import CHANGE, PROBLEMS, Answer
from broker.web.cookie import live_session
from broker.web.errors import of_verdict
from broker.web.guard import Audience, audience


class WantedConsole(BaseModel):
    """A request for a console link."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    role: str = Field(description="account/role, as /roles names it.", min_length=3, max_length=200)
    service: str = Field(
        "", description="A service's name in the console's addresses, `s3`; empty: its home.", max_length=40
    )
    region: str = Field("", description="A region of the role's partition; empty: the one of last time.", max_length=40)


class ConsoleLink(Answer):
    """Where to send the browser. Only the person who asked can open it there."""

    url: str
    expires_at: datetime = Field(description="From then on it leads nowhere, and from its first use on.")


def make(parts: Parts, now: Callable[[], Circumstances], *, origin: str) -> APIBlueprint:
    """The blueprint; `origin` is the broker's own."""
    api = APIBlueprint("console_api", __name__, url_prefix="/api/v1", abp_responses=PROBLEMS)

    @api.post("/console-links", summary="A link that opens the console", responses={200: ConsoleLink}, security=CHANGE)
    @audience(Audience.SIGNED_IN)
    def console_links(body: WantedConsole) -> Response:
        destination = Destination(service=body.service, region=body.region)
        made = hand_off(parts, live_session(), role=body.role, destination=destination, circumstances=now())
        if isinstance(made, Refusal):
            return of_verdict(made)
        url = origin + url_for("console.look_at_link", token=made.token)
        answer = ConsoleLink(url=url, expires_at=made.ends_at)
        return current_app.response_class(answer.model_dump_json(), mimetype="application/json")

    return api
