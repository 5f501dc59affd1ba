"""API v1: what it answers, and that the document tells the truth about it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from builders import MINUTE
from corridor import Browser, Corridor, World, a_corridor
from pydantic import BaseModel

from broker.record.event import Tag
from broker.sandbox.sts.client import caller_identity
from broker.web.api import Leased, Problem, Roles, WhoAmI

ROLE = "payments-dev/power-user"


def strictly(model: type[BaseModel], found: Mapping[str, Any]) -> None:
    """Exactly what the model declares: every key known, and the values of its types."""
    model.model_validate(found)
    assert set(found) <= set(model.model_fields), set(found) - set(model.model_fields)
    assert {name for name, field in model.model_fields.items() if field.is_required()} <= set(found)


def test_who_am_i(corridor: Corridor) -> None:
    person = corridor.person("owner", enrolled=True)
    browser = corridor.signed_in(person)
    answer = browser.get("/api/v1/whoami")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    strictly(WhoAmI, answer.json)
    told = answer.json
    assert (told["username"], told["session_name"], told["provider"]) == (person.account, person.account, "corp-ad")
    assert (told["person"], told["owner"], told["factors"]) == (person.id, True, ["totp"])
    assert datetime.fromisoformat(told["signed_in_at"]) <= corridor.clock()
    assert corridor.signed_in(corridor.person("sre", enrolled=True)).get("/api/v1/whoami").json["owner"] is False


def test_the_csrf_token_it_tells_is_the_one_that_counts(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person(enrolled=True))
    token = browser.get("/api/v1/whoami").json["csrf_token"]
    assert browser.post("/api/v1/credentials", {"role": ROLE}, csrf=token).status_code == 200


def test_which_roles_and_why_not_now(corridor: Corridor) -> None:
    corridor.until_office_hours()
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    browser.address = "192.0.2.1"
    answer = browser.get("/api/v1/roles")
    strictly(Roles, answer.json)
    assert answer.json["revision"] == corridor.parts.mapping().revision
    found = {role["role"]: role for role in answer.json["roles"]}
    assert {name: role["available"] for name, role in found.items()} == {
        "payments-dev/by-key": "step-up",
        "payments-dev/critical": "now",
        "payments-dev/fresh": "now",
        "payments-dev/read-only": "now",
        "payments-prod/power-user": "refused",
        "payments-prod/read-only": "now",
        "untrusting/read-only": "now",
    }
    assert "address" in found["payments-prod/power-user"]["reason"]
    assert found["payments-prod/read-only"] | {"description": ""} == {
        "role": "payments-prod/read-only",
        "account": "payments-prod",
        "account_id": "012345678901",
        "env": "prod",
        "role_arn": "arn:aws:iam::012345678901:role/federated/ReadOnly",
        "description": "",
        "max_session": 8 * 3600,
        "available": "now",
        "reason": "",
        "opens_at": None,
    }


def test_somebody_without_a_role_has_an_empty_list(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person("stranger", enrolled=True))
    assert browser.get("/api/v1/roles").json["roles"] == []


def test_credentials_with_which_aws_knows_who_it_is(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    answer = corridor.signed_in(person).credentials(ROLE, duration=900)
    assert answer.status_code == 200
    strictly(Leased, answer.json)
    told = answer.json
    assert told["credentials"]["Version"] == 1
    lasts = datetime.fromisoformat(told["credentials"]["Expiration"]) - corridor.clock()
    assert lasts == timedelta(seconds=900)
    arn = caller_identity(corridor.world.sts.url, told["region"], told["credentials"])
    assert arn == f"arn:aws:sts::210987654321:assumed-role/PowerUser/{person.account}"
    assert answer.headers["Cache-Control"] == "no-store"
    decided, issued = corridor.events(answer)
    assert decided.lease_id == issued.lease_id == told["lease"]
    assert issued.access_key_id == told["credentials"]["AccessKeyId"]


def test_more_than_the_role_allows_is_cut_to_it(corridor: Corridor) -> None:
    answer = corridor.signed_in(corridor.person(enrolled=True)).credentials(ROLE, duration=43200)
    lasts = datetime.fromisoformat(answer.json["credentials"]["Expiration"]) - corridor.clock()
    assert lasts == timedelta(hours=4)


def test_a_refusal_is_a_problem_with_its_reason(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    answer = browser.credentials("payments-prod/fresh")
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    strictly(Problem, answer.json)
    assert answer.json["type"] == "urn:aws-federation-broker:problem:denied"
    assert (answer.json["condition"], answer.json["detail"]) == ("mapping", "No mapping gives you this role.")
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_a_refusal_says_when_it_opens(corridor: Corridor) -> None:
    corridor.until_office_hours()
    corridor.clock.now = corridor.clock().replace(hour=21)
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    answer = browser.credentials("payments-prod/power-user")
    assert (answer.status_code, answer.json["condition"]) == (403, "time_of_day")
    strictly(Problem, answer.json)
    assert datetime.fromisoformat(answer.json["opens_at"]) > corridor.clock()


def test_a_step_up_names_the_factors_that_would_do(corridor: Corridor) -> None:
    person = corridor.person("sre", enrolled=True)
    browser = corridor.signed_in(person)
    corridor.clock.advance(6 * MINUTE)
    answer = browser.credentials("payments-dev/fresh")
    assert answer.status_code == 403
    strictly(Problem, answer.json)
    assert answer.json["type"].endswith(":step-up")
    assert (answer.json["methods"], answer.json["max_age"], answer.json["rule"]) == (["totp"], 300, "fresh-code")
    browser.visit("/challenge")
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    assert browser.credentials("payments-dev/fresh").status_code == 200


def test_what_aws_refuses_is_a_502_and_nobodys_fault_here(corridor: Corridor) -> None:
    answer = corridor.signed_in(corridor.person("sre", enrolled=True)).credentials("untrusting/read-only")
    assert answer.status_code == 502
    strictly(Problem, answer.json)
    assert answer.json["type"].endswith(":issue-refused")
    assert "external id" in answer.json["detail"]


def test_an_account_that_may_no_longer_sign_in_is_signed_out(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True, for_good=True)
    browser, other = corridor.signed_in(person), corridor.signed_in(person)
    corridor.world.directory.disable(person.account)
    corridor.clock.advance(61 * (MINUTE / 60))
    answer = browser.credentials(ROLE)
    assert answer.status_code == 401
    assert "disabled" not in answer.text
    assert other.get("/api/v1/whoami").status_code == 401


def test_the_document_describes_every_route_its_answers_and_how_to_be_let_in(corridor: Corridor) -> None:
    document = corridor.browser().get("/api/v1/openapi.json").json
    names = {"whoami", "roles", "credentials", "console-links", "why", "sign-out-everywhere"}
    assert set(document["paths"]) == {f"/api/v1/{name}" for name in names}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert {"200", "400", "401", "403", "429", "502", "503"} <= set(operation["responses"]), path
            wanted = {"session", "csrf"} if method == "post" else {"session"}
            assert [set(one) for one in operation["security"]] == [wanted, {"bearer"}]
    assert set(document["components"]["securitySchemes"]) == {"session", "csrf", "bearer"}


def resolved(document: Mapping[str, Any], node: object) -> None:
    """Follow every reference of the document."""
    if isinstance(node, dict):
        if "$ref" in node:
            target: Any = document
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
        for value in node.values():
            resolved(document, value)
    if isinstance(node, list):
        for value in node:
            resolved(document, value)


def test_every_reference_of_the_document_leads_somewhere(corridor: Corridor) -> None:
    document = corridor.browser().get("/api/v1/openapi.json").json
    resolved(document, document)
    schemas = document["components"]["schemas"]
    assert {"WhoAmI", "Roles", "RoleNow", "Leased", "Credentials", "Wanted"} <= set(schemas)
    for model in (WhoAmI, Roles, Leased):
        assert set(schemas[model.__name__]["properties"]) == set(model.model_fields)


def tries(browser: Browser, answers: int) -> list[int]:
    found = []
    for _ in range(answers):
        browser.visit("/challenge")
        found.append(browser.submit("/challenge", method="totp", answer="000000").status_code)
    return found


def test_too_many_codes_are_a_429_that_says_when(corridor: Corridor) -> None:
    browser = corridor.half_signed_in(corridor.person(enrolled=True))
    assert tries(browser, 6) == [401] * 5 + [429]
    assert browser.last is not None
    told = parsedate_to_datetime(browser.last.headers["Retry-After"])
    assert told == corridor.clock() + 15 * MINUTE
    assert "Too many wrong codes." in browser.text
    assert "Wait, then type a new code." in browser.text
    assert corridor.tags(browser.last) == [Tag.FACTOR_REFUSED]


def test_too_many_leases_are_a_429_that_says_when(world: World, tmp_path: Path) -> None:
    aws = {"regions": ["eu-central-1"], "access_key_file": "aws-key", "leases_per_minute": 2}
    with a_corridor(world, tmp_path / "one", aws=aws) as corridor:
        browser = corridor.signed_in(corridor.person(enrolled=True))
        begun = corridor.clock()
        answers = [browser.credentials("payments-dev/power-user") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        told = answers[-1]
        assert parsedate_to_datetime(told.headers["Retry-After"]) == begun + MINUTE
        assert told.mimetype == "application/problem+json"
        assert told.json["type"].endswith(":too-many-attempts")
        assert "Wait a minute" in told.json["detail"]
        assert "ASIA" not in told.text
        assert corridor.tags(told) == [Tag.CREDENTIALS_RATE_LIMITED]
        assert browser.get("/api/v1/roles").status_code == 200, "the rest goes on"
