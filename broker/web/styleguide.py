"""Every component of the design system on one page, in the demo only: what a page may be made of, and how it looks."""

from datetime import timedelta

from flask import Blueprint, render_template

from broker.clock import Clock
from broker.web.guard import Audience, audience

HOUR = timedelta(hours=1)


def make(clock: Clock) -> Blueprint:
    """The blueprint."""
    guide = Blueprint("styleguide", __name__)

    @guide.get("/styleguide")
    @audience(Audience.ANYBODY)
    def page() -> str:
        return render_template("styleguide.html", soon=clock() + HOUR)

    return guide
