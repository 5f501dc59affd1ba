"""The Flask application, put together from the room's parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

import jinja2
from flask_openapi.openapi import OpenAPI

from broker.authenticate.identity import Group
from broker.evaluate.condition import Circumstances
from broker.flow import Parts
from broker.web import (
    api,
    bearer,
    cli,
    console,
    console_api,
    errors,
    frame,
    headers,
    health,
    keys,
    language,
    me,
    oauth,
    portal,
    signin,
    styleguide,
    why,
)
from broker.web.client import Proxies, circumstances
from broker.web.cookie import CookieSessions
from broker.web.guard import guard, origin_of
from broker.web.known import KnownBrowsers
from broker.web.metrics import Metrics
from broker.web.shown import shown
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
    known: KnownBrowsers
    is_owner: Callable[[frozenset[Group]], bool]
    styleguide: bool = False
    """Whether the design system is shown: in the demo."""


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
    app.jinja_env.filters["shown"] = shown
    app.jinja_env.globals["message"] = app.jinja_env.globals["remedy"] = ""
    app.session_interface = CookieSessions(parts.sessions, clock=parts.clock, proxies=site.proxies)

    def now() -> Circumstances:
        return circumstances(parts.clock, site.proxies)

    headers.install(app, https=https, new_id=parts.new_id)
    language.install(app)
    frame.install(app, parts.sessions)
    site.known.install(app)
    metrics.install(app)
    errors.install(app)
    guard(app, parts, url=site.url, monitors=site.monitors)
    bearer.install(app)
    csrf = bearer.CookieCsrf(app)
    _register(app, parts, site, metrics, now)
    csrf.exempt(app.blueprints[oauth.PROGRAMS])
    return app


def _register(app: OpenAPI, parts: Parts, site: Site, metrics: Metrics, now: Callable[[], Circumstances]) -> None:
    """Every route."""
    origin = origin_of(site.url)
    for blueprint in oauth.make(parts, now, issuer=origin):
        app.register_blueprint(blueprint)
    app.register_blueprint(signin.make(parts, now))
    app.register_blueprint(portal.make(parts, now))
    app.register_blueprint(console.make(parts, now))
    app.register_blueprint(keys.make(parts, now, origin))
    app.register_blueprint(why.make(parts, now))
    app.register_blueprint(me.make(parts, now))
    app.register_blueprint(cli.make(parts, now, origin))
    if site.styleguide:
        app.register_blueprint(styleguide.make(parts.clock))
    app.register_blueprint(health.make(site.needs, site.neighbours, metrics.collect))
    app.register_api(api.make(parts, now, site.is_owner))
    app.register_api(why.make_api(parts, now))
    app.register_api(me.make_api(parts, now))
    app.register_api(console_api.make(parts, now, origin=origin))
