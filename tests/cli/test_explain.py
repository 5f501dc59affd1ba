"""`broker mappings` and `broker explain`."""

import json
from pathlib import Path

import pytest
from cli.stage import OFFICE, ROLE, Place, run

from broker.entitle.schema import mapping_schema
from broker.evaluate import CONDITIONS
from broker.settings import examples

RESPELT = "cn=team-PAYMENTS, ou=Teams,dc=corp,dc=example"
SRE = "S-1-5-21-1004336348-1177238915-682003330-1104"
TEAM = "CN=Team-payments,OU=Teams,DC=corp,DC=example"


def explain(place: Place, *arguments: str) -> tuple[int, str]:
    result = place.run("explain", *arguments)
    return result.exit_code, result.stdout


def test_validate_counts_what_it_read_and_runs_the_document_s_own_tests(furnished: Place) -> None:
    result = furnished.run("mappings", "validate")
    assert result.exit_code == 0
    assert result.stdout.startswith("ok: 4 mappings, 3 accounts, 3 roles, 5 tests passed; revision ")


def test_validate_takes_files_without_any_configuration(tmp_path: Path) -> None:
    result = run("mappings", "validate", str(examples() / "mappings.yaml"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert run("mappings", "validate", str(tmp_path / "none.yaml")).exit_code == 2


def test_validate_tells_every_problem_at_once_with_its_place_and_exit_code_10(place: Place) -> None:
    mapping = place.folder / "mappings.yaml"
    text = mapping.read_text("utf-8").replace("roles: [power-user]", "roles: [power-usr]")
    mapping.write_text(text.replace("payments-dev: {id:", "payments-dev: {idd:"), encoding="utf-8")
    result = place.run("mappings", "validate")
    assert (result.exit_code, result.stdout) == (10, "")
    lines = [line for line in result.stderr.splitlines() if line.startswith(f"{mapping}:")]
    assert len(lines) >= 3
    assert any("power-usr" in line for line in lines)
    assert any("idd" in line for line in lines)


def test_a_document_that_breaks_one_of_its_own_tests_is_not_valid(place: Place) -> None:
    mapping = place.folder / "mappings.yaml"
    mapping.write_text(
        mapping.read_text("utf-8").replace("allow: [payments-dev/power-user]", "allow: [payments-prod/admin]")
    )
    result = place.run("mappings", "validate")
    assert result.exit_code == 10
    assert "payments-prod/admin should be allowed and is not" in result.stderr


def test_a_provider_that_broker_yaml_does_not_have_is_a_problem_of_the_document(place: Place) -> None:
    mapping = place.folder / "mappings.yaml"
    mapping.write_text(mapping.read_text("utf-8").replace("provider: corp-ad", "provider: corp-da"), encoding="utf-8")
    assert place.run("mappings", "validate").exit_code == 10


def test_the_schema_of_the_document_is_the_published_one() -> None:
    assert json.loads(run("mappings", "schema").stdout) == mapping_schema(CONDITIONS)


def test_explain_says_yes_and_by_which_group_and_rule(furnished: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(furnished.folder.parent)
    code, told = explain(furnished, "--user", "ada", "--role", ROLE, *OFFICE)
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert code == 0
    assert lines[:2] == [f"ada -> {ROLE}: ALLOWED", "because: mapping teams-own-their-dev"]
    assert any(line.startswith("gives teams-own-their-dev by Team-payments conf/mappings.yaml:") for line in lines)
    assert any(line.startswith("no-group by-convention needs AWS-payments-dev-power-user under ") for line in lines)
    assert "condition built-in: mfa holds built-in" in lines
    columns = {line.index("conf/mappings.yaml") for line in told.splitlines() if "conf/mappings.yaml" in line}
    assert len(columns) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--user", "ada", "--role", "payments-prod/admin"), 5, "because: No mapping gives this role."),
        (("--user", "ada", "--role", ROLE, "--from", "192.0.2.1"), 5, "opens:   not by waiting"),
        (("--user", "ada", "--role", ROLE), 5, "teams-own-their-dev"),
        (("--user", "ada", "--role", ROLE, *OFFICE, "--mfa", "none"), 6, "STEP UP"),
        (("--user", "ada", "--role", ROLE, *OFFICE, "--mfa", "totp:3h"), 0, "ALLOWED"),
        (("--user", "grace", "--role", "payments-prod/read-only", "--mfa", "totp:9h"), 6, "prod-needs-mfa"),
        (("--user", "olga", "--role", "payments-prod/admin"), 6, "admin-by-key"),
        (("--user", "leo", "--role", "payments-dev/read-only"), 5, "denies"),
        (("--user", "dennis", "--role", ROLE), 5, "corp-ad does not let the account sign in: account-disabled"),
        (
            ("--user", "grace", "--role", "payments-prod/power-user", *OFFICE, "--at", "2026-12-05T10:00:00+01:00"),
            5,
            "opens:   2026-12-07T07:00:00Z",
        ),
        (
            ("--user", "grace", "--role", "payments-prod/power-user", *OFFICE, "--at", "2026-12-04T10:00:00+01:00"),
            0,
            "because: mapping sre-mends-prod-in-office-hours",
        ),
        (
            ("--user", "grace", "--role", "payments-prod/power-user", *OFFICE, "--at", "2026-12-04T10:00:00+01:00",
             "--tls", "none"),
            5,
            "TLS 1.2 or newer",
        ),
        (("--user", "x", "--groups", TEAM, "--role", ROLE, *OFFICE), 0, "by Team-payments"),
        (("--user", "x", "--groups", RESPELT, "--role", ROLE, *OFFICE), 0, "ALLOWED"),
        (("--user", "x", "--groups", "sre", "--role", "payments-dev/read-only"), 0, "by sre"),
        (
            ("--user", "x", "--groups", SRE, "--role", "platform-dev/read-only"),
            0,
            "ALLOWED",
        ),
        (("--user", "x", "--groups", f"{TEAM}; leavers", "--role", ROLE, *OFFICE), 5, "denies"),
        (("--user", "x", "--groups", "Team-payments", "--role", ROLE, *OFFICE), 5, "REFUSED"),
    ],
)  # fmt: skip
def test_explain_answers_what_if_with_an_exit_code(
    furnished: Place, arguments: tuple[str, ...], code: int, told: str
) -> None:
    found, text = explain(furnished, *arguments)
    assert told in text
    assert found == code, text


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--user", "nobody", "--role", ROLE), 1, "corp-ad has no such account: unknown-user."),
        (("--user", "ada", "--role", "payments-dev/none"), 1, ""),
        (("--user", "ada", "--role", "payments-dev"), 1, ""),
        (("--user", "ada", "--role", ROLE, "--from", "here"), 2, "'here' is not an IP address"),
        (("--user", "ada", "--role", ROLE, "--mfa", "magic:1m"), 2, "such as totp:5m"),
        (("--user", "ada", "--role", ROLE, "--mfa", "totp:soon"), 2, "such as totp:5m"),
        (("--user", "ada", "--role", ROLE, "--mfa", "totp:999999d"), 2, "such as totp:5m"),
        (("--user", "ada", "--role", ROLE, "--at", "2026-12-05"), 2, "--at"),
        (("--user", "ada", "--role", ROLE, "--at", "0001-01-01T00:00:00+0000"), 2, "--at"),
        (("--user", "ada", "--role", ROLE, "--tls", "9"), 2, "--tls"),
        (("--user", "ada", "--role", ROLE, "--groups", "CN="), 2, "--groups"),
        (("--role", ROLE), 2, "--user"),
    ],
)
def test_explain_says_what_cannot_be_asked(furnished: Place, arguments: tuple[str, ...], code: int, told: str) -> None:
    result = furnished.run("explain", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert told in result.stderr
    assert len(result.stderr.splitlines()) <= 6
