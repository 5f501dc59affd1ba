"""`login`, `status`, `logout`: the browser signs in, this machine gets tokens, and nobody else's answer counts."""

import ast
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from html import escape
from typing import Any

import pytest
from neighbours._waiting import wait_until
from workstation.desk import PROGRAM, ROLE, Desk, command, found, mode
from workstation.fake_broker import FakeBroker, serving

from broker.workstation import hot
from broker.workstation.failure import Failure
from broker.workstation.hot import usual_server
from broker.workstation.login import PAGE
from broker.workstation.run import put, say
from broker.workstation.server import places, remembered


def test_a_login_is_one_question_in_the_browser_and_one_code(desk: Desk, fake: FakeBroker) -> None:
    done = desk.login()
    assert done.stdout == ""
    who = f"Signed in as Ada Lovelace (ada, corp-ad) at {fake.url}."
    assert done.stderr.endswith(f"{who} If that is not you: aws-broker logout {' '.join(desk.server)}\n")
    assert "Signed in" in (desk.home / "seen").read_text("utf-8")
    (asked,) = fake.questions
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback/[A-Za-z0-9_-]{43}", asked["redirect_uri"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", asked["code_challenge"])
    assert len(asked["state"]) == 43
    assert 0 < len(asked["device"]) <= 64
    assert fake.asked["POST /oauth/token"] == 1
    assert {headers["User-Agent"] for headers in fake.headers} >= {"aws-broker/0.1.0"}


def test_every_secret_of_a_login_is_another_one_each_time(desk: Desk, fake: FakeBroker) -> None:
    desk.login()
    desk.login("--force")
    one, other = fake.questions
    for name in ("state", "code_challenge", "redirect_uri"):
        assert one[name] != other[name]


def test_the_tokens_are_the_owner_s_alone(signed_in: Desk) -> None:
    session = signed_in.session
    assert mode(session) == 0o600
    assert mode(session.parent) == mode(session.parent.parent) == 0o700
    assert not list((signed_in.home / ".cache").glob("*/*/session")), "not with the credentials"


def test_without_a_browser_the_address_alone_is_on_standard_output(desk: Desk, fake: FakeBroker) -> None:
    program = desk.start("login", *desk.server, "--no-browser")
    assert program.stdout is not None
    url = program.stdout.readline().strip()
    assert url.startswith(f"{fake.url}/oauth/authorize?")
    with urllib.request.urlopen(url, timeout=20) as page:  # noqa: S310 (the fake's)
        assert b"go back to your terminal" in page.read()
        assert page.headers["Cache-Control"] == "no-store"
    out, err = program.communicate(timeout=30)
    assert (program.returncode, out) == (0, ""), err


def test_nobody_else_sees_where_the_browser_is_led(desk: Desk, fake: FakeBroker) -> None:
    """The arguments of every process are open to all users; whoever has the address could answer for the person."""
    look = desk.home / "look.py"
    look.write_text(
        "import os, pathlib, sys, urllib.parse\n"
        "page, saw = pathlib.Path(urllib.parse.urlsplit(sys.argv[1]).path), pathlib.Path(sys.argv[2])\n"
        "words = [*sys.argv, pathlib.Path(f'/proc/{os.getppid()}/cmdline').read_text()]\n"
        "modes = [oct(p.stat().st_mode & 0o777) for p in (page, page.parent, page.parent.parent)]\n"
        "saw.with_name('new').write_text(repr((modes, any('/oauth/authorize' in word for word in words))))\n"
        "saw.with_name('new').rename(saw)\n",
        "utf-8",
    )
    saw = desk.home / "saw"
    program = desk.start("login", *desk.server, BROWSER=f"{sys.executable} {look} %s {saw}")
    wait_until(saw.exists, "no browser was opened", 30)
    program.send_signal(2)
    program.communicate(timeout=30)
    assert program.returncode == 130
    assert ast.literal_eval(saw.read_text("utf-8")) == (["0o600", "0o700", "0o700"], False)
    assert list(desk.home.rglob("*.html")) == [], "the login has ended"
    desk.login()
    assert len(fake.questions) == 1
    assert list(desk.home.rglob("*.html")) == []


def test_a_page_leads_to_the_address_and_nowhere_else() -> None:
    page = PAGE.format(url=escape('https://b.example/a?b=1&c="><script>'))
    assert page.count("&amp;c=&quot;&gt;&lt;script&gt;") == 2
    assert "<script" not in page
    assert '<meta name="referrer" content="no-referrer">' in page


def test_no_browser_is_started_where_none_can_be_seen(desk: Desk) -> None:
    program = desk.start("login", *desk.server, "--timeout", "1", BROWSER="", SSH_CONNECTION="10.0.0.1 1 10.0.0.2 22")
    out, err = program.communicate(timeout=30)
    assert program.returncode == 3
    assert out.startswith("http")
    assert re.search(r"ssh -L (\d+):127\.0\.0\.1:\1 HOST", err)


def test_a_login_waits_no_longer_than_it_was_told_to(desk: Desk) -> None:
    done = desk.run("login", *desk.server, "--no-browser", "--timeout", "1")
    assert done.returncode == 3
    assert "Nobody signed in in time." in done.stderr


@pytest.mark.parametrize(
    ("otherwise", "code", "text"),
    [
        ({"state": "another"}, 1, "not the answer to our question"),
        ({"state": ""}, 1, "not the answer to our question"),
        ({"iss": "https://evil.example"}, 1, "not from the broker that was asked"),
        ({"iss": ""}, 1, "not from the broker that was asked"),
        ({"code": ""}, 1, "No code"),
        ({"code": "", "error": "access_denied"}, 3, "cancelled"),
        ({"code": "", "error": "server_error", "error_description": "Not\u001b[2Jnow"}, 5, "Not [2Jnow"),
        ({"error": "access_denied"}, 3, "cancelled"),
        ({"code": "c" * 43}, 1, "answers with an error"),
    ],
)
def test_what_comes_back_from_elsewhere_signs_nobody_in(
    desk: Desk, fake: FakeBroker, otherwise: dict[str, str], code: int, text: str
) -> None:
    fake.callback = otherwise
    done = desk.run("login", *desk.server)
    assert done.returncode == code
    assert text in done.stderr
    assert "Not signed in" in (desk.home / "seen").read_text("utf-8")
    assert not list((desk.home / ".local").glob("**/session"))
    if "code" not in otherwise:
        assert fake.asked["POST /oauth/token"] == 0


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "https://evil.example/oauth/authorize"},
        {"token_endpoint": "https://evil.example/oauth/token"},
        {"token_endpoint": 5},
        {"revocation_endpoint": "{url}/oauth/revoke?to=evil"},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": None},
    ],
)
def test_metadata_that_is_not_the_broker_s_own_is_refused(desk: Desk, fake: FakeBroker, lie: dict[str, Any]) -> None:
    fake.metadata = {
        name: value.format(url=fake.url) if isinstance(value, str) else value for name, value in lie.items()
    }
    done = desk.run("login", *desk.server)
    assert done.returncode == 1
    assert "not understood" in done.stderr
    assert fake.questions == []


@pytest.mark.parametrize(
    "url",
    [
        "http://broker.example",
        "ftp://broker.example",
        "https://",
        "https://a b",
        "https://u@broker.example",
        "https://broker.example/path",
        "https://broker.example?x",
        "https://broker.example:port",
        "broker.example",
    ],
)
def test_a_broker_is_https_at_an_origin_or_on_this_machine(desk: Desk, url: str) -> None:
    done = desk.run("status", "--server", url)
    assert done.returncode == 2
    assert "https://HOST" in done.stderr


def test_who_is_signed_in_is_not_asked_again_but_by_force(signed_in: Desk, fake: FakeBroker) -> None:
    again = signed_in.login()
    assert "Signed in already, as Ada Lovelace (ada, corp-ad)." in again.stderr
    assert len(fake.questions) == 1
    before = signed_in.session.read_text("utf-8")
    signed_in.login("--force")
    assert len(fake.questions) == 2
    assert fake.asked["POST /oauth/revoke"] == 1, "the sign-in from before has ended"
    assert signed_in.session.read_text("utf-8") != before


def test_a_new_sign_in_gets_nothing_of_the_one_before(signed_in: Desk) -> None:
    old = found(signed_in.process())
    signed_in.login("--force")
    assert found(signed_in.process())["AccessKeyId"] != old["AccessKeyId"]


def test_the_broker_of_a_login_is_remembered_and_a_flag_or_the_environment_wins(signed_in: Desk) -> None:
    assert signed_in.run("status").returncode == 0
    assert signed_in.run("status", AWS_BROKER_SERVER="http://localhost:9").returncode == 4
    assert signed_in.run("status", *signed_in.server, AWS_BROKER_SERVER="http://localhost:9").returncode == 0


def test_the_environment_s_broker_is_not_remembered_over_a_named_one(signed_in: Desk) -> None:
    config = signed_in.home / ".config/aws-broker/config"
    before = config.read_bytes()
    with serving() as other:
        assert signed_in.run("login", AWS_BROKER_SERVER=other.url).returncode == 0
    assert config.read_bytes() == before


def test_a_login_that_fails_changes_nothing(signed_in: Desk) -> None:
    config = signed_in.home / ".config/aws-broker/config"
    before = config.read_bytes()
    for flags in ((), ("--ca-file", str(config))):
        assert signed_in.run("login", "--server", "http://127.0.0.1:9", *flags).returncode in {9, 10}
    assert config.read_bytes() == before
    assert signed_in.run("status").returncode == 0


def test_a_configuration_file_that_others_can_write_is_not_believed(signed_in: Desk) -> None:
    config = signed_in.home / ".config/aws-broker/config"
    config.chmod(0o646)
    done = signed_in.run("status")
    assert done.returncode == 10
    assert f"chmod go-w {config}" in done.stderr
    assert hot.answer(["process", "--role", ROLE], signed_in.environ, time.time()) is None


def test_a_configuration_file_of_another_user_is_not_believed(signed_in: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    at = places(signed_in.environ)
    assert (remembered(at).server, usual_server(signed_in.environ)) == (signed_in.broker.url, signed_in.broker.url)
    monkeypatch.setattr(hot, "UID", os.geteuid() + 1)
    with pytest.raises(Failure, match="open to others"):
        remembered(at)
    with pytest.raises(hot.Unsafe):
        usual_server(signed_in.environ)


def test_a_configuration_file_that_is_a_link_is_not_believed(signed_in: Desk) -> None:
    config = signed_in.home / ".config/aws-broker/config"
    config.rename(config.with_name("elsewhere"))
    config.symlink_to(config.with_name("elsewhere"))
    assert signed_in.run("status").returncode == 10
    with pytest.raises(OSError, match="symbolic"):
        usual_server(signed_in.environ)


def test_a_line_that_is_not_understood_is_named(signed_in: Desk) -> None:
    config = signed_in.home / ".config/aws-broker/config"
    config.write_text("sever = https://typo.example\n", "utf-8")
    done = signed_in.run("status")
    assert done.returncode == 10
    assert f"{config}:1 is not understood" in done.stderr


def test_without_any_broker_the_next_step_names_the_flag(desk: Desk) -> None:
    done = desk.run("status")
    assert done.returncode == 10
    assert "aws-broker login --server https://HOST" in done.stderr


def test_status_says_who_and_json_the_same(signed_in: Desk, fake: FakeBroker) -> None:
    assert "ada (Ada Lovelace)" in signed_in.run("whoami").stdout
    told = found(signed_in.run("status", "-o", "json"))
    assert (told["username"], told["server"], told["factors"]) == ("ada", fake.url, ["totp"])


def test_signed_out_is_exit_code_4_with_the_command_that_helps(desk: Desk) -> None:
    done = desk.run("status", *desk.server)
    assert (done.returncode, done.stdout) == (4, "")
    assert command(done.stderr) == ["aws-broker", "login", *desk.server]
    assert desk.run(*command(done.stderr)[1:]).returncode == 0
    assert desk.run("status").returncode == 0


def test_logout_ends_it_at_the_broker_and_leaves_nothing(signed_in: Desk, fake: FakeBroker) -> None:
    found(signed_in.process())
    done = signed_in.run("logout")
    assert (done.returncode, done.stdout) == (0, "")
    assert fake.asked["POST /oauth/revoke"] == 1
    left = [path for path in (signed_in.home / ".cache").rglob("*") if path.is_file()]
    left += [path for path in (signed_in.home / ".local").rglob("*") if path.is_file()]
    assert [path.name for path in left if path.stat().st_size] == [], "locks are empty"
    assert signed_in.process().returncode == 4
    assert "Nobody was signed in" in signed_in.run("logout").stderr


def test_logout_counts_here_also_when_the_broker_is_away(signed_in: Desk, fake: FakeBroker) -> None:
    fake.answers["POST /oauth/revoke"] = lambda: fake.problem(503, "unavailable", "Away.", "Try again in a moment.")
    done = signed_in.run("logout")
    assert done.returncode == 9
    assert f"{fake.url}/sessions" in done.stderr
    assert signed_in.run("status").returncode == 4


def test_logout_of_all_ends_every_broker_s(signed_in: Desk, fake: FakeBroker) -> None:
    assert signed_in.run("logout", "--all").returncode == 0
    assert fake.asked["POST /oauth/revoke"] == 1
    assert "anywhere" in signed_in.run("logout", "--all").stderr


def test_logout_of_all_leaves_no_credentials_of_a_sign_in_that_ended_before(signed_in: Desk, fake: FakeBroker) -> None:
    found(signed_in.process())
    fake.end()
    assert signed_in.run("status").returncode == 4
    assert signed_in.process().returncode == 0, "they are served to their end"
    assert signed_in.run("logout", "--all").returncode == 0
    assert signed_in.process().returncode == 4


@pytest.mark.parametrize("broken", ["{", "[]", "{}", "others can read"])
def test_what_is_broken_keeps_nobody_signed_in(signed_in: Desk, fake: FakeBroker, broken: str) -> None:
    found(signed_in.process())
    text = signed_in.session.read_text("utf-8")
    folder = signed_in.session.parent.parent / "a-broken-one"
    folder.mkdir(0o700)
    session = folder / "session"
    session.write_text(text if broken == "others can read" else broken, "utf-8")
    session.chmod(0o644 if broken == "others can read" else 0o600)
    other = json.dumps(json.loads(text) | {"server": "http://127.0.0.1:1"})
    open_to_others = folder.with_name(hot.slug("http://127.0.0.1:1"))
    open_to_others.mkdir()
    open_to_others.chmod(0o755)
    (open_to_others / "session").write_text(other, "utf-8")
    (open_to_others / "session").chmod(0o600)
    done = signed_in.run("logout", "--all")
    assert done.returncode == 10
    assert "Traceback" not in done.stderr
    assert str(session) in done.stderr
    assert f"chmod 700 {open_to_others}" in done.stderr
    assert not session.exists()
    assert fake.asked["POST /oauth/revoke"] == 1
    assert signed_in.process().returncode == 4


def test_logout_removes_the_page_of_a_console_link(signed_in: Desk) -> None:
    assert signed_in.run("console", ROLE).returncode == 0
    assert len(list(signed_in.home.rglob("*.html"))) == 1
    signed_in.run("logout")
    assert list(signed_in.home.rglob("*.html")) == []


def test_logout_everywhere_ends_browsers_and_other_machines_too(signed_in: Desk, fake: FakeBroker) -> None:
    done = signed_in.run("logout", "--everywhere")
    assert done.returncode == 0
    assert "Ended 3 sign-ins" in done.stderr
    assert fake.asked["POST /api/v1/sign-out-everywhere"] == 1
    assert signed_in.process().returncode == 4
    assert signed_in.run("logout", "--everywhere").returncode == 4


def test_control_c_is_130(desk: Desk) -> None:
    program = desk.start("login", *desk.server, "--no-browser")
    assert program.stdout is not None
    assert program.stdout.readline()
    program.send_signal(2)
    _, err = program.communicate(timeout=30)
    assert program.returncode == 130
    assert "Interrupted" in err
    assert "Traceback" not in err


def test_errors_are_problems_where_json_was_asked_for(desk: Desk) -> None:
    told = json.loads(desk.run("status", *desk.server, "-o", "json").stderr)
    assert told["type"] == "urn:aws-federation-broker:problem:not-signed-in"
    assert told["exit_code"] == 4
    assert told["next"].startswith("Run: aws-broker login")


def test_a_reader_that_goes_away_is_no_traceback(signed_in: Desk) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [PROGRAM, "roles"], env=signed_in.environ, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b2J\ud800\u202e"


@pytest.mark.parametrize(
    "arguments",
    [
        ("login", "--force"),
        ("login",),
        ("status",),
        ("status", "-o", "json"),
        ("why", ROLE),
        ("why", ROLE, "-o", "json"),
        ("roles",),
        ("roles", "-o", "csv"),
        ("roles", "-o", "json"),
    ],
    ids=" ".join,
)
def test_nothing_that_the_broker_says_steers_a_terminal(
    signed_in: Desk, fake: FakeBroker, arguments: tuple[str, ...]
) -> None:
    who = fake.api("GET", "/api/v1/whoami", {}, {})[1]
    said = fake.api("GET", "/api/v1/why", {"role": ROLE}, {})[1]
    evil = {name: f"{text}{EVIL}" for name, text in who.items() if isinstance(text, str)}
    worse = {name: f"{text}{EVIL}" for name, text in said.items() if name in {"summary", "next_step", "opens_at"}}
    fake.answers["GET /api/v1/whoami"] = lambda: (200, {**who, **evil})
    fake.answers["GET /api/v1/why"] = lambda: (200, {**said, **worse, "lines": [EVIL]})
    fake.roles[0] |= {"description": EVIL, "reason": EVIL, "opens_at": EVIL}
    done = signed_in.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr
    assert not (set(EVIL) - set("]0;owned[2J")) & set(done.stdout + done.stderr)
    if arguments[0] == "roles" and "json" in arguments:
        assert json.loads(done.stdout)[0]["description"] == EVIL, "for programs nothing is lost"


def test_all_that_is_written_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    put(f"a{EVIL}\n\tb\n")
    say(f"a{EVIL}\nb")
    assert capsys.readouterr() == ("a ]0;owned  [2J 2J  \n\tb\n", "a ]0;owned  [2J 2J  \nb\n")
