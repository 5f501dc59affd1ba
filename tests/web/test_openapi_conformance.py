"""The API does what its OpenAPI document says: schemathesis asks all that it allows, and some that it does not.

In this process, always the same examples. Nothing ends in a 5xx, and every answer is one that the document describes.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from corridor import URL, Answer, Browser, Corridor
from hypothesis import HealthCheck, Phase, given, settings
from requests import Request
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from web.programs import Program

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 25
OURS = frozenset({"host", "cookie", "x-csrftoken", "authorization"})
ROLE = "payments-dev/read-only"
CALLERS = ("nobody", "half-signed-in", "cookie", "cookie-without-token", "bearer", "bearer-of-nobody")
Operation = APIOperation[Any, Any, Any, Any]


def operations(corridor: Corridor) -> Iterator[Operation]:
    """Everything in the document, as it is served; what ends the caller's own session comes last."""
    document = corridor.browser().get("/api/v1/openapi.json").json
    found = [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]
    yield from sorted(found, key=lambda operation: "sign-out" in operation.path)


def caller(corridor: Corridor, kind: str) -> tuple[Browser, dict[str, str]]:
    """A browser, and the headers that it sends with everything."""
    if kind == "nobody":
        return corridor.browser(), {}
    if kind == "half-signed-in":
        return corridor.half_signed_in(corridor.person("sre", enrolled=True)), {}
    if kind == "bearer-of-nobody":
        return corridor.browser(), {"Authorization": f"Bearer {'A' * 43}.{'B' * 43}"}
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    if kind == "bearer":
        return corridor.browser(), {"Authorization": f"Bearer {Program(corridor).login(browser).access}"}
    token = browser.get("/api/v1/whoami").json["csrf_token"]
    return browser, {"X-CSRFToken": token} if kind == "cookie" else {}


def send(browser: Browser, case: schemathesis.Case, headers: dict[str, str]) -> Answer:
    """The case, from this caller: its own way of proving who it is takes the place of the made-up one."""
    request = case.as_transport_kwargs(base_url=URL)
    body = json.dumps(request["json"]) if "json" in request else request.get("data", b"")
    query = urlsplit(Request(case.method, URL + case.formatted_path, params=request.get("params")).prepare().url).query
    sent = {name: value for name, value in (case.headers or {}).items() if name.lower() not in OURS}
    return browser.open(
        case.method,
        f"{case.formatted_path}?{query}",
        headers={"Origin": URL, **sent, **headers},
        data=body,
        content_type=case.media_type,
    )


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("kind", CALLERS)
def test_every_answer_is_one_that_the_document_describes(corridor: Corridor, kind: str, mode: GenerationMode) -> None:
    browser, headers = caller(corridor, kind)
    seen: dict[str, set[int]] = {}
    for operation in operations(corridor):
        _ask(operation, browser, headers, mode, seen.setdefault(operation.label, set()))
    assert len(seen) >= 3
    assert not seen["POST /api/v1/credentials"] & {200, 201}, "no made-up role is anybody's"
    whole = mode is GenerationMode.POSITIVE and kind in {"cookie", "cookie-without-token", "bearer"}
    assert not whole or seen["GET /api/v1/roles"] == {200}, "the control"


def _ask(operation: Operation, browser: Browser, headers: dict[str, str], mode: GenerationMode, seen: set[int]) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = send(browser, case, headers)
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()


@pytest.mark.parametrize("kind", ["cookie", "bearer"])
def test_what_is_given_is_described_too(corridor: Corridor, kind: str) -> None:
    """Made-up roles are nobody's: so here is one that the caller has."""
    browser, headers = caller(corridor, kind)
    given_out = 0
    for operation in operations(corridor):
        wants = "requestBody" in operation.definition.raw
        body = {"body": {"role": ROLE}, "media_type": "application/json"} if wants else {}
        case = operation.Case(**body, query={} if wants else {"role": ROLE})
        answer = send(browser, case, headers)
        assert answer.status_code in {200, 201}, (operation.label, answer.text)
        case.validate_response(answer, checks=CHECKS)
        given_out += 1
    assert given_out >= 3
