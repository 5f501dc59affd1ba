"""`/healthz`, `/readyz`, `/metrics`: what they tell, to whom, and how often the neighbours are asked for it."""

import threading

import pytest
from builders import NOW
from corridor import MONITOR, OFFICE, PROXY, Browser, Corridor
from flask import Flask
from neighbours._waiting import wait_until

from broker.errors import Unavailable
from broker.record.event import Event, Outcome, Tag
from broker.record.heard import Heard
from broker.web.health import KEEP, Asked
from broker.web.metrics import LOSING, Metrics


class Neighbour:
    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if self.away:
            message = "a neighbour with a long name and 10.1.1.1 in it"
            raise Unavailable(message)


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_process_is_alive_whatever_is_away(own_corridor: Corridor) -> None:
    corridor = own_corridor
    browser = corridor.signed_in(corridor.person(enrolled=True))
    corridor.broker.storage.close()
    corridor.world.directory.stop()
    try:
        assert browser.get("/healthz").json == {"status": "ok"}
        assert corridor.browser().get("/healthz").status_code == 200
    finally:
        corridor.world.directory.start()


@pytest.mark.parametrize(
    ("away", "status", "said"),
    [
        ((), 200, "ok"),
        (("storage",), 503, "not ready"),
        (("audit",), 503, "not ready"),
        (("directory",), 200, "degraded"),
        (("aws",), 200, "degraded"),
        (("directory", "aws"), 200, "degraded"),
        (("audit", "directory"), 503, "not ready"),
    ],
)
def test_it_is_ready_while_it_can_keep_and_record_whoever_else_is_away(
    corridor: Corridor, away: tuple[str, ...], status: int, said: str
) -> None:
    """Else a balancer would take away every instance, and with them the pages that say what is wrong."""
    checks = {name: Neighbour() for name in ("storage", "audit", "directory", "aws")}
    for name in away:
        checks[name].away = True
    needs = {name: checks.pop(name) for name in ("storage", "audit")}
    answer = Browser(corridor.app_of(corridor.parts, needs=needs, neighbours=checks)).get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (status, said)
    assert answer.json["checks"] == {name: "unavailable" if name in away else "ok" for name in {**needs, **checks}}
    assert "10.1.1.1" not in answer.text


def test_the_real_neighbours_are_asked(own_corridor: Corridor, monkeypatch: pytest.MonkeyPatch) -> None:
    corridor = own_corridor
    well = {"storage": "ok", "audit": "ok", "directory": "ok", "aws": "ok"}

    def told() -> tuple[int, dict[str, str]]:
        answer = Browser(corridor.app_of(corridor.parts)).get("/readyz")
        return answer.status_code, answer.json["checks"]

    assert told() == (200, well)
    corridor.world.directory.stop()
    corridor.world.sts.down()
    try:
        assert told() == (200, well | {"directory": "unavailable", "aws": "unavailable"})
    finally:
        corridor.world.directory.start()
        corridor.world.sts.up()

    def refuse(neighbour: str) -> None:
        raise Unavailable(neighbour)

    monkeypatch.setattr(corridor.broker.storage.database, "read", refuse)
    status, checks = told()
    assert (status, checks["storage"]) == (503, "unavailable")


def test_a_process_that_lost_an_event_is_not_ready_until_it_has_written_one_or_tried_long_ago(
    corridor: Corridor,
) -> None:
    class Trail:
        away = True

        def record(self, event: Event) -> None:
            if self.away:
                raise Unavailable(event.tag)

    trail, seconds = Trail(), Seconds()
    metrics = Metrics(monotonic=seconds)
    heard = Heard(trail, written=metrics.written, lost=metrics.lost)
    event = Event(tag=Tag.BROKER_STARTED, outcome=Outcome.DONE, at=NOW, id="1")

    def status() -> int:
        return Browser(corridor.app_of(corridor.parts, needs={"audit": metrics.check_trail})).get("/readyz").status_code

    assert status() == 200
    with pytest.raises(Unavailable):
        heard.record(event)
    assert status() == 503
    seconds.now += LOSING
    assert status() == 200, "or no request would ever come, and find that it can write again"
    with pytest.raises(Unavailable):
        heard.record(event)
    assert status() == 503
    trail.away = False
    heard.record(event)
    assert status() == 200


def test_a_crowd_of_askers_costs_the_neighbours_one_question_in_five_seconds() -> None:
    neighbour, seconds = Neighbour(), Seconds()
    ready = Asked({"it": neighbour}, monotonic=seconds)
    assert [ready() for _ in range(50)] == [{"it": "ok"}] * 50
    assert neighbour.asked == 1
    neighbour.away = True
    seconds.now += KEEP - 0.1
    assert ready() == {"it": "ok"}
    seconds.now += 0.2
    assert ready() == {"it": "unavailable"}
    assert neighbour.asked == 2


def test_nobody_waits_for_a_neighbour_that_somebody_else_is_asking() -> None:
    """A directory that hangs must not take every thread with it."""
    asked, answer = threading.Event(), threading.Event()

    def hangs() -> None:
        asked.set()
        answer.wait(10)

    ready = Asked({"it": hangs}, monotonic=Seconds(), patience=60)
    first = threading.Thread(target=ready)
    first.start()
    asked.wait(10)
    assert ready() == {"it": "no answer yet"}
    answer.set()
    first.join()
    assert ready() == {"it": "ok"}


def test_a_neighbour_that_hangs_does_not_hold_up_the_probe_and_is_not_called_well() -> None:
    """A balancer's own patience is short: what does not come in time reads as an instance that is dead."""
    asked, answer, seconds = threading.Event(), threading.Event(), Seconds()

    def hangs() -> None:
        if asked.is_set():
            answer.wait(10)

    ready = Asked({"quick": lambda: None, "it": hangs, "behind it": lambda: None}, monotonic=seconds, patience=0.05)
    wait_until(lambda: set(ready().values()) == {"ok"}, "it does not answer")
    asked.set()
    seconds.now += KEEP
    late = {"quick": "ok", "it": "no answer yet", "behind it": "no answer yet"}
    wait_until(lambda: ready() == late, "what did answer is not told")
    seconds.now += KEEP
    assert ready()["it"] == "no answer yet", "it is not asked a second time meanwhile"
    answer.set()
    wait_until(lambda: set(ready().values()) == {"ok"}, "it does not answer any more")


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        (MONITOR, {}, 200),
        ("127.0.0.1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("192.0.2.11", {}, 404),
        (OFFICE, {}, 404),
        (PROXY, {}, 404),
        ("", {}, 404),
        # what a proxy on this machine carries may come from anywhere
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 404),
        ("127.0.0.1", {"X-Forwarded-For": ""}, 404),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 404),
        ("127.0.0.1", {"X-Real-IP": "127.0.0.1"}, 404),
        (MONITOR, {"Via": "1.1 proxy"}, 404),
        (PROXY, {"X-Forwarded-For": MONITOR}, 404),
    ],
)
def test_metrics_are_for_declared_monitors_that_ask_themselves(
    corridor: Corridor, peer: str, headers: dict[str, str], status: int
) -> None:
    answer = Browser(corridor.app, peer=peer, address="").get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("broker_http_request" in answer.text) is (status == 200)


def scrape(app: Flask) -> str:
    return Browser(app, peer=MONITOR, address="").get("/metrics").text


def test_metrics_count_and_name_nobody(own_corridor: Corridor) -> None:
    corridor = own_corridor
    person = corridor.person(enrolled=True)
    browser = corridor.signed_in(person)
    browser.credentials("payments-dev/power-user")
    browser.credentials("payments-prod/power-user")
    browser.get("/no/such/place/ada@corp.example")
    told = scrape(corridor.app)
    assert 'broker_events_total{outcome="allowed",tag="credentials:issued"} 1.0' in told
    assert 'broker_events_total{outcome="denied",tag="credentials:refused"} 1.0' in told
    assert 'route="/api/v1/credentials",status="200"' in told
    assert 'route="none",status="404"' in told
    for secret in (person.account, "No ", OFFICE, PROXY, "ada@corp.example", "payments", browser.token, "developer"):
        assert secret not in told, secret


def test_no_word_of_a_stranger_becomes_a_series(own_corridor: Corridor) -> None:
    """Each would stay for good: a crowd of invented methods would fill the memory."""
    browser = own_corridor.browser()
    for number in range(20):
        browser.open(f"WORD{number}", f"/path{number}")
    told = scrape(own_corridor.app)
    assert "WORD" not in told
    assert "/path" not in told
    assert 'method="other",route="none",status="404"} 20.0' in told


def test_a_mapping_document_that_is_refused_shows_for_as_long_as_it_is() -> None:
    metrics, name = Metrics(), "broker_mapping_refused_timestamp_seconds"
    assert metrics.registry.get_sample_value(name) == 0
    metrics.mapping_refused(NOW)
    assert metrics.registry.get_sample_value(name) == NOW.timestamp()
    metrics.mapping_refused(None)
    assert metrics.registry.get_sample_value(name) == 0


def test_lines_that_did_not_go_out_show() -> None:
    metrics, name = Metrics(), "broker_audit_line_failures"
    assert metrics.registry.get_sample_value(name) == 0
    metrics.line_failures(3)
    assert metrics.registry.get_sample_value(name) == 3


def test_events_that_could_not_be_written_are_counted(corridor: Corridor) -> None:
    class Broken:
        def record(self, event: Event) -> None:
            raise Unavailable(event.tag)

    metrics = Metrics()
    event = Event(tag=Tag.BROKER_STARTED, outcome=Outcome.DONE, at=corridor.clock(), id="1")
    with pytest.raises(Unavailable):
        Heard(Broken(), written=metrics.written, lost=metrics.lost).record(event)
    assert metrics.registry.get_sample_value("broker_audit_write_failures_total") == 1.0
    assert metrics.registry.get_sample_value("broker_events_total", {"tag": event.tag, "outcome": "done"}) is None
