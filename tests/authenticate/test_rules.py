"""The provider's pure rules: values, verdicts, lockout, the breaker."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.authenticate.attempts import AttemptRule, Attempts, take
from broker.authenticate.ldap.account import CLOCK_ERROR, changed_since
from broker.authenticate.ldap.answer import BindAnswer, Entry, Unusable
from broker.authenticate.ldap.breaker import Breaker
from broker.authenticate.ldap.controllers import Facts
from broker.authenticate.ldap.generic import Generic
from broker.authenticate.ldap.lockout import (
    SLACK,
    BadPasswords,
    LockoutPolicy,
    rule_for_account,
    rule_for_known,
    rule_for_names,
)
from broker.authenticate.ldap.security_groups import SidCache
from broker.authenticate.ldap.settings import GenericSchema
from broker.authenticate.ldap.values import (
    filetime,
    generalized_time,
    guid_octets,
    guid_text,
    in_filter,
    interval,
    sid_octets,
    sid_text,
)
from broker.authenticate.ldap.verdict import verdict
from broker.authenticate.provider import Reason

some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


# --- values


@some
@given(st.lists(st.integers(0, 2**32 - 1), min_size=0, max_size=15), st.integers(0, 2**48 - 1))
def test_a_sid_survives_both_ways(subs: list[int], authority: int) -> None:
    text = "-".join(["S-1", str(authority), *map(str, subs)])
    assert sid_text(sid_octets(text)) == text


def test_a_known_sid_reads_as_microsoft_writes_it() -> None:
    octets = bytes.fromhex("0105000000000005150000005eacdc3b7d322b468248a828c3040000")
    assert sid_text(octets) == "S-1-5-21-1004317790-1177236093-682117250-1219"


@some
@given(st.binary(max_size=70))
def test_octets_that_are_no_sid_are_refused(octets: bytes) -> None:
    try:
        text = sid_text(octets)
    except ValueError:
        return
    assert sid_octets(text) == octets


@pytest.mark.parametrize("text", ["", "S-1", "S-1-x", "S-2-5-21", "S-1-5-4294967296", "S-1-5--1", "s-1-5-21"])
def test_text_that_is_no_sid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        sid_octets(text)


@some
@given(st.binary(min_size=16, max_size=16))
def test_a_guid_survives_both_ways(octets: bytes) -> None:
    assert guid_octets(guid_text(octets)) == octets
    assert guid_text(octets) == guid_text(octets).lower()


@some
@given(st.binary(max_size=20))
def test_octets_in_a_filter_are_all_escaped(octets: bytes) -> None:
    assert in_filter(octets).replace("\\", "") == octets.hex()


@some
@given(st.integers(-(2**63), 2**63 - 1))
def test_every_number_is_a_time_and_a_span(steps: int) -> None:
    assert datetime(1601, 1, 1, tzinfo=UTC) <= filetime(steps) <= datetime(9000, 1, 1, tzinfo=UTC)
    assert filetime(steps) + interval(steps) + timedelta(days=1) is not None


def test_times_are_read_in_utc() -> None:
    assert filetime(132223104000000000) == datetime(2020, 1, 1, tzinfo=UTC)
    assert interval(-18_000_000_000) == timedelta(minutes=30)
    assert generalized_time("20261123211303.0Z") == datetime(2026, 11, 23, 21, 13, 3, tzinfo=UTC)
    assert generalized_time("20261123211303Z") == generalized_time("20261123211303.000000Z")


@pytest.mark.parametrize(
    "text", ["", "Z", "20261123211303", "20261123211303+0100", "20261123211303.xZ", "20261332211303Z"]
)
def test_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        generalized_time(text)


def test_an_entry_does_not_guess() -> None:
    entry = Entry(dn="", values={"one": (b"1",), "two": (b"1", b"2"), "word": (b"x",)})
    assert entry.number("ONE") == 1
    for name in ("two", "none", "word"):
        with pytest.raises(Unusable):
            entry.number(name)


# --- what a bind means


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("525", Reason.UNKNOWN_USER),
        ("52e", Reason.WRONG_PASSWORD),
        ("530", Reason.LOGON_HOURS),
        ("531", Reason.WORKSTATION),
        ("532", Reason.PASSWORD_EXPIRED),
        ("533", Reason.DISABLED),
        ("701", Reason.ACCOUNT_EXPIRED),
        ("773", Reason.MUST_CHANGE_PASSWORD),
        ("775", Reason.LOCKED),
        ("999", Reason.OTHER),
    ],
)
def test_each_sub_code_has_its_reason(data: str, reason: Reason) -> None:
    message = f"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v2580"
    assert verdict(BindAnswer(code=49, message=message)) is reason


def test_without_a_sub_code_it_is_a_wrong_password() -> None:
    assert verdict(BindAnswer(code=49)) is Reason.WRONG_PASSWORD
    assert verdict(BindAnswer(code=0)) is None


@pytest.mark.parametrize("code", [19, 32, 34, 48, 50, 53])
def test_a_refusal_in_other_words_is_a_refusal(code: int) -> None:
    assert verdict(BindAnswer(code=code)) is Reason.OTHER


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        (b"", None),
        (bytes.fromhex("3000"), None),
        (bytes.fromhex("3005a003800164"), None),  # 100 seconds left: a warning
        (bytes.fromhex("3003810102"), Reason.MUST_CHANGE_PASSWORD),
        (bytes.fromhex("3003810101"), Reason.LOCKED),
        (bytes.fromhex("3003810100"), Reason.PASSWORD_EXPIRED),
        (bytes.fromhex("3003810107"), Reason.OTHER),
        (bytes.fromhex("3005a003810103"), Reason.PASSWORD_EXPIRED),  # grace logins
        (bytes.fromhex("3008a003800164810102"), Reason.MUST_CHANGE_PASSWORD),
        (bytes.fromhex("30"), Reason.OTHER),
        (bytes.fromhex("3082000381"), Reason.OTHER),
        (bytes.fromhex("0400"), Reason.OTHER),
        (bytes.fromhex("30003000"), Reason.OTHER),
    ],
)
def test_a_success_counts_only_if_the_password_policy_does_not_object(control: bytes, reason: Reason | None) -> None:
    assert verdict(BindAnswer(code=0, policy=control)) is reason


@some
@given(st.integers(1, 200), st.text(max_size=50), st.none() | st.binary(max_size=20))
def test_no_result_but_success_is_ever_a_success(code: int, message: str, policy: bytes | None) -> None:
    try:
        assert verdict(BindAnswer(code=code, message=message, policy=policy)) is not None
    except Unusable:
        return


# --- staying below the directory's own lockout

THRESHOLDS = st.integers(2, 12)


@some
@given(THRESHOLDS, st.integers(1, 50), st.integers(0, 2**32), st.integers(0, 6), st.integers(0, 30))
def test_no_order_of_parallel_tries_ever_locks_an_account(
    threshold: int, tries: int, seed: int, foreign: int, known: int
) -> None:
    """Each try reads the directory's count, takes from the store, binds: at any pace, in any order, any browser."""
    policy = LockoutPolicy(threshold=threshold, window=timedelta(minutes=30))
    chance, directory, by_strangers = Random(seed), min(foreign, threshold - 1), 0  # noqa: S311 (a simulation)
    stores = {True: Attempts(), False: Attempts()}
    waiting = [("read", 0, number < known and policy.reserve > 0) for number in range(30)]
    while waiting:
        step, seen, is_known = waiting.pop(chance.randrange(len(waiting)))
        if step == "read":
            waiting.append(("take", directory, is_known))
        elif step == "take":
            bad = BadPasswords(count=seen, forgotten_at=NOON + timedelta(minutes=30), locked=False)
            rule = (rule_for_known if is_known else rule_for_account)(AttemptRule(tries=tries), policy, bad, NOON)
            if rule is None:
                continue
            stores[is_known], taken = take(stores[is_known], NOON, rule)
            if taken.allowed:
                waiting.append(("bind", 0, is_known))
        else:
            directory += 1
            by_strangers += not is_known
            assert directory < threshold
            assert by_strangers <= policy.share


@some
@given(THRESHOLDS.filter(lambda threshold: threshold > 2), st.integers(1, 50), st.integers(0, 100))
def test_however_many_strangers_guess_a_known_browser_has_the_reserve(threshold: int, tries: int, guesses: int) -> None:
    policy = LockoutPolicy(threshold=threshold, window=timedelta(minutes=30))
    rule, store, own, directory = AttemptRule(tries=tries), Attempts(), Attempts(), 0
    for strangers, wanted in ((True, guesses), (False, 100)):
        for _ in range(wanted):
            bad = BadPasswords(count=directory, forgotten_at=NOON + timedelta(minutes=30), locked=False)
            narrowed = (rule_for_account if strangers else rule_for_known)(rule, policy, bad, NOON)
            if narrowed is None:
                break
            kept, taken = take(store if strangers else own, NOON, narrowed)
            store, own = (kept, own) if strangers else (store, kept)
            directory += taken.allowed
    assert directory < threshold
    assert own.failures >= min(tries, (policy.reserve + 2) // 2) >= 1


@pytest.mark.parametrize(
    ("threshold", "strangers", "known", "besieged"),
    [(3, 1, 1, 1), (4, 2, 1, 1), (5, 2, 2, 2), (6, 2, 2, 2), (8, 3, 3, 3), (10, 3, 4, 4), (15, 4, 5, 5), (50, 5, 5, 5)],
)
def test_how_many_tries_each_has(threshold: int, strangers: int, known: int, besieged: int) -> None:
    """With the usual rule, one after another, all wrong: strangers, the owner alone, the owner after the strangers."""
    policy = LockoutPolicy(threshold=threshold, window=timedelta(minutes=30))

    def tried(directory: int, *, by_owner: bool) -> int:
        store = Attempts()
        for number in range(100):
            bad = BadPasswords(count=directory + number, forgotten_at=NOON + timedelta(minutes=30), locked=False)
            rule = (rule_for_known if by_owner else rule_for_account)(AttemptRule(), policy, bad, NOON)
            if rule is None:
                return number
            store, taken = take(store, NOON, rule)
            if not taken.allowed:
                return number
        return 100

    assert tried(0, by_owner=False) == strangers
    assert tried(0, by_owner=True) == known
    assert tried(strangers, by_owner=True) == besieged


def test_where_a_directory_does_not_tell_its_count_both_together_stay_within_the_configured_tries() -> None:
    for tries in range(1, 51):
        policy = LockoutPolicy(threshold=tries + 1, window=AttemptRule().window, counts=False)
        strangers = rule_for_account(AttemptRule(tries=tries), policy, None, NOON)
        known = rule_for_known(AttemptRule(tries=tries), policy, None, NOON)
        assert strangers is not None
        assert strangers.tries + (known.tries if known and policy.reserve else 0) == tries
        assert all(rule.slides and rule.window > AttemptRule().window for rule in (strangers, known) if rule)


def test_the_window_of_such_a_directory_is_at_most_the_configured_one_and_the_broker_s_a_little_longer() -> None:
    """As long would be too short: the directory counts a little later than the broker does."""
    dialect = Generic("corp-ldap", GenericSchema(), group_base="dc=x", rule=AttemptRule(tries=7))
    policy = dialect.lockout_policy(Facts(active_directory=False, naming_context="", offset=None))
    assert (policy.threshold, policy.counts) == (8, False)
    assert rule_for_names(AttemptRule(tries=7), policy).window == AttemptRule().window + SLACK


@some
@given(
    st.integers(3, 12), st.lists(st.tuples(st.sampled_from([1, 60, 420, 895, 900, 911]), st.booleans()), max_size=80)
)
def test_a_directory_that_counts_in_a_window_of_its_own_is_never_brought_to_its_limit(
    tries: int, steps: list[tuple[int, bool]]
) -> None:
    """ppolicy: pwdMaxFailure one above `attempt_tries`, pwdFailureCountInterval as long as the broker's window."""
    rule = AttemptRule(tries=tries)
    policy = LockoutPolicy(threshold=tries + 1, window=rule.window, counts=False)
    stores, now, sent = {True: Attempts(), False: Attempts()}, NOON, list[datetime]()
    for gap, is_known in steps:
        now += timedelta(seconds=gap)
        own = (rule_for_known if is_known else rule_for_account)(rule, policy, None, now)
        assert own is not None
        stores[is_known], taken = take(stores[is_known], now, own)
        sent = [at for at in sent if now - at < rule.window] + [now] * taken.allowed
        assert len(sent) < policy.threshold


@some
@given(THRESHOLDS, st.integers(1, 50))
def test_an_account_without_wrong_passwords_meets_the_same_rule_as_a_name_that_nobody_has(
    threshold: int, tries: int
) -> None:
    policy = LockoutPolicy(threshold=threshold, window=timedelta(minutes=30))
    rule = AttemptRule(tries=tries)

    def allowed(*, known: bool) -> int:
        store = Attempts()
        for number in range(100):
            bad = BadPasswords(count=number, forgotten_at=NOON + timedelta(minutes=30), locked=False)
            own = rule_for_account(rule, policy, bad, NOON) if known else rule_for_names(rule, policy)
            if own is None:
                return number
            store, taken = take(store, NOON, own)
            if not taken.allowed:
                return number
        return 100

    assert allowed(known=True) == allowed(known=False) >= 1


def test_what_the_directory_has_forgotten_does_not_count() -> None:
    policy = LockoutPolicy(threshold=5, window=timedelta(minutes=30))
    bad = BadPasswords(count=4, forgotten_at=NOON, locked=False)
    assert rule_for_account(AttemptRule(), policy, bad, NOON - timedelta(seconds=1)) is None
    assert rule_for_account(AttemptRule(), policy, bad, NOON) == rule_for_names(AttemptRule(), policy)


def test_without_a_lockout_the_configured_rule_stands() -> None:
    assert rule_for_account(AttemptRule(tries=7), None, None, NOON) == AttemptRule(tries=7)
    assert rule_for_known(AttemptRule(tries=7), None, None, NOON) == AttemptRule(tries=7)


# --- a password change and two clocks


@some
@given(st.floats(-20, 20), st.floats(-600, 600), st.floats(-0.5, 0.5))
def test_a_change_after_the_sign_in_never_goes_unnoticed_whatever_the_clocks(
    after: float, offset: float, error: float
) -> None:
    """`after`: seconds from the sign-in to the change; the measured offset is off by `error`."""
    changed = NOON + timedelta(seconds=after + offset)
    seen = changed_since(changed, NOON, timedelta(seconds=offset + error))
    if after >= 0:
        assert seen
    if after < -2 * CLOCK_ERROR.total_seconds():
        assert not seen


# --- the breaker


def test_a_breaker_opens_at_the_first_failure_and_longer_each_time() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0], first=1, longest=4, probe=5)
    for pause in (1, 2, 4, 4):
        assert breaker.admits()
        breaker.failed()
        breaker.failed()  # another request that was under way
        assert not breaker.admits()
        now[0] += pause - 0.01
        assert not breaker.admits()
        now[0] += 0.01
    assert breaker.admits()
    breaker.worked()
    assert breaker.admits()
    breaker.failed()
    now[0] += 1
    assert breaker.admits()


def test_a_half_open_breaker_lets_one_request_through_at_a_time() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0], first=1, longest=4, probe=5)
    breaker.failed()
    now[0] += 1
    assert [breaker.admits() for _ in range(4)] == [True, False, False, False]
    now[0] += 5  # the one never came back
    assert breaker.admits()


# --- the cache of groups


def test_the_group_cache_forgets_what_is_old_and_what_is_too_much() -> None:
    now = [0.0]
    cache = SidCache(lambda: now[0], seconds=60, size=3)
    cache.learn({f"S-{number}": None for number in range(5)})
    assert set(cache.known([f"S-{number}" for number in range(5)])) == {"S-2", "S-3", "S-4"}
    now[0] = 59.9
    cache.learn({"S-4": None})
    now[0] = 60
    assert set(cache.known(["S-2", "S-3", "S-4"])) == {"S-4"}
