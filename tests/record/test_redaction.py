"""No secret gets into the trail by mistake; what belongs there does."""

import base64
import json
import random
import string
from collections.abc import Callable

import pytest
from record.memory import MemoryTrail
from record.trails import KEYS, a_trail, an_event

from broker.keys import Purpose
from broker.record.canonical import REDACTED, InvalidEvent
from broker.record.redaction import looks_secret, names_a_secret

CHANCE = random.Random()  # noqa: S311 (canaries, not keys)
BASE64 = string.ascii_letters + string.digits + "+/"


@pytest.fixture(autouse=True)
def _the_same_canaries_in_any_order() -> None:
    CHANCE.seed(20261123)


def _text(alphabet: str, length: int) -> str:
    return "".join(CHANCE.choice(alphabet) for _ in range(length))


def _base32(size: int) -> str:
    return base64.b32encode(CHANCE.randbytes(size)).decode().rstrip("=")


CANARIES: dict[str, Callable[[], str]] = {
    "sts-secret-access-key": lambda: _text(BASE64, 40),
    "sts-session-token": lambda: "IQoJb3JpZ2luX2VjE" + _text(BASE64, 600) + "==",
    "totp-seed": lambda: _base32(20),
    "totp-seed-256": lambda: _base32(32),
    "totp-seed-in-groups": lambda: " ".join(_base32(20)[i : i + 4] for i in range(0, 32, 4)),
    "otpauth-uri": lambda: f"otpauth://totp/x?secret={_base32(20)}",
    "bearer-token": lambda: base64.urlsafe_b64encode(CHANCE.randbytes(32)).decode().rstrip("="),
    "jwt": lambda: "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0." + _text(BASE64, 86),
    "private-key": lambda: "-----BEGIN PRIVATE KEY-----\nMC4CAQAw",
    "password-hash": lambda: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
    "sign-in-token": lambda: _text(BASE64, 350),
}


@pytest.mark.parametrize("around", ["{}", "error: {} was refused", "<{}>"])
@pytest.mark.parametrize("kind", CANARIES)
def test_a_secret_in_a_detail_never_reaches_the_store_and_its_event_does(kind: str, around: str) -> None:
    store = MemoryTrail()
    trail = a_trail(store)
    for _ in range(20):
        canary = CANARIES[kind]()
        trail.record(an_event(details={"note": around.format(canary), "region": "eu-central-1"}))
        assert canary not in repr(store.rows)
    details = [json.loads(row.payload or "")["details"] for row in store.rows[1:]]
    assert details == [{"note": REDACTED, "region": "eu-central-1"}] * 20
    assert trail.failures == 0


@pytest.mark.parametrize("name", ["rule", "replaced_groups", "asked_for", "group"])
def test_a_name_that_only_looks_like_a_secret_loses_no_event(name: str) -> None:
    """People name their rules and groups as they like."""
    store = MemoryTrail()
    a_trail(store).record(an_event(details={name: "k8s-EKS-v2-Admin-S3-RO-EC2-RW-RDS-RW-IAM-RO-Q4"}))
    assert json.loads(store.rows[-1].payload or "")["details"] == {name: REDACTED}


@pytest.mark.parametrize("kind", CANARIES)
def test_a_secret_in_a_reason_never_reaches_the_store(kind: str) -> None:
    store = MemoryTrail()
    canary = CANARIES[kind]()
    a_trail(store).record(an_event(reason=f"AWS said {canary}", actor_name=canary))
    assert canary not in repr(store.rows)


@pytest.mark.parametrize(
    "name", ["password", "totp_seed", "session-token", "aws.secret", "code", "answer", "cookie", "credentials"]
)
def test_a_detail_named_like_a_secret_is_refused(name: str) -> None:
    assert names_a_secret(name)
    with pytest.raises(InvalidEvent):
        a_trail(MemoryTrail()).record(an_event(details={name: "x"}))


@pytest.mark.parametrize("name", ["aws_code", "method", "factor", "keyring", "region", "expires_at", "asked_for"])
def test_ordinary_names_pass(name: str) -> None:
    assert not names_a_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:iam::012345678901:role/federated/PaymentsProductionPowerUser2",
        "arn:aws:kms:eu-west-1:012345678901:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "CN=AWS-payments-dev-power-user,OU=AWS Groups 2,DC=corp,DC=example",
        "S-1-5-21-1004336348-1177238915-682003330-1104",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "01935a4e-7b1c-7000-8000-000000000000 01935a4e-7b1c-7000-8000-000000000001",
        "ASIAIOSFODNN7EXAMPLE",
        "2026-11-23T10:00:00.000000+00:00",
        "ADMINISTRATOR ACCESS FOR EVERYBODY",
        "The request was denied because time_of_day passes again at 08:00 on Monday.",
        "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_AdministratorAccess",
        "Payments-Production/Power-User-With-A-Very-Long-Name",
        "federated/ReadOnlyPaymentsProductionEuCentral1",
        "https://sts.eu-central-1.amazonaws.com/?Action=AssumeRole&Version=2011-06-15",
    ],
)
def test_what_belongs_in_the_trail_is_not_taken_for_a_secret(text: str) -> None:
    assert not looks_secret(text)


def test_the_broker_s_own_key_material_is_recognised() -> None:
    assert looks_secret(KEYS.secret_text(Purpose.CSRF))
