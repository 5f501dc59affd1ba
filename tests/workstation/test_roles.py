"""`roles`, `console`, `why`: what a person looks at."""

import csv
import io
import json
from urllib.parse import urlsplit

import pytest
from workstation.desk import ROLE, Desk, found
from workstation.fake_broker import FakeBroker, role_now

LINKS = "POST /api/v1/console-links"


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()[1:]]


def test_the_table_says_what_can_be_had_now_and_why_not(signed_in: Desk, fake: FakeBroker) -> None:
    fake.roles[1] |= {"available": "refused", "reason": "Not now.", "opens_at": "2026-11-25T07:00:00Z"}
    fake.roles[2] |= {"available": "step-up", "reason": "A fresher second factor is needed."}
    lines = signed_in.run("roles").stdout.splitlines()
    assert lines[0].split() == ["ROLE", "ACCOUNT", "ENV", "NOW", "WHY", "NOT"]
    assert lines[1].split() == [ROLE, "210987654321", "dev", "yes"]
    assert lines[2].endswith("no             Not now. Opens 2026-11-25T07:00:00Z.")
    assert "second factor  A fresher" in lines[3]


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        (("--account", "payments-dev"), 2),
        (("--account", "012345678901"), 1),
        (("--env", "prod"), 1),
        (("--env", "dev", "--search", "POWER"), 1),
        (("--search", "federated/ReadOnly"), 2),
        (("--search", "nothing like it"), 0),
    ],
)
def test_the_list_can_be_narrowed(signed_in: Desk, flags: tuple[str, ...], count: int) -> None:
    done = signed_in.run("roles", *flags)
    assert done.returncode == 0
    assert len(names(done.stdout)) == count
    assert (count == 0) == ("No role fits." in done.stderr)


def test_json_and_csv_have_the_same_in_them(signed_in: Desk, fake: FakeBroker) -> None:
    as_json = json.loads(signed_in.run("roles", "-o", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(signed_in.run("roles", "-o", "csv").stdout)))
    assert [role["role"] for role in as_json] == [row["role"] for row in as_csv] == [r["role"] for r in fake.roles]
    assert as_csv[0]["account_id"] == "210987654321"


def test_a_spreadsheet_calculates_nothing_and_a_terminal_is_not_steered(signed_in: Desk, fake: FakeBroker) -> None:
    fake.roles[0] |= {"description": "=cmd|' /C calc'!A0", "reason": "\x1b]0;owned\x07\nred", "available": "refused"}
    assert "'=cmd" in signed_in.run("roles", "-o", "csv").stdout
    told = signed_in.run("roles").stdout
    assert "\x1b" not in told
    assert "\x07" not in told
    assert len(told.splitlines()) == 4


@pytest.mark.parametrize("member", ["role", "account_id", "role_arn", "available", "max_session"])
def test_a_role_that_is_none_is_refused(signed_in: Desk, fake: FakeBroker, member: str) -> None:
    fake.roles = [role_now("a", "111111111111", "dev", "b", "B") | {member: "x y"}]
    done = signed_in.run("roles")
    assert done.returncode == 1
    assert f": {member}." in done.stderr


def test_a_console_link_is_printed_or_opened(signed_in: Desk, fake: FakeBroker) -> None:
    done = signed_in.run("console", ROLE, "--print", "--service", "s3", "--region", "eu-central-1")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{fake.url}/console/link/")
    assert fake.bodies[-1] == {"role": ROLE, "service": "s3", "region": "eu-central-1"}
    opened = signed_in.run("console", "payments-prod")
    assert (opened.returncode, opened.stdout, opened.stderr) == (0, "", "")
    assert fake.bodies[-1] == {"role": "payments-prod/read-only"}
    assert [path for path in fake.asked if path.startswith("GET /console/link/")], "the browser was there"
    nowhere = signed_in.run("console", ROLE, BROWSER="")
    assert nowhere.stdout.startswith(f"{fake.url}/console/link/"), "without a browser it is printed"


@pytest.mark.parametrize(
    "url", ["https://evil.example/console/link/x", "{url}.evil.example/console/link/x", "{url}/elsewhere", 5]
)
def test_a_console_link_to_elsewhere_is_not_opened(signed_in: Desk, fake: FakeBroker, url: object) -> None:
    given = url.format(url=fake.url) if isinstance(url, str) else url
    fake.answers[LINKS] = lambda: (200, {"url": given, "expires_at": "2026-11-24T08:01:00Z"})
    done = signed_in.run("console", ROLE, "--print")
    assert (done.returncode, done.stdout) == (1, "")
    assert urlsplit(fake.url).netloc


def test_why_is_told_in_the_broker_s_words(signed_in: Desk) -> None:
    done = signed_in.run("why", ROLE)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "You have this role, but not now, or not from here.",
        "  The mapping sre gives it to members of SRE, and you are one.",
        "It opens at 2026-11-25T07:00:00Z.",
        "Wait until it opens.",
    ]
    assert found(signed_in.run("why", "arn:aws:iam::1:role/a b?&x".replace(" ", "+"), "-o", "json"))["role"].endswith(
        "?&x"
    )
