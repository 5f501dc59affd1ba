"""The contract of a console sign-in: one suite for every implementation and every stand-in of AWS's sign-in.

An implementation gives a `Stage`: an issuer with leases to sign in, a console, and a browser's way through it.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from builders import HOUR, MINUTE

from broker.clock import utc_now
from broker.errors import InvalidRequest, Unavailable
from broker.issue.console import Console, SignIn
from broker.issue.destination import SERVICES, Destination
from broker.issue.issuer import IssueRefused, Lease

HOME = Destination()
S3 = Destination(service="s3", region="eu-central-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """What a browser saw when it sent the form."""

    status: int
    text: str
    url: str
    """Where it was led in the end; the host is the stand-in's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A console, leases for it, and a browser."""

    console: Console
    lease: Callable[..., Lease]
    """A lease of `ada`'s; `lasts` says for how long."""
    chained: Callable[[], Lease]
    """One that was got with a role's own credentials."""
    visit: Callable[[SignIn], Visited]
    """Send the form as a browser does, and follow it."""
    offline: Callable[[], Console]
    """The same console with nobody listening."""
    issuer: str
    """The broker's address."""


def shown(page: Visited, name: str) -> str:
    """One fact of the stand-in's console."""
    found = re.search(rf"<dt>{name}</dt><dd>([^<]*)</dd>", page.text)
    assert found, page.text
    return found[1]


class ConsoleContract:
    """Subclass it and give a `stage` fixture."""

    def test_the_browser_is_signed_in_to_the_role_as_the_person(self, stage: Stage) -> None:
        lease = stage.lease()
        page = stage.visit(stage.console.open(lease, HOME))
        assert page.status == 200
        assert shown(page, "Account") == lease.account
        assert shown(page, "Role") == lease.role_arn.partition(":role/")[2]
        assert shown(page, "Session name") == "ada"
        assert shown(page, "Source identity") == "ada"

    def test_it_arrives_where_it_was_to_go(self, stage: Stage) -> None:
        for destination, path in (
            (HOME, "/console/home"),
            (S3, "/s3/home?region=eu-central-1"),
            (Destination(region="us-east-1"), "/console/home?region=us-east-1"),
            (Destination(service="iam"), "/iam/home"),
        ):
            page = stage.visit(stage.console.open(stage.lease(), destination))
            assert page.url.endswith(path)

    def test_every_service_of_the_list_is_arrived_at(self, stage: Stage) -> None:
        lease = stage.lease()
        for service in SERVICES:
            page = stage.visit(stage.console.open(lease, Destination(service=service)))
            assert page.url.endswith(f"/{service}/home")

    def test_aws_is_told_where_to_lead_back_to(self, stage: Stage) -> None:
        assert stage.console.open(stage.lease(), HOME).fields["Issuer"] == stage.issuer

    def test_the_form_holds_what_the_sign_in_takes_and_nothing_else(self, stage: Stage) -> None:
        fields = stage.console.open(stage.lease(), S3).fields
        assert set(fields) == {"Action", "Issuer", "Destination", "SigninToken"}
        assert fields["Action"] == "login"
        assert fields["Destination"] == "https://eu-central-1.console.aws.amazon.com/s3/home?region=eu-central-1"

    def test_the_token_is_valid_for_a_quarter_of_an_hour(self, stage: Stage) -> None:
        before = utc_now()
        ends = stage.console.open(stage.lease(), HOME).ends_at
        assert before + 15 * MINUTE <= ends <= utc_now() + 15 * MINUTE

    @pytest.mark.parametrize(
        ("lasts", "expected"),
        [(15 * MINUTE, 15 * MINUTE), (20 * MINUTE, 15 * MINUTE), (HOUR, HOUR), (4 * HOUR, 4 * HOUR)],
    )
    def test_the_console_does_not_outlast_the_lease(self, stage: Stage, lasts: timedelta, expected: timedelta) -> None:
        lease = stage.lease(lasts=lasts)
        page = stage.visit(stage.console.open(lease, HOME))
        ends = datetime.strptime(shown(page, "Session ends"), "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        assert abs(ends - (utc_now() + expected)) < MINUTE
        assert ends <= lease.expires_at + MINUTE

    def test_a_chained_lease_opens_the_console_and_ends_with_its_credentials(self, stage: Stage) -> None:
        """With a SessionDuration AWS would refuse it."""
        lease = stage.chained()
        assert lease.chained
        page = stage.visit(stage.console.open(lease, HOME))
        assert shown(page, "Session ends") == f"{lease.expires_at:%Y-%m-%d %H:%M:%S} UTC"

    def test_credentials_that_aws_does_not_know_open_nothing(self, stage: Stage) -> None:
        lease = stage.lease()
        changes: list[Mapping[str, str]] = [
            {"access_key_id": "ASIAQQQQQQQQQQQQQQQQ"},
            {"secret_access_key": lease.secret_access_key[:-1] + "x"},
            {"session_token": lease.session_token[:-1] + "-"},
            {"session_token": ""},
        ]
        for change in changes:
            with pytest.raises(IssueRefused) as caught:
                stage.console.open(replace(lease, **change), HOME)  # type: ignore[arg-type]  # texts, all of them
            assert caught.value.aws_code == "SignIn400"
        assert stage.visit(stage.console.open(lease, HOME)).status == 200

    def test_a_long_term_key_is_not_even_sent(self, stage: Stage) -> None:
        with pytest.raises(IssueRefused, match="not temporary") as caught:
            stage.console.open(replace(stage.lease(), access_key_id="AKIAQQQQQQQQQQQQQQQQ"), HOME)
        assert caught.value.aws_code == ""

    def test_an_expired_lease_is_not_even_sent(self, stage: Stage) -> None:
        with pytest.raises(IssueRefused, match="expired") as caught:
            stage.console.open(replace(stage.lease(), expires_at=utc_now()), HOME)
        assert caught.value.aws_code == ""

    def test_no_secret_is_in_what_is_shown_of_a_sign_in(self, stage: Stage) -> None:
        lease = stage.lease()
        opened = stage.console.open(lease, HOME)
        token = opened.fields["SigninToken"]
        assert len(token) > 16
        for secret in (token, lease.secret_access_key, lease.session_token):
            assert secret not in repr(opened) + str(opened)
        assert lease.secret_access_key not in json.dumps(dict(opened.fields))
        assert lease.session_token not in json.dumps(dict(opened.fields))

    @pytest.mark.parametrize(
        "destination",
        [
            {"service": "s3.evil"},
            {"service": "//evil.example/"},
            {"service": "../s3"},
            {"service": "S3"},
            {"service": "nosuchservice"},
            {"service": " s3"},
            {"region": "evil.example/"},
            {"region": "eu-central-1.evil.example"},
            {"region": "eu-central-1\n"},
            {"region": "EU-CENTRAL-1"},
            {"region": "eu-central-\N{ARABIC-INDIC DIGIT ONE}"},
            {"region": "eu"},
            {"region": "eu-central-1@evil"},
        ],
    )
    def test_no_other_place_can_be_named(self, destination: dict[str, str]) -> None:
        with pytest.raises(InvalidRequest):
            Destination(**destination)

    @pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1"])
    def test_a_region_of_another_partition_is_refused(self, stage: Stage, region: str) -> None:
        with pytest.raises(IssueRefused, match="partition") as caught:
            stage.console.open(stage.lease(), Destination(region=region))
        assert caught.value.aws_code == ""

    def test_with_nobody_listening_it_is_unavailable(self, stage: Stage) -> None:
        with pytest.raises(Unavailable) as caught:
            stage.offline().open(stage.lease(), HOME)
        assert caught.value.neighbour == "AWS sign-in"
