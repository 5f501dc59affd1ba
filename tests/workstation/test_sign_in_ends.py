"""Renewing the sign-in: each refresh token once, whatever happens in between."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from workstation.desk import ROLE, Desk, command, found
from workstation.fake_broker import FakeBroker

TOKEN = "POST /oauth/token"


def test_an_access_token_is_used_until_shortly_before_its_end(signed_in: Desk, fake: FakeBroker) -> None:
    assert signed_in.run("status").returncode == 0
    assert fake.asked[TOKEN] == 1
    signed_in.change_session(access_ends=0)
    assert signed_in.run("status").returncode == 0
    assert fake.asked[TOKEN] == 2
    assert signed_in.run("status").returncode == 0
    assert fake.asked[TOKEN] == 2


def test_an_access_token_that_ended_early_is_renewed_once(signed_in: Desk, fake: FakeBroker) -> None:
    family, (_, refresh) = next(iter(fake.grants.items()))
    fake.grants[family] = ("ended early", refresh)
    assert signed_in.run("status").returncode == 0
    assert fake.asked[TOKEN] == 2


def test_parallel_commands_renew_once(signed_in: Desk, fake: FakeBroker) -> None:
    family, (_, refresh) = next(iter(fake.grants.items()))
    fake.grants[family] = ("ended early", refresh)
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda _: signed_in.run("status"), range(8)))
    assert {done.returncode for done in ends} == {0}
    assert fake.asked[TOKEN] == 2


def test_a_sign_in_that_ended_at_the_broker_is_over_here(signed_in: Desk, fake: FakeBroker) -> None:
    session = signed_in.session
    fake.end()
    done = signed_in.process()
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"aws-broker: Your sign-in at {fake.url} has ended. ")
    assert command(done.stderr) == ["aws-broker", "login", *signed_in.server]
    assert not session.exists()
    asked = sum(fake.asked.values())
    again = signed_in.process()
    assert (again.returncode, sum(fake.asked.values())) == (4, asked), "and is not asked for again"


def test_a_renewal_whose_answer_is_lost_says_so(signed_in: Desk, fake: FakeBroker) -> None:
    signed_in.change_session(access_ends=0)
    fake.lose_renewals = True
    lost = signed_in.process()
    assert lost.returncode == 9
    fake.lose_renewals = False
    signed_in.forget_failures()
    done = signed_in.process()
    assert done.returncode == 4
    assert "The answer to the last renewal of your sign-in was lost; a renewal counts once." in done.stderr
    assert signed_in.run(*command(done.stderr)[1:]).returncode == 0
    assert found(signed_in.process())


@pytest.mark.parametrize(
    "answer",
    [
        (502, b"<html>Bad gateway</html>"),
        (503, b"<html>Away</html>"),
        (200, b"<html>Sign in to the WLAN</html>"),
        (302, {}),
        (503, {"message": "Service Unavailable"}),
        (500, {"type": "urn:aws-federation-broker:problem:internal-error", "title": "It failed."}),
    ],
    ids=str,
)
def test_what_a_proxy_answers_a_renewal_does_not_mean_that_it_was_not_sent(
    signed_in: Desk, fake: FakeBroker, answer: tuple[int, Mapping[str, object]]
) -> None:
    signed_in.change_session(access_ends=0)

    def counted() -> tuple[int, Mapping[str, object]]:
        fake.token({"client_id": "aws-broker", "grant_type": "refresh_token", "refresh_token": refresh})
        return answer

    refresh = next(iter(fake.grants.values()))[1]
    fake.answers[TOKEN] = counted
    assert signed_in.run("status").returncode in {1, 9}
    fake.answers.clear()
    done = signed_in.run("status")
    assert done.returncode == 4
    assert "was lost; a renewal counts once." in done.stderr


@pytest.mark.parametrize(("status", "code"), [(429, "too-many-attempts"), (503, "unavailable"), (400, "")])
def test_a_renewal_that_the_broker_itself_refused_was_not_lost(
    signed_in: Desk, fake: FakeBroker, status: int, code: str
) -> None:
    signed_in.change_session(access_ends=0)
    answer = fake.problem(status, code, "Not now.") if code else (status, {"error": "invalid_request"})
    fake.answers[TOKEN] = lambda: answer
    assert signed_in.run("status").returncode in {1, 9}
    fake.answers.clear()
    fake.end()
    assert f"Your sign-in at {fake.url} has ended." in signed_in.run("status").stderr


def test_a_renewal_that_was_never_sent_is_tried_again(signed_in: Desk, fake: FakeBroker) -> None:
    signed_in.change_session(access_ends=0)
    answer = fake.problem(503, "unavailable", "The database cannot be reached.", "Try again in a moment.")
    fake.answers[TOKEN] = lambda: answer
    assert signed_in.process().returncode == 9
    fake.answers.clear()
    signed_in.forget_failures()
    assert found(signed_in.process())


@pytest.mark.parametrize(
    "answer",
    [
        {"token_type": "mac"},
        {"access_token": "a\nb" * 10},
        {"access_token": ""},
        {"refresh_token": None},
        {"expires_in": "900"},
        {"expires_in": -1},
    ],
)
def test_tokens_that_are_none_are_not_kept(signed_in: Desk, fake: FakeBroker, answer: dict[str, object]) -> None:
    good = {"token_type": "bearer", "access_token": "a" * 43, "refresh_token": "r" * 43, "expires_in": 900}
    fake.answers[TOKEN] = lambda: (200, good | answer)
    signed_in.change_session(access_ends=0)
    done = signed_in.run("status")
    assert done.returncode == 1
    assert next(iter(answer)) in done.stderr
    assert "a" * 43 not in signed_in.session.read_text("utf-8")


def test_nothing_that_is_printed_has_a_token_in_it(signed_in: Desk, fake: FakeBroker) -> None:
    fake.end()
    tokens = signed_in.session.read_text("utf-8")
    told = "".join(
        done.stdout + done.stderr
        for done in (signed_in.run("status"), signed_in.run("status", "-o", "json"), signed_in.process(ROLE))
    )
    for word in tokens.split('"'):
        assert len(word) < 40 or word not in told
