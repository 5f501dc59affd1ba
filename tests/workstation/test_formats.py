"""`creds --format`: the bytes of `aws configure export-credentials`, for each word that it has."""

import json
import shutil
import subprocess

import pytest
from neighbours import need
from workstation.desk import ROLE, Desk, found

from broker.workstation.formats import FORMATS

PROFILE = "payments-dev-power-user"
WORDS = ("process", "env", "env-no-export", "powershell", "windows-cmd")
"""Those of Debian's AWS CLI; `fish` is younger."""


@pytest.mark.parametrize("word", WORDS)
def test_each_format_is_the_aws_cli_s_byte_for_byte(signed_in: Desk, word: str) -> None:
    assert signed_in.run("configure").returncode == 0
    ours = signed_in.run("creds", ROLE, "--format", word)
    theirs = signed_in.run(
        "configure", "export-credentials", "--format", word, "--profile", PROFILE, program=(need("aws", "awscli"),)
    )
    assert (ours.returncode, theirs.returncode) == (0, 0), theirs.stderr
    assert ours.stdout == theirs.stdout


def test_the_younger_format_sets_and_exports_each_variable(signed_in: Desk) -> None:
    values = found(signed_in.run("creds", ROLE))
    assert signed_in.run("creds", ROLE, "--format", "fish").stdout.splitlines() == [
        f'set -gx AWS_ACCESS_KEY_ID "{values["AccessKeyId"]}"',
        f'set -gx AWS_SECRET_ACCESS_KEY "{values["SecretAccessKey"]}"',
        f'set -gx AWS_SESSION_TOKEN "{values["SessionToken"]}"',
        f'set -gx AWS_CREDENTIAL_EXPIRATION "{values["Expiration"]}"',
    ]


def test_a_shell_gets_exactly_the_values(signed_in: Desk) -> None:
    values = found(signed_in.run("creds", ROLE))
    script = (
        f'{signed_in.run("creds", ROLE, "--format", "env").stdout}printf %s "$AWS_SECRET_ACCESS_KEY/$AWS_SESSION_TOKEN"'
    )
    done = subprocess.run([shutil.which("sh") or "sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{values['SecretAccessKey']}/{values['SessionToken']}"


def test_a_section_of_the_credentials_file_is_one_that_the_aws_cli_reads(signed_in: Desk) -> None:
    file = signed_in.home / "credentials"
    file.write_text(signed_in.run("creds", ROLE, "--format", "credentials").stdout, "utf-8")
    done = signed_in.run(
        "configure", "export-credentials", "--profile", PROFILE,
        program=(need("aws", "awscli"),), AWS_SHARED_CREDENTIALS_FILE=str(file),
    )  # fmt: skip
    values, theirs = found(signed_in.run("creds", ROLE)), json.loads(done.stdout)
    assert theirs == {name: values[name] for name in theirs}
    assert "SessionToken" in theirs


def test_json_says_whose_they_are(signed_in: Desk) -> None:
    told = found(signed_in.run("creds", ROLE, "--format", "json"))
    assert (told["Role"], told["AccountId"], told["SessionName"]) == (ROLE, "210987654321", "ada")
    assert told["RoleArn"] == "arn:aws:iam::210987654321:role/federated/PowerUser"


def test_every_word_is_one_of_the_formats() -> None:
    assert set(FORMATS) == {*WORDS, "fish", "credentials", "json"}
