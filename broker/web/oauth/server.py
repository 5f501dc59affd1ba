"""What the protocol asks of a request, and what we ask of it beyond.

Authlib speaks the protocol (RFC 6749, 7009, 7636, 9207); `flow.grants` decides and writes down. There is one client, it
has no secret, and it listens on loopback (RFC 8252): what makes it safe is that a person says yes on a page of ours,
that a code is worth nothing without the verifier, and these checks of the question, beyond Authlib's own:

(1) no parameter stands there twice, (2) all are plain text, and `state` is 16 to 256 characters of it, (3) the
redirect address is a literal loopback address with a port and a secret path, (4) the challenge is made with S256, said
or not, (5) it is a SHA-256, (6) the label of the device can be seen, (7) there is no scope. What (1) to (3) refuse is
told on a page, and goes nowhere. Nothing is issued by GET.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge
from flask import jsonify, redirect, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from broker.errors import InvalidRequest
from broker.evaluate.condition import Circumstances
from broker.flow import Parts, grants
from broker.sessions.grants import GrantRefused, Tokens

CLIENT = "aws-broker"
REDIRECT_URI = re.compile(
    r"(?P<origin>http://(?:127\.0\.0\.1|\[::1\]):(?P<port>[1-9][0-9]{3,4}))/callback/[A-Za-z0-9_-]{22,64}", re.ASCII
)
PORTS = range(1024, 65536)
TEXT = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*", re.ASCII)
"""What may stand in an error of RFC 6749 (5.2), and so in everything that could come back in one."""
STATE = range(16, 257)
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
LABEL = re.compile(r"[\x20-\x7e]{0,64}", re.ASCII)
"""ASCII, so that what the person reads is all there is: Unicode has signs that are printable and cannot be seen."""
ASKED = ("response_type", "client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method")
DEVICE = "device"

Now = Callable[[], Circumstances]


class Program(ClientMixin):  # type: ignore[misc]  # Authlib ships no types
    """The one client."""

    def get_default_redirect_uri(self) -> None:
        """It always names one."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """There are none: what a person may have is in the mapping."""
        return None if scope else ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether it is on this machine, by a literal address (RFC 8252, 7.3 and 8.3), and nothing else is in it."""
        found = REDIRECT_URI.fullmatch(redirect_uri)
        if found is None or int(found["port"]) not in PORTS:  # noqa: SIM103 (what is marked is an if) # check: oauth-redirect-address
            return False
        return True

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """A secret in every laptop would be none."""
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        """A code, and never a token."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """What this server knows at all."""
        return grant_type in {"authorization_code", "refresh_token"}


class Asked(OAuth2Request):  # type: ignore[misc]  # Authlib ships no types
    """The parameters of a request, each once, from one place: never those of the query for those of the form."""

    def __init__(self, url: str, given: MultiDict[str, str]) -> None:
        """`url` is ours, whatever a proxy made of it. Raises `InvalidRequestError` (1)."""
        super().__init__(request.method, url)
        if any(len(values) != 1 for values in given.listvalues()):  # check: oauth-parameter-twice
            message = "A parameter stands there twice."
            raise InvalidRequestError(message)
        self.given = given.to_dict()
        self.payload = BasicOAuth2Payload(self.given)

    @property
    def form(self) -> dict[str, str]:
        """As Authlib asks for it."""
        return self.given


class S256Only(CodeChallenge):  # type: ignore[misc]  # Authlib ships no types
    """PKCE as it must be here: always, and with S256. An omitted method means `plain` to Authlib, as in RFC 7636."""

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:  # noqa: ANN401, ARG002 (Authlib's own)
        """Checks (4) to (6); what they refuse is told to the program."""
        given = grant.request.given
        if given.get("code_challenge_method") != "S256":  # check: pkce-s256
            message = "code_challenge_method must be S256."
            raise InvalidRequestError(message)
        if not CHALLENGE.fullmatch(given.get("code_challenge", "")):  # check: pkce-challenge
            message = "code_challenge must be a SHA-256 in base64url."
            raise InvalidRequestError(message)
        if not LABEL.fullmatch(given.get(DEVICE, "")):  # check: device-label
            message = "device must be printable ASCII, and at most 64 characters."
            raise InvalidRequestError(message)


class Code(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib ships no types
    """From a person's yes to the first tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def generate_authorization_code(self) -> str:
        """After the yes."""
        given, server = self.request.given, self.server
        return grants.authorize(
            server.parts,
            self.request.user,
            challenge=given["code_challenge"],
            redirect_uri=given["redirect_uri"],
            device=label(self.request),
            circumstances=server.now(),
        )

    def save_authorization_code(self, code: str, request: object) -> None:
        """It is kept already."""

    def validate_token_request(self) -> None:
        """Whether there is anything to try."""
        self.authenticate_token_endpoint_client()
        for name in ("code", "redirect_uri", "code_verifier"):
            _one(self.request, name)
        if not VERIFIER.fullmatch(self.request.given["code_verifier"]):
            message = "Invalid 'code_verifier' in request."
            raise InvalidRequestError(message)

    def create_token_response(self) -> tuple[int, dict[str, object], list[tuple[str, str]]]:
        """Once for each code."""
        given, server = self.request.given, self.server
        challenge = create_s256_code_challenge(given["code_verifier"])
        moment = server.now()
        try:
            tokens = grants.redeem(
                server.parts,
                given["code"],
                verifier_challenge=challenge,
                redirect_uri=given["redirect_uri"],
                circumstances=moment,
            )
        except GrantRefused as no:
            raise InvalidGrantError(no.message) from no
        return 200, _told(tokens, moment), self.TOKEN_RESPONSE_HEADER


class Refresh(RefreshTokenGrant):  # type: ignore[misc]  # Authlib ships no types
    """New tokens for old."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def validate_token_request(self) -> None:
        """Whether there is anything to try."""
        self.authenticate_token_endpoint_client()
        _one(self.request, "refresh_token")

    def create_token_response(self) -> tuple[int, dict[str, object], list[tuple[str, str]]]:
        """Once for each token."""
        moment = self.server.now()
        try:
            tokens = grants.refresh(self.server.parts, self.request.given["refresh_token"], moment)
        except GrantRefused as no:
            raise InvalidGrantError(no.message) from no
        return 200, _told(tokens, moment), self.TOKEN_RESPONSE_HEADER


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib ships no types
    """The program logs out. What is nobody's is answered as if it had been somebody's (RFC 7009, 2.2)."""

    CLIENT_AUTH_METHODS = ("none",)

    def authenticate_token(self, request: Asked, client: Program) -> None:
        """End it here, in one step with finding it."""
        del client
        grants.end(self.server.parts, _one(request, "token"), self.server.now())


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib ships no types
    """Authlib's, over our own corridor."""

    def __init__(self, parts: Parts, now: Now, issuer: str) -> None:
        super().__init__()
        self.parts, self.now, self.issuer = parts, now, issuer
        self.register_grant(Code, [S256Only(required=True)])
        self.register_grant(Refresh)
        self.register_endpoint(Revocation)

    def query_client(self, client_id: str) -> Program | None:
        """The program, or nothing."""
        return Program() if client_id == CLIENT else None

    def create_oauth2_request(self, request: Asked) -> Asked:
        """It is one."""
        return request

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(
        self, status: int, payload: dict[str, object] | str, headers: list[tuple[str, str]]
    ) -> AnyResponse:
        """Back to the program with our name on it (RFC 9207), so that it can tell us from another server; or JSON."""
        location = dict(headers).get("Location")
        if location:
            return redirect(add_params_to_uri(location, [("iss", self.issuer)]), HTTPStatus.SEE_OTHER)
        answer = jsonify(payload)
        answer.status_code = status
        return answer

    def of_a_page(self, given: MultiDict[str, str]) -> Asked:
        """The question of a program as the browser brings it. Raises `InvalidRequest` (1), (2)."""
        try:
            asked = Asked(f"{self.issuer}/oauth/authorize", given)
        except OAuth2Error as no:
            raise strange() from no
        if not all(TEXT.fullmatch(asked.given.get(name, "")) for name in ASKED):  # check: oauth-plain-text
            raise strange()
        if len(asked.given.get("state", "")) not in STATE:  # check: oauth-state
            raise strange()
        return asked

    def consent(self, asked: Asked) -> tuple[Any, AnyResponse | None]:
        """What Authlib makes of it: something that a person can say yes to, or the answer that the program gets.

        Raises `InvalidRequest` where it is not sure that it is the program that would get it (3).
        """
        try:
            return self.get_consent_grant(asked), None
        except OAuth2Error as no:
            if not no.redirect_uri:  # check: oauth-error-to-nobody
                raise strange() from no
            refused: AnyResponse = self.handle_error_response(asked, no)
            return None, refused

    def of_a_program(self, answer: Callable[[Asked], AnyResponse]) -> AnyResponse:
        """What a program sends itself; errors are JSON."""
        try:
            return answer(Asked(self.issuer + request.path, request.form))
        except OAuth2Error as no:
            refused: AnyResponse = self.handle_error_response(None, no)
            return refused


def _told(tokens: Tokens, moment: Circumstances) -> dict[str, object]:
    """RFC 6749, 5.1."""
    return {
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": max(0, int((tokens.access_until - moment.now).total_seconds())),
        "refresh_token": tokens.refresh,
    }


def label(asked: Asked) -> str:
    """What the program calls the machine that it runs on; empty: it gave no name."""
    return asked.given.get(DEVICE, "").strip()


def _one(asked: Asked, name: str) -> str:
    """A parameter that must be there."""
    value: str = asked.given.get(name, "")
    if not value:
        message = f"Missing '{name}' in request."
        raise InvalidRequestError(message)
    return value


def strange() -> InvalidRequest:
    """What is told, on a page, of a question that no program of ours asks."""
    message = "This is not a question of the aws-broker program."
    return InvalidRequest(message, remedy="Run `aws-broker login` again on your own machine.")
