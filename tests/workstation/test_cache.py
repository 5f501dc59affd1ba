"""Credentials: of the cache while they are fresh, of the broker once, and never of a file that is not ours."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from neighbours._waiting import wait_until
from workstation.desk import HOT, PROGRAM, ROLE, Desk, command, found, mode
from workstation.fake_broker import FakeBroker, Reply, role_now

from broker.workstation import hot, private
from broker.workstation.cache import Cache, fresh_until
from broker.workstation.checked import Checked
from broker.workstation.deadline import Deadline
from broker.workstation.server import parsed, places
from broker.workstation.signedin import SignedIn
from broker.workstation.wire import Wire

CREDENTIALS = "POST /api/v1/credentials"
ARN = "arn:aws:iam::210987654321:role/federated/PowerUser"
AS_FILE = (sys.executable, "-I", "-S", HOT)
PROGRAMS = {"installed": (PROGRAM,), "file": AS_FILE}


def a_cache(desk: Desk) -> Cache:
    """The desk's, in this process."""
    wire = Wire(parsed(desk.broker.url), environ={}, ca_file="", deadline=Deadline())
    at = places(desk.environ)
    signed_in = SignedIn(wire, at, now=time.time, deadline=Deadline())
    return Cache(signed_in, wire.server, at, now=time.time, deadline=Deadline(), warn=lambda _: None)


def together(desk: Desk, count: int, role: str = ROLE) -> list[tuple[int, str, str]]:
    """So many at once: (exit code, standard output, standard error) of each."""
    started = [desk.start("process", *desk.server, "--role", role) for _ in range(count)]
    ends = [(each.communicate(timeout=60), each.returncode) for each in started]
    return [(code, out, err) for (out, err), code in ends]


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_in_the_cache_is_answered_without_the_broker(signed_in: Desk, fake: FakeBroker, program: str) -> None:
    arguments = ("process", *signed_in.server, "--role", ROLE)
    first = signed_in.run(*arguments, program=PROGRAMS[program])
    asked = sum(fake.asked.values())
    second = signed_in.run(*arguments, program=PROGRAMS[program])
    assert found(first) == found(second)
    assert sum(fake.asked.values()) == asked
    assert set(found(first)) == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    assert found(first)["Expiration"].endswith("Z")


def test_the_hot_path_imports_nothing_that_is_slow(signed_in: Desk) -> None:
    found(signed_in.process())
    look = (
        f"import sys; sys.argv = ['hot.py', 'process', '--role', {ROLE!r}, '--server', {signed_in.server[1]!r}]\n"
        "import os; os._exit = lambda code: (sys.stderr.write(' '.join(sorted(sys.modules))), sys.exit(code))\n"
        "from broker.workstation.cli import main; main()"
    )
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys, os, time; sys.stderr.write(' '.join(sorted(sys.modules)))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    done = signed_in.run(program=(sys.executable, "-S", "-c", look), PYTHONPATH=str(HOT.parents[2]))
    assert done.returncode == 0
    ours = {"broker", "broker.workstation", "broker.workstation.cli", "broker.workstation.hot"}
    assert set(done.stderr.split()) - set(bare.stderr.split()) - {"os._exit"} == ours


@pytest.mark.parametrize(
    ("life", "fresh"), [(3600, 2400), (43_200, 42_000), (900, 600), (1800, 1200), (0, 0), (-5, -5)]
)
def test_how_long_credentials_are_fresh(life: float, fresh: float) -> None:
    assert fresh_until(1000.0 + life, 1000.0) == 1000.0 + fresh


def test_a_quarter_of_an_hour_is_served_for_ten_minutes(signed_in: Desk, fake: FakeBroker) -> None:
    fake.life = timedelta(minutes=15)
    found(signed_in.process())
    until = float(signed_in.cached.read_text("utf-8").split(" ")[2])
    assert 590 <= until - time.time() <= 600


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_not_fresh_is_asked_for_again(signed_in: Desk, fake: FakeBroker, program: str) -> None:
    found(signed_in.process())
    signed_in.change_cached(fresh=-1, ends=1000)
    done = signed_in.run("process", *signed_in.server, "--role", ROLE, program=PROGRAMS[program])
    assert found(done)
    assert fake.asked[CREDENTIALS] == 2


# --- one of many asks -------------------------------------------------------------------------------------------


def test_twenty_cold_starts_make_one_request(signed_in: Desk, fake: FakeBroker) -> None:
    fake.delay = 0.3
    ends = together(signed_in, 20)
    assert {(code, err) for code, _, err in ends} == {(0, "")}
    assert len({out for _, out, _ in ends}) == 1
    assert fake.asked[CREDENTIALS] == 1


def test_twenty_with_an_old_access_token_use_the_refresh_token_once(signed_in: Desk, fake: FakeBroker) -> None:
    signed_in.change_session(access_ends=0)
    ends = together(signed_in, 20)
    assert {(code, err) for code, _, err in ends} == {(0, "")}
    assert fake.asked["POST /oauth/token"] == 2
    assert fake.asked[CREDENTIALS] == 1


def test_different_roles_at_once_share_one_renewal(signed_in: Desk, fake: FakeBroker) -> None:
    signed_in.change_session(access_ends=0)
    roles = [role["role"] for role in fake.roles]
    started = [signed_in.start("process", *signed_in.server, "--role", role) for role in roles * 3]
    for each in started:
        assert each.communicate(timeout=60)[1] == ""
    assert fake.asked["POST /oauth/token"] == 2
    assert fake.asked[CREDENTIALS] == len(roles)


def test_the_death_of_the_one_that_asks_harms_nobody(signed_in: Desk, fake: FakeBroker) -> None:
    fake.delay = 3.0
    first = signed_in.start("process", *signed_in.server, "--role", ROLE)
    wait_until(lambda: fake.asked[CREDENTIALS] == 1, "it does not ask")
    others = [signed_in.start("process", *signed_in.server, "--role", ROLE) for _ in range(5)]
    time.sleep(0.3)
    assert all(each.poll() is None for each in others), "they wait"
    fake.delay = 0.0
    first.kill()
    first.communicate()
    for each in others:
        out, err = each.communicate(timeout=60)
        assert (each.returncode, err) == (0, "")
        assert json.loads(out)["Version"] == 1
    assert fake.asked[CREDENTIALS] == 2


def test_the_failure_of_one_is_the_failure_of_all_who_waited(signed_in: Desk, fake: FakeBroker) -> None:
    def away() -> Reply:
        time.sleep(0.5)
        return fake.problem(503, "unavailable", "AWS cannot be reached.", "Try again in a moment.")

    fake.answers[CREDENTIALS] = away
    ends = together(signed_in, 20)
    line = "aws-broker: AWS cannot be reached. Try again in a moment.\n"
    assert {(code, out, err) for code, out, err in ends} == {(9, "", line)}
    assert fake.asked[CREDENTIALS] == 1


def test_a_failure_is_forgotten_soon(signed_in: Desk, fake: FakeBroker) -> None:
    fake.answers[CREDENTIALS] = lambda: fake.problem(503, "unavailable", "AWS cannot be reached.")
    assert signed_in.process().returncode == 9
    fake.answers.clear()
    assert signed_in.process().returncode == 9
    kept = signed_in.cached_failure
    kept.write_text(json.dumps(json.loads(kept.read_text("utf-8")) | {"until": time.time() - 1}), "utf-8")
    assert found(signed_in.process())
    assert not kept.exists()


def test_a_failure_that_ends_too_far_away_is_none(signed_in: Desk, fake: FakeBroker) -> None:
    fake.answers[CREDENTIALS] = lambda: fake.problem(503, "unavailable", "AWS cannot be reached.")
    assert signed_in.process().returncode == 9
    fake.answers.clear()
    kept = signed_in.cached_failure
    kept.write_text(json.dumps(json.loads(kept.read_text("utf-8")) | {"until": time.time() + 10**6}), "utf-8")
    assert found(signed_in.process())


def test_a_new_sign_in_forgets_failures(signed_in: Desk, fake: FakeBroker) -> None:
    fake.answers[CREDENTIALS] = lambda: fake.problem(403, "step-up", "A fresher second factor is needed.", rule="r")
    first = signed_in.process()
    assert first.returncode == 6
    fake.answers.clear()
    assert signed_in.run(*command(first.stderr)[1:]).returncode == 0
    assert found(signed_in.process())


def test_while_the_broker_is_away_what_has_not_ended_is_served(signed_in: Desk, fake: FakeBroker) -> None:
    old = found(signed_in.process())
    signed_in.change_cached(fresh=-1, ends=600)
    fake.answers[CREDENTIALS] = lambda: fake.problem(503, "unavailable", "AWS cannot be reached.")
    done = signed_in.process()
    assert done.returncode == 0
    assert json.loads(done.stdout)["AccessKeyId"] == old["AccessKeyId"]
    assert "AWS cannot be reached." in done.stderr


def test_when_the_sign_in_has_ended_what_has_not_is_served(signed_in: Desk, fake: FakeBroker) -> None:
    found(signed_in.process())
    signed_in.change_cached(fresh=-1, ends=600)
    fake.end()
    assert signed_in.process().returncode == 0
    signed_in.change_cached(fresh=-1, ends=59)
    assert signed_in.process().returncode == 4


@pytest.mark.parametrize(
    ("ends", "status", "code", "exit_code"), [(59, 503, "unavailable", 9), (600, 403, "denied", 5)]
)
def test_what_ends_at_once_or_is_denied_now_is_not_served(
    signed_in: Desk, fake: FakeBroker, ends: float, status: int, code: str, exit_code: int
) -> None:
    found(signed_in.process())
    signed_in.change_cached(fresh=-1, ends=ends)
    fake.answers[CREDENTIALS] = lambda: fake.problem(status, code, "No.", condition="source_ip")
    done = signed_in.process()
    assert (done.returncode, done.stdout) == (exit_code, "")


def test_a_login_waits_for_who_writes_and_then_removes_what_was_written(
    signed_in: Desk, fake: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was got for the sign-in before is not served under the new one, whenever it is written."""
    cache, logins = a_cache(signed_in), []

    def slow(path: str, data: bytes) -> None:
        if Path(path).name == hot.slug(ROLE):
            logins.append(signed_in.start("login", *signed_in.server, "--force"))
            wait_until(lambda: fake.asked["POST /oauth/token"] == 2, "it does not sign in", 30)
            with suppress(subprocess.TimeoutExpired):
                logins[0].wait(3)
        write(path, data)

    write = private.write
    monkeypatch.setattr(private, "write", slow)
    old = cache.get(ROLE)
    (login,) = logins
    assert login.communicate(timeout=60)[1].count("Signed in as")
    new = found(signed_in.process())
    assert new["AccessKeyId"] != old.access_key_id


def test_what_was_asked_for_under_another_sign_in_is_not_kept(
    signed_in: Desk, fake: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, fetched = a_cache(signed_in), SignedIn.post

    def late(self: SignedIn, path: str, body: Mapping[str, object]) -> Checked:
        answer = fetched(self, path, body)
        signed_in.login("--force")
        return answer

    monkeypatch.setattr(SignedIn, "post", late)
    old = cache.get(ROLE)
    assert fake.asked[CREDENTIALS] == 1
    assert found(signed_in.process())["AccessKeyId"] != old.access_key_id


# --- whose files ------------------------------------------------------------------------------------------------


def test_the_cache_is_the_owner_s_alone(signed_in: Desk) -> None:
    found(signed_in.process())
    assert mode(signed_in.cached) == 0o600
    assert mode(signed_in.cached.parent) == mode(signed_in.cached.parent.parent) == 0o700
    assert [path.name for path in signed_in.cached.parent.glob("*new")] == []


def spoil_mode(path: Path, bits: int = 0o644) -> None:
    path.chmod(bits)


def spoil_link(path: Path) -> None:
    shutil.move(path, path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def spoil_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def spoil_size(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * hot.LARGEST)


SPOILT = {"others can read": spoil_mode, "a symbolic link": spoil_link, "a pipe": spoil_pipe, "large": spoil_size}


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_cache_file_that_is_not_ours_alone_is_refused(
    signed_in: Desk, fake: FakeBroker, program: str, spoil: str
) -> None:
    found(signed_in.process())
    SPOILT[spoil](signed_in.cached)
    done = signed_in.run("process", *signed_in.server, "--role", ROLE, program=PROGRAMS[program])
    assert (done.returncode, done.stdout) == (10, "")
    assert done.stderr.count("\n") == 1
    assert f"rm {signed_in.cached}" in done.stderr
    assert fake.asked[CREDENTIALS] == 1


@pytest.mark.parametrize("above", [0, 1])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_cache_folder_that_others_can_enter_is_refused(signed_in: Desk, program: str, above: int) -> None:
    found(signed_in.process())
    folder = signed_in.cached.parents[above]
    folder.chmod(0o750)
    done = signed_in.run("process", *signed_in.server, "--role", ROLE, program=PROGRAMS[program])
    assert (done.returncode, done.stdout) == (10, "")
    assert f"chmod 700 {folder}" in done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_cache_folder_that_is_a_link_is_refused(signed_in: Desk, program: str) -> None:
    found(signed_in.process())
    folder = signed_in.cached.parent
    shutil.move(folder, folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))
    done = signed_in.run("process", *signed_in.server, "--role", ROLE, program=PROGRAMS[program])
    assert (done.returncode, done.stdout) == (10, "")


@pytest.mark.parametrize("spoil", ["others can read", "a symbolic link"])
def test_tokens_that_are_not_ours_alone_are_refused(signed_in: Desk, fake: FakeBroker, spoil: str) -> None:
    session, asked = signed_in.session, sum(fake.asked.values())
    SPOILT[spoil](session)
    done = signed_in.run("status")
    assert done.returncode == 10
    assert f"rm {session}" in done.stderr
    assert sum(fake.asked.values()) == asked


def test_what_belongs_to_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    file.chmod(0o600)
    tmp_path.chmod(0o700)
    assert hot.read(str(file)) == b"x"
    hot.check_folder(str(tmp_path))
    monkeypatch.setattr(hot, "UID", os.geteuid() + 1)
    with pytest.raises(hot.Unsafe):
        hot.read(str(file))
    with pytest.raises(hot.Unsafe):
        hot.check_folder(str(tmp_path))


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    file.chmod(0o600)
    with pytest.raises(hot.Unsafe):
        hot.check_folder(str(file))


def test_the_hot_path_gives_no_file_without_its_checks(signed_in: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the rest of the program refuses: what the hot path finds is None."""
    found(signed_in.process())
    given, environ = ["process", *signed_in.server, "--role", ROLE], signed_in.environ
    assert hot.answer(given, environ, time.time()) is not None
    assert hot.answer(given, environ, time.time() + 2500) is None
    monkeypatch.setattr(hot, "LARGEST", 10)
    signed_in.cached.chmod(0o604)
    assert hot.answer(given, environ, time.time()) is None
    signed_in.cached.chmod(0o600)
    signed_in.cached.parent.chmod(0o701)
    assert hot.answer(given, environ, time.time()) is None


@pytest.mark.parametrize(
    "text", ["a/b", "A/b", "a_b", "a-b", "a.b", "arn:aws:iam::1:role/x", "..", "a_2fb", "L" * 200, "M" * 200]
)
def test_a_file_name_is_another_one_for_each_text(text: str) -> None:
    texts = ("a/b", "A/b", "a_b", "a-b", "a.b", "arn:aws:iam::1:role/x", "..", "a_2fb", "L" * 200, "l" * 200)
    others = [other for other in texts if other != text]
    assert hot.slug(text) not in {hot.slug(other) for other in others}
    assert hot.slug(text) == hot.slug(text).lower(), "also where case does not count"
    assert not set("/+") & set(hot.slug(text)), "`+` leads what is added to it"
    assert len(hot.slug(text)) <= hot.LONGEST, "file systems take 255 bytes"


def test_what_could_not_be_read_again_is_not_kept(signed_in: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = a_cache(signed_in)
    monkeypatch.setattr(hot, "LARGEST", 1000)
    assert cache.get(ROLE)
    assert not list((signed_in.home / ".cache").rglob("*power-user"))
    monkeypatch.undo()
    assert cache.get(ROLE)
    assert signed_in.cached


def test_the_longest_token_is_kept(signed_in: Desk, fake: FakeBroker) -> None:
    fake.answers[CREDENTIALS] = lambda: changed(fake, SessionToken="t" * 8192, SecretAccessKey="s" * 128)
    first = found(signed_in.process())
    fake.answers.clear()
    assert found(signed_in.process()) == first
    assert found(signed_in.process(ARN))["SessionToken"] == "t" * 8192


@pytest.mark.parametrize("member", ["detail", "errors", "title"])
def test_a_failure_is_kept_short(signed_in: Desk, fake: FakeBroker, member: str) -> None:
    said = {"title": "No.", "detail": "", member: "\U0001f600" * 20_000}
    fake.answers[CREDENTIALS] = lambda: fake.problem(403, "denied", **said, condition="source_ip")  # type: ignore[arg-type]  # as read
    assert signed_in.process().returncode == 5
    fake.answers.clear()
    assert signed_in.process().returncode == 5, "for a few seconds"
    assert json.loads(signed_in.cached_failure.read_text("utf-8"))["problem"]["condition"] == "source_ip"
    assert member == "title" or "errors" not in signed_in.cached_failure.read_text("utf-8")
    signed_in.forget_failures()
    assert found(signed_in.process())


@pytest.mark.parametrize("name", ["power-user.lock", "power-user.failed", "power-user.new"])
def test_a_role_is_not_filed_under_what_another_one_needs(signed_in: Desk, fake: FakeBroker, name: str) -> None:
    fake.roles.append(role_now("payments-dev", "210987654321", "dev", name, "federated/Other"))
    other = found(signed_in.process(f"payments-dev/{name}"))
    assert found(signed_in.process())["AccessKeyId"] != other["AccessKeyId"]
    asked = fake.asked[CREDENTIALS]
    assert found(signed_in.process(f"payments-dev/{name}")) == other
    assert fake.asked[CREDENTIALS] == asked
    assert signed_in.run("logout").returncode == 0
    assert signed_in.process(f"payments-dev/{name}").returncode == 4


def test_the_longest_arn_has_a_file_name(signed_in: Desk, fake: FakeBroker) -> None:
    path = "ABCDEFGHIJKLMNOPQR/" * 8 + "X"
    fake.roles.append(role_now("payments-dev", "210987654321", "dev", "long", path))
    arn = str(fake.roles[-1]["role_arn"])
    first = found(signed_in.process(arn))
    asked = sum(fake.asked.values())
    assert found(signed_in.process(arn)) == first
    assert sum(fake.asked.values()) == asked


# --- which role -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        ROLE,
        ARN,
        "210987654321:PowerUser",
        "210987654321:federated/PowerUser",
        "210987654321:power-user",
        "payments-dev/p",
        "payments-dev/power-use",
    ],
)
def test_each_way_to_name_a_role_is_served_from_the_cache_the_second_time(
    signed_in: Desk, fake: FakeBroker, typed: str
) -> None:
    first = found(signed_in.process(typed))
    assert fake.bodies[-1] == {"role": ROLE}
    asked = sum(fake.asked.values())
    assert found(signed_in.process(typed)) == first
    assert sum(fake.asked.values()) == asked


def test_names_of_one_role_share_its_credentials(signed_in: Desk, fake: FakeBroker) -> None:
    one = found(signed_in.process())
    signed_in.change_cached(fresh=30, ends=1230)
    assert found(signed_in.process(ARN))["AccessKeyId"] == one["AccessKeyId"]
    assert fake.asked[CREDENTIALS] == 1
    alias = signed_in.cached.with_name(hot.slug(ARN))
    assert float(alias.read_text("utf-8").split(" ")[2]) - time.time() <= 31, "and are not fresh for longer under it"


@pytest.mark.parametrize(
    ("typed", "text"), [("payments", "3 roles"), ("payments-d", "2 roles"), ("nope", "no role nope")]
)
def test_a_name_that_is_not_one_role_takes_none(signed_in: Desk, fake: FakeBroker, typed: str, text: str) -> None:
    done = signed_in.process(typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert fake.asked[CREDENTIALS] == 0


@pytest.mark.parametrize("typed", ["", "a b", "a\nb", "\u00e4/b", "x" * 201])
def test_what_can_be_no_name_is_not_asked_for(signed_in: Desk, fake: FakeBroker, typed: str) -> None:
    asked = sum(fake.asked.values())
    assert signed_in.process(typed).returncode == 2
    assert sum(fake.asked.values()) == asked


def test_an_unknown_role_is_denied_in_the_broker_s_words(signed_in: Desk) -> None:
    done = signed_in.process("payments-dev/owner")
    assert done.returncode == 5
    assert done.stderr == (
        "aws-broker: Not granted. No mapping gives you this role. Ask why: aws-broker why payments-dev/owner\n"
    )


def test_an_arn_is_never_answered_with_another_role(signed_in: Desk, fake: FakeBroker) -> None:
    def other() -> Reply:
        status, body = fake.credentials({"role": "payments-dev/read-only"})
        return status, body

    fake.answers[CREDENTIALS] = other
    assert signed_in.process(ARN).returncode == 1
    assert signed_in.run("creds", ARN, "--no-cache").returncode == 1


# --- what the broker may say ------------------------------------------------------------------------------------


def changed(fake: FakeBroker, **members: object) -> Reply:
    status, body = fake.credentials({"role": ROLE})
    return status, {**body, "credentials": {**body["credentials"], **members}}


@pytest.mark.parametrize(
    "members",
    [
        {"AccessKeyId": "ASIA$(reboot)12345"},
        {"SecretAccessKey": 'x"; reboot; "xxxxxxxx'},
        {"SessionToken": "token\nexport PATH=/tmp"},
        {"SessionToken": "t" * 8193},
        {"SessionToken": None},
        {"Version": 2},
        {"Version": True},
        {"Expiration": "soon"},
        {"Expiration": "2026-11-24T08:00:00"},
        {"Expiration": 1_800_000_000},
        {"Expiration": "9999-12-31T23:59:59-23:59"},
    ],
)
def test_credentials_that_are_none_are_refused(signed_in: Desk, fake: FakeBroker, members: dict[str, object]) -> None:
    fake.answers[CREDENTIALS] = lambda: changed(fake, **members)
    done = signed_in.process()
    assert (done.returncode, done.stdout) == (1, "")
    assert next(iter(members)) in done.stderr
    assert "Traceback" not in done.stderr
    assert "reboot" not in done.stderr


def test_credentials_that_have_ended_speak_of_the_clock(signed_in: Desk, fake: FakeBroker) -> None:
    fake.answers[CREDENTIALS] = lambda: changed(fake, Expiration="2020-01-01T00:00:00Z")
    done = signed_in.process()
    assert done.returncode == 10
    assert "clock" in done.stderr


@pytest.mark.parametrize(
    ("status", "code", "exit_code", "text"),
    [
        (403, "denied", 5, "office hours"),
        (403, "step-up", 6, "login --server"),
        (400, "invalid-request", 1, "office hours"),
        (429, "too-many-attempts", 9, "office hours"),
        (502, "issue-refused", 1, "office hours"),
        (503, "unavailable", 9, "office hours"),
        (500, "internal-error", 1, "office hours"),
    ],
)
def test_a_problem_has_its_exit_code_and_its_next_step(
    signed_in: Desk, fake: FakeBroker, status: int, code: str, exit_code: int, text: str
) -> None:
    fake.answers[CREDENTIALS] = lambda: fake.problem(
        status, code, "It is so.", "After office\x1b hours.", condition="c"
    )
    done = signed_in.process()
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr.startswith("aws-broker: It is so.")
    assert text in " ".join(done.stderr.split())
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("creds", ROLE, "--duration", "45m"), ("creds", ROLE, "--no-cache"), ("creds", ROLE)], ids=" ".join
)
def test_what_is_asked_for_apart_from_the_usual_leaves_the_cache_alone(
    signed_in: Desk, fake: FakeBroker, arguments: Sequence[str]
) -> None:
    usual = found(signed_in.process())
    told = found(signed_in.run(*arguments))
    assert (told["AccessKeyId"] == usual["AccessKeyId"]) == (len(arguments) == 2)
    assert found(signed_in.process()) == usual
    if "45m" in arguments:
        assert fake.bodies[-1] == {"role": ROLE, "duration": 2700}


@pytest.mark.parametrize("text", ["14m", "13h", "1d", "0", "-1h", "1.5h", "x", ""])
def test_a_duration_is_what_aws_allows(desk: Desk, text: str) -> None:
    done = desk.run("creds", ROLE, f"--duration={text}", *desk.server)
    assert done.returncode == 2
    assert "900 to 43200" in done.stderr
