"""API v1: who am I, which roles, credentials. OpenAPI at `/api/v1/openapi.json`; errors are RFC 9457 problems.

There is no password grant: a caller signs in through the pages and brings the session's cookie, and for a change the
CSRF token that `whoami` tells, in `X-CSRFToken`; or is a program that a person let in there, and brings its token.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

from flask import Response, current_app, g, jsonify
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.info import Info
from flask_openapi.models.security_scheme import SecurityScheme
from flask_wtf.csrf import generate_csrf
from pydantic import BaseModel, ConfigDict, Field

from broker.authenticate.identity import Group
from broker.entitle.entitlement import Entitlement, Rule
from broker.evaluate.condition import Circumstances
from broker.evaluate.verdict import Objection, Refusal, StepUp
from broker.flow import Parts, lease, present, roles
from broker.issue.issuer import Lease
from broker.sessions.session import Session
from broker.web.cookie import COOKIE, live_session
from broker.web.errors import of_verdict
from broker.web.guard import Audience, audience

INFO = Info(title="AWS federation broker", version="1.0.0")


class Answer(BaseModel):
    """What the API says; nothing but what is declared leaves."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WhoAmI(Answer):
    """Who is signed in, and since when."""

    person: str
    session_name: str = Field(description="The name that AWS and CloudTrail see.")
    username: str
    display_name: str
    provider: str
    signed_in_at: datetime
    factors: list[str] = Field(description="Second factors shown in this session.")
    owner: bool = Field(description="Whether one of the person's groups owns the broker.")
    csrf_token: str | None = Field(
        None, description="Send it back as X-CSRFToken with every change; null for whoever brings a token."
    )


class RoleNow(Answer):
    """One role that the mapping gives, and whether it can be had now."""

    role: str = Field(description="account/role: what /credentials takes.")
    account: str = Field(description="The account's name.")
    account_id: str
    env: str
    role_arn: str
    description: str
    max_session: int = Field(description="Seconds.")
    available: Literal["now", "step-up", "refused"]
    reason: str = Field("", description="Why not now.")
    opens_at: datetime | None = None


class Roles(Answer):
    """Everything that the mapping gives to the person who asks."""

    revision: str = Field(description="Of the mapping document.")
    roles: list[RoleNow]


class Wanted(BaseModel):
    """A request for credentials."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    role: str = Field(description="account/role, as /roles names it.", min_length=3, max_length=200)
    duration: int | None = Field(None, description="Seconds; the least of this and what is allowed.", ge=900, le=43200)


class Credentials(Answer):
    """The object that `credential_process` defines, version 1."""

    Version: Literal[1] = 1
    AccessKeyId: str
    SecretAccessKey: str
    SessionToken: str
    Expiration: datetime


class Leased(Answer):
    """Credentials for one role, and where they are noted."""

    lease: str = Field(description="The id under which the audit trail has it.")
    account_id: str
    role_arn: str
    session_name: str
    region: str
    credentials: Credentials


class Problem(BaseModel):
    """RFC 9457. Nothing of what was sent stands in it."""

    type: str = Field(description="urn:aws-federation-broker:problem:CODE; stable.")
    title: str
    status: int
    detail: str = ""
    request_id: str = Field(description="Under which the operators find it; also in X-Request-Id.")
    rule: str | None = Field(None, description="denied, step-up: the mapping or guardrail that objects.")
    condition: str | None = Field(None, description="denied: which condition objects.")
    opens_at: datetime | None = Field(None, description="denied: when time alone heals it.")
    methods: list[str] | None = Field(None, description="step-up: the factors of which one is wanted.")
    max_age: int | None = Field(None, description="step-up: how fresh, in seconds.")
    errors: list[dict[str, str]] | None = Field(None, description="invalid-request: `at` which key, and `what`.")


SECURITY: dict[str, SecurityScheme | dict[str, Any]] = {
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "From the sign-in pages."},
    "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRFToken", "description": "From whoami, for changes."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The aws-broker program's, from /oauth/token."},
}
READ: list[dict[str, list[str]]] = [{"session": []}, {"bearer": []}]
CHANGE: list[dict[str, list[str]]] = [{"session": [], "csrf": []}, {"bearer": []}]
TOLD = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
CONTENT = {"application/problem+json": {"schema": Problem.model_json_schema()}}
PROBLEMS: dict[str | int | HTTPStatus, Any] = {str(int(s)): {"description": s.phrase, "content": CONTENT} for s in TOLD}


def make(parts: Parts, now: Callable[[], Circumstances], owners: Callable[[frozenset[Group]], bool]) -> APIBlueprint:
    """The blueprint; `now` gives the moment of the request, `owners` says whether groups own the broker."""
    api = APIBlueprint("api", __name__, url_prefix="/api/v1", abp_responses=PROBLEMS)

    @api.get("/openapi.json", doc_ui=False)
    @audience(Audience.ANYBODY)
    def document() -> Response:
        return jsonify(current_app.api_doc)  # type: ignore[attr-defined]  # the app is an OpenAPI, see web.make_app

    @api.get("/whoami", summary="Who is signed in", responses={200: WhoAmI}, security=READ)
    @audience(Audience.SIGNED_IN)
    def whoami() -> Response:
        return _whoami(parts, live_session(), now(), owners)

    @api.get("/roles", summary="Which roles", responses={200: Roles}, security=READ)
    @audience(Audience.SIGNED_IN)
    def list_roles() -> Response:
        found = [role_now(entitlement, verdict) for entitlement, verdict in roles(parts, live_session(), now())]
        return _json(Roles(revision=parts.mapping().revision, roles=found))

    @api.post("/credentials", summary="Credentials for one role", responses={200: Leased}, security=CHANGE)
    @audience(Audience.SIGNED_IN)
    def credentials(body: Wanted) -> Response:
        asked = None if body.duration is None else timedelta(seconds=body.duration)
        answer = lease(parts, live_session(), role=body.role, asked=asked, circumstances=now())
        return _json(_leased(answer)) if isinstance(answer, Lease) else of_verdict(answer)

    return api


def _json(answer: Answer) -> Response:
    return current_app.response_class(answer.model_dump_json(), mimetype="application/json")


def _whoami(
    parts: Parts, session: Session, circumstances: Circumstances, owners: Callable[[frozenset[Group]], bool]
) -> Response:
    proof = present(parts, session, circumstances, grace=parts.freshness.outage_grace)
    identity = proof.identity
    return _json(
        WhoAmI(
            person=proof.person,
            session_name=proof.session_name,
            username=identity.username,
            display_name=identity.display_name,
            provider=identity.provider,
            signed_in_at=identity.authenticated_at,
            factors=sorted({shown.method.value for shown in proof.shown}),
            owner=owners(identity.groups),
            csrf_token=None if g.bearer else generate_csrf(),
        )
    )


def role_now(entitlement: Entitlement, verdict: Rule | Objection) -> RoleNow:
    """One line of the list of roles."""
    available: Literal["now", "step-up", "refused"] = "now"
    reason, opens_at = "", None
    if isinstance(verdict, StepUp):
        available, reason = "step-up", verdict.reason
    elif isinstance(verdict, Refusal):
        available, reason, opens_at = "refused", verdict.reason, verdict.opens_at
    return RoleNow(
        role=entitlement.key,
        account=entitlement.account.name,
        account_id=entitlement.account.id,
        env=entitlement.account.env,
        role_arn=entitlement.role_arn,
        description=entitlement.role.description,
        max_session=int(entitlement.role.max_session.total_seconds()),
        available=available,
        reason=reason,
        opens_at=opens_at,
    )


def _leased(issued: Lease) -> Leased:
    return Leased(
        lease=issued.id,
        account_id=issued.account,
        role_arn=issued.role_arn,
        session_name=issued.session_name,
        region=issued.region,
        credentials=Credentials(
            AccessKeyId=issued.access_key_id,
            SecretAccessKey=issued.secret_access_key,
            SessionToken=issued.session_token,
            Expiration=issued.expires_at,
        ),
    )
