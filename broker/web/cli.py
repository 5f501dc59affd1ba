"""Set up my CLI: the `aws-broker` program as one file, and the three commands to the first answer of AWS."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache

from flask import Blueprint, Response, current_app, render_template, request

from broker import flow
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import Weighed
from broker.evaluate.verdict import Refusal
from broker.flow import Parts
from broker.web.cookie import live_session
from broker.web.guard import Audience, audience
from broker.web.profile import Profile, profile_of
from broker.web.pyz import build_pyz

FILE = "aws-broker.pyz"
SHOWN = 10
"""Profiles that the page shows; `aws-broker configure` writes all of them."""
LONGEST_ROLE = 200


def make(parts: Parts, now: Callable[[], Circumstances], url: str) -> Blueprint:
    """The blueprint; `url` is the broker's origin."""
    pages = Blueprint("cli", __name__)

    @pages.get("/cli")
    @audience(Audience.SIGNED_IN)
    def page() -> str:
        found = flow.roles(parts, live_session(), now())
        profiles = _profiles(found, request.args.get("role", "")[:LONGEST_ROLE], url)
        return render_template(
            "cli.html",
            url=url,
            sha256=_sha256(),
            size=len(build_pyz()),
            profiles=profiles,
            more=len(found) - len(profiles),
            name=profiles[0].name if profiles else "NAME",
        )

    @pages.get(f"/cli/{FILE}")
    @audience(Audience.ANYBODY)
    def program() -> Response:
        """For `curl` too, which is signed in nowhere: the program is no secret, and holds none."""
        answer = current_app.response_class(build_pyz(), mimetype="application/zip")
        answer.headers["Content-Disposition"] = f"attachment; filename={FILE}"
        return answer

    return pages


@cache
def _sha256() -> str:
    return hashlib.sha256(build_pyz()).hexdigest()


def _profiles(found: Sequence[Weighed], wanted: str, url: str) -> list[Profile]:
    """Some of the person's profiles: the one that was asked for first, then what can be had now."""
    order = sorted(found, key=lambda pair: (pair[0].key != wanted, isinstance(pair[1], Refusal)))
    return [profile_of(entitlement, url=url) for entitlement, _ in order[:SHOWN]]
