"""What `broker.yaml` may say about second factors."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from broker.authenticate.attempts import AttemptRule
from broker.challenge.settings import EnrolmentPolicy, MfaSettings


def test_the_defaults_are_the_safe_ones() -> None:
    settings = MfaSettings()
    assert settings.enrolment is EnrolmentPolicy.CODE
    assert settings.code_lifetime == timedelta(hours=24)
    assert settings.rule == AttemptRule(
        tries=5, window=timedelta(minutes=15), longest_wait=timedelta(hours=1), hard_stop=100
    )


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in MfaSettings.model_fields.values())


def test_durations_are_written_as_everywhere() -> None:
    settings = MfaSettings.model_validate({"code_lifetime": "2d", "window": "30m"})
    assert (settings.code_lifetime, settings.window) == (timedelta(days=2), timedelta(minutes=30))


@pytest.mark.parametrize(
    "given",
    [
        {"enrolment": "none"},
        {"enrollment": "self"},
        {"issuer": ""},
        {"issuer": "a:b"},
        {"code_lifetime": "31d"},
        {"code_lifetime": "0m"},
        {"code_lifetime": 3600},
        {"code_lifetime": "1 day"},
        {"tries": 11},
        {"tries": 0},
        {"hard_stop": 101},
        {"window": "30s"},
    ],
)
def test_what_would_weaken_or_mean_nothing_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MfaSettings.model_validate(given)
