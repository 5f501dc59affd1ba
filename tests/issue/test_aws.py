from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import MINUTE, NOW
from pydantic import ValidationError

from broker.authenticate.attempts import Attempts, take
from broker.issue.aws import AwsSettings


def test_regions_are_all_that_is_needed() -> None:
    settings = AwsSettings(regions=("eu-central-1",))
    assert (settings.chained, settings.tag_prefix) == ("auto", "broker:")
    assert (settings.connect_timeout, settings.read_timeout, settings.budget) == (
        timedelta(seconds=2),
        timedelta(seconds=5),
        timedelta(seconds=10),
    )


@pytest.mark.parametrize(
    ("written", "read"), [("auto", "auto"), (True, True), ("yes", True), ("no", False), (False, False), ("true", True)]
)
def test_chained_is_auto_yes_or_no(written: object, read: object) -> None:
    assert AwsSettings.model_validate({"regions": ["eu-central-1"], "chained": written}).chained == read


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "ap-southeast-7"])
def test_names_of_regions(region: str) -> None:
    assert AwsSettings(regions=(region,)).regions == (region,)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"regions": []}, "regions"),
        ({"regions": ["eu-central-1", "eu-central-1"]}, "twice"),
        ({"regions": ["Frankfurt"]}, "regions"),
        ({"regions": ["evil.example/eu-central-1"]}, "regions"),
        ({"regions": ["eu-central-1.evil.example"]}, "regions"),
        ({"region": "eu-central-1"}, "region"),
        ({"profile": "broker", "access_key_file": Path("key")}, "not both"),
        ({"tag_prefix": ""}, "letter"),
        ({"tag_prefix": "aws:x"}, "not with aws"),
        ({"tag_prefix": "AWS"}, "not with aws"),
        ({"tag_prefix": "bröker"}, "letter"),
        ({"tag_prefix": "x" * 65}, "at most 64"),
        ({"budget": "6s"}, "no time"),
        ({"connect_timeout": "0s"}, "lets nothing"),
        ({"read_timeout": 5}, "duration"),
        ({"endpoint_url": "http://127.0.0.1"}, "endpoint_url"),
        ({"chained": "maybe"}, "chained"),
        ({"connections": 0}, "connections"),
    ],
)
def test_a_mistake_is_refused_with_a_hint(change: dict[str, Any], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        AwsSettings.model_validate({"regions": ["eu-central-1"]} | change)


def test_settings_do_not_change() -> None:
    settings = AwsSettings(regions=("eu-central-1",))
    with pytest.raises(ValidationError):
        settings.profile = "another"  # type: ignore[misc]  # the attack


def test_thirty_leases_a_minute_and_then_a_minute_s_wait_that_never_grows() -> None:
    """A count that a store lost takes nothing away: whoever may have a lease could have another."""
    rule, now = AwsSettings(regions=("eu-central-1",)).lease_rule(), NOW
    assert (rule.tries, rule.hard_stop, rule.left_after_loss) == (30, None, 30)
    counted = Attempts()
    for _ in range(20):
        for _ in range(30):
            counted, taken = take(counted, now, rule)
            assert taken.allowed
        counted, taken = take(counted, now, rule)
        assert (taken.allowed, taken.retry_at) == (False, now + MINUTE)
        now += MINUTE
