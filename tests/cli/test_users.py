"""`broker users`."""

import json
from pathlib import Path

import pytest
from cli.stage import SERVICE_PASSWORD, Place, a_session, enrol, person

from broker.authenticate.provider import SignInRefused
from broker.cli.opened import operator
from broker.clock import utc_now
from broker.errors import TooManyAttempts
from broker.record.event import Tag
from broker.record.trail import Query


def events(place: Place, tag: Tag) -> list[dict[str, object]]:
    with place.opened() as broker:
        return [json.loads(link.payload or "") for link in broker.storage.trail.search(Query(tag=tag), limit=100)]


def test_list_shows_everybody_in_aligned_columns_with_the_headings_on_stderr(furnished: Place) -> None:
    result = furnished.run("users", "list")
    rows = [line.split("  ") for line in result.stdout.splitlines()]
    assert [row[0].strip() for row in rows] == ["ada", "grace", "olga"]
    assert result.stderr.startswith("SESSION NAME")
    places = {line.index("20") for line in result.stdout.splitlines()}
    assert len(places) == 1


def test_show_tells_account_factors_codes_and_sessions(place: Place) -> None:
    with place.opened() as broker:
        a_session(broker, "ada")
    shown = place.run("users", "show", "ada").stdout
    assert "name            Ada Lovelace\n" in shown
    assert "account         corp-ad 36a49389-69fa-58e7-9db9-959fa10a525f\n" in shown
    assert "second factor   totp" in shown
    assert "session         browser, from 10.1.2.3, seen " in shown


def test_a_name_from_the_directory_cannot_act_on_the_terminal(place: Place) -> None:
    with place.opened() as broker:
        broker.storage.people.seen(person(broker, "ada").id, "\x1b]0;owned\x07Ada\nroot", utc_now())
    for command in (("users", "list"), ("users", "show", "ada")):
        shown = place.run(*command).stdout
        assert "\x1b" not in shown
        assert "\\u001b]0;owned" in shown or "\\x1b]0;owned" in shown
        assert "\nroot" not in shown


def test_an_enrolment_code_stands_alone_on_stdout_and_lets_that_account_enrol(place: Place) -> None:
    result = place.run("users", "enrol-code", "alan")
    code = result.stdout.strip()
    assert result.exit_code == 0
    assert len(code.split("\n")) == 1
    assert code not in result.stderr
    assert "Valid until" in result.stderr
    (event,) = [
        event for event in events(place, Tag.ENROLMENT_CODE_CREATED) if event["actor"] == f"operator:{operator()}"
    ]
    assert event["outcome"] == "done"
    assert code not in json.dumps(event)


def test_an_enrolment_code_may_be_for_the_members_of_a_group(place: Place) -> None:
    result = place.run("users", "enrol-code", "--group", "S-1-5-21-1004336348-1177238915-682003330-1104")
    assert result.exit_code == 0
    newest = events(place, Tag.ENROLMENT_CODE_CREATED)[0]
    assert newest["details"] == {"group": "S-1-5-21-1004336348-1177238915-682003330-1104"}


@pytest.mark.parametrize("arguments", [(), ("alan", "--group", "S-1-1")])
def test_an_enrolment_code_is_for_one_of_both(furnished: Place, arguments: tuple[str, ...]) -> None:
    assert furnished.run("users", "enrol-code", *arguments).exit_code == 2


def test_no_enrolment_code_for_an_account_that_cannot_sign_in_and_the_operator_learns_why(furnished: Place) -> None:
    result = furnished.run("users", "enrol-code", "dennis")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "corp-ad refuses dennis: account-disabled." in result.stderr


def test_reset_mfa_forgets_factors_and_ends_sessions_and_is_recorded_with_its_reason(place: Place) -> None:
    with place.opened() as broker:
        a_session(broker, "ada")
    result = place.run("users", "reset-mfa", "ada", "--reason", "lost phone")
    assert (result.exit_code, result.stdout) == (0, "1 factor removed\n")
    assert "broker users enrol-code ada" in result.stderr
    with place.opened() as broker:
        ada = person(broker, "ada")
        assert broker.storage.factors.factors(ada.id) == []
        assert broker.storage.factors.was_reset(ada.id)
        assert broker.parts.sessions.of_person(ada.id) == []
    (event,) = events(place, Tag.FACTOR_RESET)
    assert (event["reason"], event["actor"]) == ("lost phone", f"operator:{operator()}")


def test_unlock_forgets_wrong_passwords_and_codes(place: Place) -> None:

    with place.opened() as broker:
        provider = broker.parts.providers["corp-ad"]
        for _ in range(3):  # of a stranger, where the directory locks at ten
            with pytest.raises(SignInRefused):
                provider.authenticate("grace", "not it")
        with pytest.raises(TooManyAttempts):
            provider.authenticate("grace", "grace-demo-password")
    assert place.run("users", "unlock", "grace", "--reason", "called the help desk").exit_code == 0
    with place.opened() as broker:
        assert broker.parts.providers["corp-ad"].authenticate("grace", "grace-demo-password").username == "grace"
    (event,) = events(place, Tag.ATTEMPTS_RESET)
    assert event["reason"] == "called the help desk"


def test_revoke_ends_every_session(place: Place) -> None:
    with place.opened() as broker:
        a_session(broker, "ada")
        a_session(broker, "ada")
        a_session(broker, "olga")
    result = place.run("users", "revoke", "ada", "--reason", "left")
    assert result.stdout == "2 sessions ended\n"
    with place.opened() as broker:
        assert broker.parts.sessions.of_person(person(broker, "ada").id) == []
        assert len(broker.parts.sessions.of_person(person(broker, "olga").id)) == 1


@pytest.mark.parametrize("command", ["reset-mfa", "unlock", "revoke"])
def test_a_change_needs_a_reason(furnished: Place, command: str) -> None:
    result = furnished.run("users", command, "ada")
    assert result.exit_code == 2
    assert "--reason" in result.stderr


@pytest.mark.parametrize("command", ["show", "reset-mfa", "unlock", "revoke"])
def test_somebody_who_never_signed_in_is_not_found(furnished: Place, command: str) -> None:
    reason = () if command == "show" else ("--reason", "x")
    result = furnished.run("users", command, "ghost", *reason)
    assert result.exit_code == 1
    assert "See: broker users list" in result.stderr


def test_nothing_secret_is_in_the_output_of_any_command_that_reads(place: Place) -> None:
    with place.opened() as broker:
        seed = enrol(broker, "carl")
        secrets = [seed, a_session(broker, "carl").key, SERVICE_PASSWORD]
    secrets += [key["secret"] for key in json.loads((place.folder / "keys.json").read_text("utf-8"))["keys"]]
    secrets.append((place.folder / "aws-key").read_text("utf-8").split()[-1])
    commands = [
        ("users", "list"),
        ("users", "show", "carl"),
        ("config", "show"),
        ("config", "check"),
        ("directory", "check", "carl"),
        ("keys", "list"),
        ("keys", "export"),
        ("audit", "search"),
        ("audit", "export"),
        ("audit", "verify"),
        ("explain", "--user", "carl", "--role", "platform-dev/power-user"),
    ]
    told = "".join(place.run(*command).output for command in commands)
    assert "carl" in told
    assert [secret for secret in secrets if secret in told] == []


def test_the_operator_is_who_logged_in_by_the_kernel_s_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    login = tmp_path / "loginuid"
    for text, expected in (("1", "daemon"), ("99887", "uid-99887")):
        login.write_text(text, encoding="ascii")
        assert operator(login) == expected
    login.write_text("4294967295", encoding="ascii")
    ours = operator(tmp_path / "none")
    assert operator(login) == ours != "somebody-else"
