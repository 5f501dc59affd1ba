"""AWS programs through `credential_process`: the real `aws-broker`, the AWS CLI in both generations, and boto3."""

import json
import re
import sys
from pathlib import Path

import pytest
from journeys.live import DEV_ROLE, FORBIDDEN_ROLE, LOCKED_ROLE, Live, enter
from journeys.visitor import Visitor
from neighbours import need
from neighbours.chromium import Tab
from playwright.sync_api import expect

from broker.cli.demo.laptop import Laptop, consenting
from broker.record.event import Tag

ARN = "arn:aws:sts::210987654321:assumed-role/PowerUser/{name}"
BOTO = """
import boto3, json, sys
session = boto3.Session(profile_name=sys.argv[1])
print(json.dumps(session.client("sts").get_caller_identity()["Arn"]))
"""


def laptop(live: Live, folder: Path) -> Laptop:
    folder.mkdir(exist_ok=True)
    return Laptop(home=folder, server=live.url, aws_endpoint=live.demo.sts.url)


def signed_in(live: Live, folder: Path, kind: str = "dev") -> tuple[Laptop, Visitor]:
    """A machine with the program signed in, and profiles written."""
    visitor, machine = live.person(kind).sign_in(), laptop(live, folder)
    done = machine.login(consenting(visitor.browser))
    assert done.returncode == 0, done.stdout
    done = machine.broker("configure")
    assert done.returncode == 0, done.stderr
    return machine, visitor


def profile(machine: Laptop, ending: str = "power-user") -> str:
    """The name of the profile that `configure` wrote."""
    found = re.findall(r"\[profile ([^\]]+)\]", (machine.home / ".aws" / "config").read_text("utf-8"))
    return next(name for name in found if name.endswith(ending))


@pytest.mark.parametrize("system", [False, True], ids=["v1", "v2"])
def test_the_aws_cli_acts_as_the_person_with_nothing_but_a_profile(live: Live, tmp_path: Path, system: bool) -> None:  # noqa: FBT001 (parameter)
    machine, visitor = signed_in(live, tmp_path / "home")
    aws = need("aws", "awscli") if system else str(Path(sys.executable).with_name("aws"))
    version = machine.run(aws, "--version").stdout
    assert version.startswith("aws-cli/2" if system else "aws-cli/1"), version
    done = machine.identity(aws, profile(machine))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Arn"] == ARN.format(name=visitor.name)


def test_boto3_acts_as_the_person_with_nothing_but_a_profile(live: Live, tmp_path: Path) -> None:
    machine, visitor = signed_in(live, tmp_path / "home")
    done = machine.run(sys.executable, "-c", BOTO, profile(machine))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ARN.format(name=visitor.name)


def test_one_answer_serves_many_programs_and_is_recorded_once(live: Live, tmp_path: Path) -> None:
    machine, visitor = signed_in(live, tmp_path / "home")
    keys = set()
    for _ in range(3):
        done = machine.broker("process", "--role", DEV_ROLE)
        assert (done.returncode, done.stderr) == (0, "")
        answer = json.loads(done.stdout)
        assert answer["Version"] == 1
        keys.add(answer["AccessKeyId"])
    assert len(keys) == 1
    issued = [event for event in live.events(visitor) if event.tag is Tag.CREDENTIALS_ISSUED]
    assert [event.access_key_id for event in issued] == list(keys)


@pytest.mark.parametrize("role", [LOCKED_ROLE, FORBIDDEN_ROLE])
def test_a_role_that_cannot_be_had_is_exit_code_5_and_one_line(live: Live, tmp_path: Path, role: str) -> None:
    machine, _ = signed_in(live, tmp_path / "home", "sre")
    done = machine.broker("process", "--role", role)
    assert (done.returncode, done.stdout) == (5, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_without_a_sign_in_nobody_is_asked_and_the_next_command_is_told(live: Live, tmp_path: Path) -> None:
    machine = laptop(live, tmp_path / "home")
    done = machine.broker("process", "--role", DEV_ROLE)
    assert (done.returncode, done.stdout) == (4, "")
    assert "aws-broker login" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_after_the_log_out_the_profile_is_worth_nothing(live: Live, tmp_path: Path) -> None:
    machine, visitor = signed_in(live, tmp_path / "home")
    assert machine.broker("status").returncode == 0
    assert machine.broker("logout").returncode == 0
    assert machine.broker("status").returncode == 4
    done = machine.identity(Path(sys.executable).with_name("aws"), profile(machine))
    assert done.returncode != 0
    assert "aws-broker login" in done.stderr
    assert visitor.whoami().status == 200, "the browser stays signed in"


def test_ended_from_the_sessions_page_the_program_is_signed_out(live: Live, tmp_path: Path, tab: Tab) -> None:
    machine, visitor = signed_in(live, tmp_path / "home")
    page = enter(tab, visitor, "/sessions")
    programs = page.get_by_role("region", name="Programs")
    expect(programs.get_by_role("row")).to_have_count(2)
    tab.examine("sessions-with-a-program")
    programs.get_by_role("button", name=re.compile("End")).click()
    expect(page.get_by_text("No aws-broker program is signed in as you.")).to_be_visible()
    done = machine.broker("creds", DEV_ROLE, "--no-cache")
    assert (done.returncode, done.stdout) == (4, "")


def test_the_browser_asks_who_lets_the_program_in_and_comes_back_to_it(live: Live, tmp_path: Path, tab: Tab) -> None:
    """The system browser of the story: here it is Chromium, and its page is the broker's own consent page."""
    visitor, machine = live.person(), laptop(live, tmp_path / "home")

    def consent(address: str) -> None:
        page = tab.page
        visitor.sign_in()
        enter(tab, visitor)
        page.goto(address)
        expect(page.get_by_role("main")).to_contain_text(visitor.name.replace("dev", "Dev No "))
        tab.examine("authorize")
        page.get_by_role("button", name=re.compile("^Yes")).click()
        page.wait_for_url("http://127.0.0.1:*/callback/**")
        expect(page.get_by_role("heading", level=1)).to_be_visible()

    done = machine.login(consent)
    assert done.returncode == 0, done.stdout
    done = machine.broker("creds", DEV_ROLE, "--format", "env")
    assert re.search(r"export AWS_ACCESS_KEY_ID=\S*ASIA", done.stdout), done.stderr
    assert tab.complaints == []


def test_whoever_says_no_lets_nobody_in(live: Live, tmp_path: Path, tab: Tab) -> None:
    visitor, machine = live.person(), laptop(live, tmp_path / "home")

    def refuse(address: str) -> None:
        enter(tab, visitor)
        tab.page.goto(address)
        tab.page.get_by_role("button", name="No", exact=True).click()
        tab.page.wait_for_url("http://127.0.0.1:*/callback/**")

    done = machine.login(refuse)
    assert done.returncode == 3, done.stdout
    assert machine.broker("status").returncode == 4
