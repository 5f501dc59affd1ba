"""Set up my CLI: the program as one file with its checksum, and three commands."""

import hashlib
import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
from corridor import URL, Browser, Corridor


@pytest.fixture
def sre(corridor: Corridor) -> Browser:
    corridor.until_office_hours()
    return corridor.signed_in(corridor.person("sre", enrolled=True))


def blocks(page: str) -> dict[str, str]:
    return {name: html.unescape(text) for name, text in re.findall(r'<code id="([^"]+)">(.*?)</code>', page, re.DOTALL)}


def test_the_program_can_be_fetched_by_curl_and_has_the_checksum_that_the_page_says(
    corridor: Corridor, sre: Browser
) -> None:
    answer = corridor.browser().get("/cli/aws-broker.pyz")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == "attachment; filename=aws-broker.pyz"
    assert hashlib.sha256(answer.data).hexdigest() in sre.visit("/cli").text
    assert answer.data == sre.get("/cli/aws-broker.pyz").data


def test_the_file_runs_alone(corridor: Corridor, tmp_path: Path) -> None:
    file = tmp_path / "aws-broker"
    file.write_bytes(corridor.browser().get("/cli/aws-broker.pyz").data)
    run = subprocess.run([sys.executable, "-I", "-S", str(file), "version"], capture_output=True, check=True)
    assert run.stdout.decode().startswith("aws-broker ")


def test_three_commands_for_each_system(sre: Browser) -> None:
    found = blocks(sre.visit("/cli").text)
    assert f"{URL}/cli/aws-broker.pyz" in found["unix-get"]
    assert found["unix-login"] == (f"~/.local/bin/aws-broker login --server {URL} && ~/.local/bin/aws-broker configure")
    assert found["unix-try"] == "aws sts get-caller-identity --profile payments-dev-by-key"
    assert f"{URL}/cli/aws-broker.pyz" in found["windows-get"]
    assert f"login --server {URL}" in found["windows-login"]


def test_the_profile_of_the_role_one_came_from_is_first(sre: Browser) -> None:
    found = blocks(sre.visit("/cli?role=untrusting/read-only").text)
    assert found["profiles"].startswith(
        "[profile untrusting-read-only]\n"
        f"credential_process = aws-broker process --server {URL} --role untrusting/read-only\n"
    )
    assert found["profiles"].count("[profile ") == 7
    assert found["unix-try"].endswith("--profile untrusting-read-only")


def test_a_role_of_nobodys_changes_nothing(sre: Browser) -> None:
    plain = blocks(sre.visit("/cli").text)
    assert blocks(sre.visit("/cli?role=%3Cscript%3E/x").text) == plain
    assert "<script>" not in sre.text.replace("<script src=", "")


def test_who_has_no_role_can_still_get_the_program(corridor: Corridor) -> None:
    page = corridor.signed_in(corridor.person("stranger", enrolled=True)).visit("/cli").text
    assert "/cli/aws-broker.pyz" in page
    assert "You have no AWS roles yet" in page
    assert "[profile" not in page
