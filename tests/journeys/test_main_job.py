"""The main job on real input: from a password in Active Directory to the real AWS CLI, over PostgreSQL and Redis.

A person in nested groups walks through the pages of a broker under gunicorn with two workers; a strict STS of the
sandbox stands in for AWS.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from contracts.cast import PASSWORD
from journeys.household import Household
from journeys.place import ADMIN, BROKER_USER, DEV, EXTERNAL_ID, FORBIDDEN, READ, REGIONS, Place, assumed, running
from journeys.visitor import Visitor, environment, holds_credentials, with_app
from neighbours import need
from neighbours.samba import SambaServer

from broker.sandbox.browser import Browser, Page
from broker.sandbox.sts import SandboxSts

ADA = "ada"
ARN = f"arn:aws:sts::{DEV}:assumed-role/ReadOnly/{ADA}"


@pytest.fixture(scope="module")
def walk(house: Household) -> tuple[Visitor, list[tuple[str, int]]]:
    """Ada's whole way in, and where each step led her."""
    ada, steps = Visitor(ADA, house.one.url), list[tuple[str, int]]()

    def note(page: Page) -> Page:
        steps.append((page.path, page.status))
        return page

    note(ada.browser.get("/"))
    note(ada.show_password("not it"))
    note(ada.show_password())
    half = Browser(house.one.url)
    half.cookies.update(ada.browser.cookies)
    note(half.get("/api/v1/roles"))
    note(ada.enrol("WRNG-CODE-WRNG-CODE"))
    operator = house.place.program("users", "enrol-code", ADA)
    assert operator.returncode == 0, operator.stderr
    page = note(ada.enrol(operator.stdout.strip()))
    assert page.text.count("<li><code>") == 10, "ten recovery codes"
    ada.browser.get("/")
    note(ada.browser.submit("/sign-out"))
    note(ada.show_password())
    note(ada.show_code())
    return ada, steps


@pytest.fixture
def ada(walk: tuple[Visitor, list[tuple[str, int]]]) -> Visitor:
    return walk[0]


def test_the_pages_lead_from_the_password_through_enrolment_and_challenge_home(
    walk: tuple[Visitor, list[tuple[str, int]]],
) -> None:
    assert walk[1] == [
        ("/sign-in", 200),
        ("/sign-in", 401),  # a wrong password
        ("/enrol", 200),  # the right one; a second factor is missing
        ("/api/v1/roles", 401),  # no way round it
        ("/enrol", 401),  # an app, but no code from an operator
        ("/enrol", 200),  # with it: the recovery codes
        ("/sign-in", 200),  # signed out
        ("/challenge", 200),
        ("/", 200),
    ]


def test_nested_groups_give_the_role_and_nothing_else(ada: Visitor) -> None:
    assert ada.roles() == {READ: "now"}
    page = ada.browser.get("/").text
    assert all(word in page for word in READ.split("/"))
    assert ADMIN.rpartition("/")[2] not in page


def _by_boto3(sts: SandboxSts, keys: dict[str, str]) -> str:
    client = boto3.client(
        "sts",
        endpoint_url=sts.url,
        region_name=REGIONS[0],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=keys["AWS_SESSION_TOKEN"],
    )
    return str(client.get_caller_identity()["Arn"])


def _by_cli(program: str, sts: SandboxSts, keys: dict[str, str]) -> str:
    command = [program, "sts", "get-caller-identity", "--endpoint-url", sts.url, "--region", REGIONS[0]]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [*command, "--output", "json"],
        env={**clean, **keys, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["Arn"])


def _pip_cli(sts: SandboxSts, keys: dict[str, str]) -> str:
    return _by_cli(str(Path(sys.executable).parent / "aws"), sts, keys)


def _debian_cli(sts: SandboxSts, keys: dict[str, str]) -> str:
    return _by_cli(need("aws", "awscli"), sts, keys)


@pytest.mark.parametrize("client", [_by_boto3, _pip_cli, _debian_cli], ids=["boto3", "aws-cli-v1", "aws-cli-v2"])
def test_the_real_clients_see_the_right_caller(
    ada: Visitor, house: Household, client: Callable[[SandboxSts, dict[str, str]], str]
) -> None:
    answer = ada.lease(READ)
    assert answer.status == 200, answer.text
    assert client(house.sts, environment(answer)) == ARN


def test_aws_is_told_who_why_and_for_how_long(ada: Visitor, house: Household) -> None:
    leased = ada.lease(READ, duration=900).json()
    (call,) = [call for call in assumed(house.sts, "ReadOnly") if leased["lease"] in str(call["requestParameters"])]
    asked: Any = call["requestParameters"]
    assert call["userIdentity"]["arn"] == BROKER_USER
    assert (asked["roleArn"], asked["roleSessionName"], asked["sourceIdentity"]) == (leased["role_arn"], ADA, ADA)
    assert (asked["externalId"], asked["durationSeconds"]) == (EXTERNAL_ID, 900)
    tags = asked["principalTags"]
    assert set(tags) == {f"broker:{key}" for key in ("lease", "person", "provider", "mapping", "mfa", "mfa-at")}
    who = ada.whoami().json()
    assert (tags["broker:lease"], tags["broker:person"]) == (leased["lease"], who["person"])
    assert (tags["broker:provider"], tags["broker:mfa"]) == ("corp-ad", "totp")
    assert "transitiveTagKeys" not in asked


@pytest.mark.parametrize("role", [ADMIN, FORBIDDEN, "payments-dev/no-such-role", "nowhere/read-only"])
def test_a_role_that_the_mapping_does_not_give_is_refused_with_a_reason(
    ada: Visitor, house: Household, role: str
) -> None:
    before = len(house.sts.calls)
    answer = ada.lease(role)
    assert (answer.status, holds_credentials(answer)) == (403, False)
    assert answer.json()["detail"]
    assert len(house.sts.calls) == before, "STS was asked"


def test_somebody_who_is_entitled_to_nothing_can_sign_in_and_is_refused(house: Household) -> None:
    dora = house.visitor("dora").sign_in()
    assert dora.roles() == {}
    answer = dora.lease(READ)
    assert (answer.status, holds_credentials(answer)) == (403, False)
    assert answer.json()["detail"]
    assert not [call for call in assumed(house.sts) if "'dora'" in str(call["requestParameters"])]


def test_all_of_it_is_in_the_trail(ada: Visitor, house: Household) -> None:
    leased = ada.lease(READ).json()
    ada.lease(FORBIDDEN)
    exported = house.place.command("audit", "export")
    events = [json.loads(line)["audit"]["event"] for line in exported.stdout.splitlines()]
    hers = [event for event in events if event.get("actor_name") == ADA]
    tags = [event["tag"] for event in sorted(hers, key=lambda event: event["at"])]
    assert tags.count("sign-in:refused") == 1
    for tag in ("person:created", "sign-in:succeeded", "factor:enrolment-refused", "factor:enrolled", "session:ended"):
        assert tag in tags
    mine = {event["tag"]: event for event in events if event.get("lease_id") == leased["lease"]}
    assert set(mine) == {"credentials:decided", "credentials:issued"}
    issued = mine["credentials:issued"]
    assert issued["access_key_id"] == leased["credentials"]["AccessKeyId"]
    assert (issued["role_arn"], issued["session_name"], issued["address"]) == (leased["role_arn"], ADA, "127.0.0.1")
    assert [event["reason"] for event in hers if event["tag"] == "credentials:refused"][-1]
    assert any(event["tag"] == "enrolment-code:created" and event["actor"].startswith("operator:") for event in events)
    assert leased["credentials"]["SecretAccessKey"] not in exported.stdout
    assert PASSWORD not in exported.stdout


def test_the_trail_is_intact_by_its_lines_and_a_change_in_the_database_is_found_and_named(
    ada: Visitor, house: Household, tmp_path: Path
) -> None:
    leased = ada.lease(READ).json()
    anchor = tmp_path / "collected"
    anchor.write_bytes(house.one.lines.read_bytes() + house.two.lines.read_bytes())
    before = house.place.program("audit", "verify", "--anchor", str(anchor))
    assert (before.returncode, before.stdout.split(":")[0]) == (0, "intact"), before.stdout
    assert " 0 anchors" not in before.stdout
    with house.postgres.connect(house.database) as database:
        query = "SELECT writer, number, payload FROM trail_links WHERE lease_id = %s AND tag = 'credentials:issued'"
        row = database.execute(query, [leased["lease"]]).fetchone()
        assert row is not None
        writer, number, payload = row
        change = "UPDATE trail_links SET payload = %s WHERE writer = %s AND number = %s"
        altered = str(payload).replace(f'"session_name":"{ADA}"', '"session_name":"boris"')
        database.execute(change, [altered, writer, number])
        try:
            after = house.place.command("audit", "verify", "--anchor", str(anchor))
        finally:
            database.execute(change, [payload, writer, number])
    assert after.exit_code == 1
    assert f"payload-changed: {writer} {number}:" in after.stdout
    assert "ALTERED" in after.stdout


def test_starttls_carries_the_password_as_ldaps_does(domain: SambaServer, place: Callable[..., Place]) -> None:
    """The domain refuses a password in clear, so that this is proof of TLS."""
    stand = place(provider={"servers": [domain.url.replace("ldaps://", "ldap://")]})
    with running(stand) as broker:
        boris = with_app(broker.broker, "boris", broker.url).sign_in()
        assert boris.lease(READ).status == 200
