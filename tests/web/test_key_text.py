"""Keys as text: what each reader takes from it is exactly what AWS gave, whatever is in it."""

import configparser
import json
import re
import shlex
import shutil
import string
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.issue.issuer import IssueRefused, Lease
from broker.web.key_text import BARE, cmd, texts, variables

NAMES = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"]
NASTY = r"""a'b"c\d$e`f!g%h;i&j|k<l>m(n)o*p?q[r]s{t}u~v#w^x=y+z/@:,.-_"""
LEASE = Lease(
    id="lease-1",
    account="210987654321",
    role_arn="arn:aws:iam::210987654321:role/federated/PowerUser",
    session_name="ada",
    source_identity="ada",
    access_key_id="ASIAIOSFODNN7EXAMPLE",
    secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    session_token="IQoJb3JpZ2luX2VjEB0aCXVzLWVhc3QtMSJ/+=" * 10,
    expires_at=datetime(2026, 11, 24, 12, tzinfo=UTC),
    region="eu-central-1",
    chained=False,
)
values = st.text(string.printable.strip(), min_size=1, max_size=60)


def made(lease: Lease) -> dict[str, str]:
    return {one.key: one.text for one in texts(lease, profile="payments-dev-power-user")}


def nasty(value: str = NASTY) -> Lease:
    return replace(LEASE, secret_access_key=value, session_token=value)


def expected(lease: Lease) -> dict[str, str]:
    return dict(variables(lease))


def unfished(text: str) -> dict[str, str]:
    """By the rules of fish's manual."""
    found = re.findall(r"set -gx (\w+) '((?:[^'\\]|\\[\\'])*)'(?:\n|\Z)", text)
    return {name: re.sub(r"\\([\\'])", r"\1", value) for name, value in found}


def unpowered(text: str) -> dict[str, str]:
    """By about_Quoting_Rules."""
    found = re.findall(r"\$Env:(\w+) = '((?:[^']|'')*)'(?:\n|\Z)", text)
    return {name: value.replace("''", "'") for name, value in found}


def test_every_form_is_there_in_the_order_of_the_tabs() -> None:
    assert list(made(LEASE)) == ["bash", "powershell", "cmd", "fish", "profile", "dotenv", "json"]


def test_the_words_are_those_of_the_aws_cli() -> None:
    found = made(LEASE)
    assert found["bash"].splitlines()[0] == "export AWS_ACCESS_KEY_ID=ASIAIOSFODNN7EXAMPLE"
    assert found["powershell"].splitlines()[0] == "$Env:AWS_ACCESS_KEY_ID = 'ASIAIOSFODNN7EXAMPLE'"
    assert found["cmd"].splitlines()[0] == 'set "AWS_ACCESS_KEY_ID=ASIAIOSFODNN7EXAMPLE"'
    assert found["fish"].splitlines()[0] == "set -gx AWS_ACCESS_KEY_ID 'ASIAIOSFODNN7EXAMPLE'"
    assert found["dotenv"].splitlines()[0] == "AWS_ACCESS_KEY_ID=ASIAIOSFODNN7EXAMPLE"
    assert list(variables(LEASE)) == NAMES
    assert json.loads(found["json"]) == {
        "Version": 1,
        "AccessKeyId": LEASE.access_key_id,
        "SecretAccessKey": LEASE.secret_access_key,
        "SessionToken": LEASE.session_token,
        "Expiration": "2026-11-24T12:00:00+00:00",
    }


@given(values)
def test_quotes_hold_whatever_is_in_a_value(value: str) -> None:
    lease = nasty(value)
    found, wanted = made(lease), expected(lease)
    words = [shlex.split(line) for line in found["bash"].splitlines()]
    assert [word[0] for word in words] == ["export"] * 4
    assert dict(word[1].split("=", 1) for word in words) == wanted
    assert unfished(found["fish"]) == wanted
    assert unpowered(found["powershell"]) == wanted
    lines = dict(line.split("=", 1) for line in found["dotenv"].splitlines())
    assert all(BARE.fullmatch(text) or (text[0] == text[-1] == "'") for text in lines.values())
    assert json.loads(found["json"])["SecretAccessKey"] == value
    assert ("cmd" in found) is not bool(set(value) & set('%"'))


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh", "fish"])
def test_a_real_shell_reads_it_back(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    text = made(nasty())["fish" if shell == "fish" else "bash"]
    read = subprocess.run([program, "-c", f"{text}\nprintenv {' '.join(NAMES)}"], capture_output=True, check=True)
    assert read.stdout.decode().splitlines() == list(expected(nasty()).values())


def test_the_credentials_file_is_one_that_aws_reads() -> None:
    reader = configparser.RawConfigParser()
    reader.read_string(made(nasty())["profile"])
    assert dict(reader["payments-dev-power-user"]) == {
        "aws_access_key_id": LEASE.access_key_id,
        "aws_secret_access_key": NASTY,
        "aws_session_token": NASTY,
    }


def test_what_the_command_prompt_cannot_quote_is_not_offered() -> None:
    assert cmd({"A": "x&y|z<>^()!"}) == 'set "A=x&y|z<>^()!"'
    assert cmd({"A": "100%PATH%"}) == cmd({"A": 'a"b'}) == ""


@pytest.mark.parametrize(
    "value", ["", "a\nexport B=c", "a\rb", "a b", "a\x00b", "a\x1b[0m", "schlüssel", "a\u202eb", "x" * 4097]
)
def test_what_no_quotes_could_carry_is_refused(value: str) -> None:
    with pytest.raises(IssueRefused):
        texts(nasty(value), profile="p")
