"""Where people and programs come to the authorization server."""

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from broker.flow import Parts, grants
from broker.web.cookie import live_session
from broker.web.guard import Audience, audience
from broker.web.headers import allow_form
from broker.web.oauth.server import ASKED, DEVICE, REDIRECT_URI, Now, Revocation, Server, label, strange

ALLOW, DENY = "allow", "deny"
PROGRAMS = "oauth_programs"
"""The blueprint that needs no CSRF token: no cookie is looked at there."""


def make(parts: Parts, now: Now, *, issuer: str) -> tuple[Blueprint, Blueprint]:
    """The pages for people, and what programs call: there is no cookie and no CSRF token in the second."""
    server = Server(parts, now, issuer)
    return _pages(server), _programs(server)


def _pages(server: Server) -> Blueprint:
    pages = Blueprint("oauth", __name__)

    @pages.get("/oauth/authorize")
    @audience(Audience.SIGNED_IN)
    def ask() -> str | AnyResponse:
        asked, session = server.of_a_page(request.args), live_session()
        _, refused = server.consent(asked)
        if refused is not None:
            return refused
        origin = REDIRECT_URI.fullmatch(asked.given["redirect_uri"])
        allow_form(*([origin["origin"]] if origin else []))
        return render_template(
            "authorize.html",
            asked={name: asked.given[name] for name in (*ASKED, DEVICE) if name in asked.given},
            device=label(asked),
            identity=session.identity,
            until=server.parts.grants.ends_at(session),
        )

    @pages.post("/oauth/authorize")
    @audience(Audience.SIGNED_IN)
    def answer() -> AnyResponse:
        asked, session = server.of_a_page(request.form), live_session()
        grant, refused = server.consent(asked)
        if refused is not None:
            return refused
        said = asked.given.get("answer")
        if said not in {ALLOW, DENY}:  # check: oauth-answer
            raise strange()
        if said == DENY:
            grants.refuse(server.parts, session, device=label(asked), circumstances=server.now())
        found: AnyResponse = server.create_authorization_response(asked, session if said == ALLOW else None, grant)
        return found

    return pages


def _programs(server: Server) -> Blueprint:
    programs = Blueprint(PROGRAMS, __name__)

    @programs.post("/oauth/token")
    @audience(Audience.ANYBODY)
    def token() -> AnyResponse:
        return server.of_a_program(server.create_token_response)

    @programs.post("/oauth/revoke")
    @audience(Audience.ANYBODY)
    def revoke() -> AnyResponse:
        return server.of_a_program(lambda asked: server.create_endpoint_response(Revocation.ENDPOINT_NAME, asked))

    @programs.get("/.well-known/oauth-authorization-server")
    @audience(Audience.ANYBODY)
    def metadata() -> Response:
        return jsonify(described(server.issuer))

    return programs


def described(issuer: str) -> dict[str, object]:
    """What programs have to know (RFC 8414)."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": True,
    }
