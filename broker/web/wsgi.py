"""The Flask application, put together from the room's parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

import jinja2
from flask_openapi.openapi import OpenAPI
from flask_wtf.csrf import CSRFProtect

from broker.authenticate.identity import Group
from broker.evaluate.condition import Circumstances
from broker.flow import Parts
from broker.web import api, errors, headers, health, portal, signin
from broker.web.client import Proxies, circumstances
from broker.web.cookie import CookieSessions
from broker.web.guard import guard
from broker.web.metrics import Metrics
from broker.web.strict_json import StrictJson

LARGEST_BODY = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the web room needs to know about where it stands."""

    url: str
    """The broker's origin, `https://broker.corp.example`."""
    proxies: Proxies
    monitors: Sequence[IPv4Network | IPv6Network]
    """Networks from which `/metrics` may be read."""
    csrf_secret: str
    needs: health.Checks
    """What it must have to be of use: `/readyz`."""
    neighbours: health.Checks
    """Those without which it does what it can."""
    is_owner: Callable[[frozenset[Group]], bool]


def make_app(parts: Parts, site: Site, metrics: Metrics) -> OpenAPI:
    """The application; nothing in it is available that has not declared its audience."""
    app = OpenAPI(
        __name__,
        info=api.INFO,
        doc_ui=False,
        validation_error_status=400,
        validation_error_callback=errors.invalid_body,
        validation_error_model=api.Problem,
        security_schemes=api.SECURITY,
    )
    https = urlsplit(site.url).scheme == "https"
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        MAX_FORM_MEMORY_SIZE=LARGEST_BODY,
        MAX_FORM_PARTS=20,
        WTF_CSRF_SECRET_KEY=site.csrf_secret,
        WTF_CSRF_TIME_LIMIT=None,  # it ends with the session
        WTF_CSRF_SSL_STRICT=False,  # a Referer that is not sent says nothing: `guard` asks Origin and Sec-Fetch-Site
    )
    app.json = StrictJson(app)
    app.secret_key = None  # nothing is signed into cookies: a use of Flask's own would fail
    app.jinja_env.undefined = jinja2.StrictUndefined
    app.jinja_env.globals["message"] = app.jinja_env.globals["remedy"] = ""
    app.session_interface = CookieSessions(parts.sessions, clock=parts.clock, proxies=site.proxies)

    def now() -> Circumstances:
        return circumstances(parts.clock, site.proxies)

    headers.install(app, https=https, new_id=parts.new_id)
    metrics.install(app)
    errors.install(app)
    guard(app, parts, url=site.url, monitors=site.monitors)
    CSRFProtect(app)
    app.register_blueprint(signin.make(parts, now))
    app.register_blueprint(portal.make(parts, now))
    app.register_blueprint(health.make(site.needs, site.neighbours, metrics.collect))
    app.register_api(api.make(parts, now, site.is_owner))
    return app
