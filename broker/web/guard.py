"""Who may call which route. What is not declared is not available: a route without an audience is a 404.

`guard(app, …)` installs the checks that come before every view, in this order: (1) the host is ours, (2) the route has
an audience, (3) a change comes from our own pages, (4) its body is whole, and within Flask's `MAX_CONTENT_LENGTH`,
(5) the caller belongs to the audience; whoever does not yet is led from a page to the sign-in, and back to it later.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request
from gunicorn.http.errors import ParseException
from werkzeug.wrappers import Response

from broker.errors import Denied, InvalidRequest, NotFound, NotSignedIn
from broker.flow import Next, Parts, next_step
from broker.web import bearer
from broker.web.client import forwarded, peer
from broker.web.cookie import current_session
from broker.web.deep_link import lead_in

V = TypeVar("V", bound=Callable[..., object])
NOTHING_HERE = "There is nothing at this address."
CHECK_IT = "Check the address, or begin at the first page."
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Audience(StrEnum):
    """Who a route is for."""

    ANYBODY = "anybody"
    HALF = "half"
    """Whoever has shown a password; a second factor is still missing, or there already."""
    SIGNED_IN = "signed-in"
    """Whoever has shown both."""
    PROBES = "probes"
    """Load balancers: any host name, nothing personal in the answer."""
    OPERATIONS = "operations"
    """Monitoring: the caller's own socket address must be in a declared network, with no proxy between; any host."""


def audience(of: Audience) -> Callable[[V], V]:
    """Declare who a view is for."""

    def declare(view: V) -> V:
        view.audience = of  # type: ignore[attr-defined]  # a function can carry it; mypy's Callable cannot say so
        return view

    return declare


def declared(endpoint: str | None) -> Audience | None:
    """The audience of an endpoint of the current app."""
    view = current_app.view_functions.get(endpoint or "")
    found = getattr(view, "audience", None)
    return found if isinstance(found, Audience) else None


def guard(app: Flask, parts: Parts, *, url: str, monitors: Sequence[IPv4Network | IPv6Network]) -> None:
    """Install the checks."""
    origin = origin_of(url)
    host = urlsplit(origin).netloc

    def check() -> Response | None:
        found = Audience.ANYBODY if request.endpoint == "static" else declared(request.endpoint)
        # (1) the host: probes and monitors know the instance by another name
        anywhere = found in {Audience.PROBES, Audience.OPERATIONS}
        if not anywhere and request.environ.get("HTTP_HOST", "").lower() != host:  # check: trusted-host
            message = "This broker does not answer under that host name."
            raise InvalidRequest(message, remedy=f"Open {origin}")
        # (2) the route
        if found is None:  # check: undeclared-route
            raise NotFound(NOTHING_HERE, remedy=CHECK_IT)
        if request.method not in SAFE_METHODS:
            # (3) where a change comes from
            if _from_elsewhere(origin):  # check: cross-site-change
                message = "This change did not come from one of the broker's own pages."
                raise Denied(message, remedy=f"Open {origin} and try again there.")
            # (4) the body
            _read_body()
        # (5) the caller
        if found is Audience.OPERATIONS and not _monitors(monitors):  # check: metrics-peer
            raise NotFound(NOTHING_HERE, remedy=CHECK_IT)
        if anywhere:
            return None
        try:
            _admit(parts, found)
        except NotSignedIn:
            led = lead_in(current_session()) if found is Audience.SIGNED_IN else None
            if led is None:
                raise
            return led
        g.admitted = request.endpoint != "static"
        return None

    app.before_request(check)


def _read_body() -> None:
    """Read the body now, so that one with broken framing is the sender's fault and not an error of ours.

    Raises `InvalidRequest`, also for JSON that is no object: a string of JSON would be parsed twice.
    """
    try:
        request.get_data(cache=True, parse_form_data=True)
    except ParseException as error:  # gunicorn reads chunks, and the headers behind them, only now
        message = "The body of the request is broken."
        raise InvalidRequest(message) from error
    if request.is_json and not isinstance(request.get_json(silent=True), dict):  # check: json-object
        message = "The body must be a JSON object."
        raise InvalidRequest(message)


def origin_of(url: str) -> str:
    """`url` as browsers write an origin: lower case, without the port that goes without saying."""
    parts = urlsplit(url.lower())
    usual = {"https": ":443", "http": ":80"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(usual)}"


def _from_elsewhere(origin: str) -> bool:
    """Whether the browser says that another origin sent this (Sec-Fetch-Site, Origin)."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return site not in {"same-origin", "none"} or request.headers.get("Origin", origin) != origin


def _monitors(networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether one of the declared monitors asks, itself: what a proxy on this machine carries comes from anywhere."""
    address = peer()
    return address is not None and not forwarded() and any(address in network for network in networks)


def _admit(parts: Parts, found: Audience) -> None:
    if request.endpoint == "static":
        return
    bearer.accept(parts)
    session = current_session()  # a store that is away is told as that, not as a session that ended
    if found is Audience.ANYBODY:
        return
    step = next_step(parts, session)
    if step is Next.SIGN_IN:  # check: signed-in-audience
        message = "Nobody is signed in here."
        raise NotSignedIn(message, remedy="Sign in, then try again; nothing was done.")
    if found is Audience.SIGNED_IN and step is not Next.GO_ON:  # check: second-factor-audience
        message = "A second factor is still missing."
        raise NotSignedIn(message, remedy="Go on signing in.")
