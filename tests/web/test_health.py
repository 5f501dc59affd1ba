"""`/healthz`, `/readyz`, `/metrics`: what they tell, to whom, and how often the neighbours are asked for it."""

import threading

import pytest
from corridor import MONITOR, OFFICE, PROXY, Browser, Corridor
from flask import Flask

from broker.errors import Unavailable
from broker.record.event import Event, Outcome, Tag
from broker.record.heard import Heard
from broker.web.health import KEEP, Readiness
from broker.web.metrics import Metrics


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


@pytest.mark.parametrize("away", [(), ("storage",), ("directory",), ("storage", "directory")], ids=str)
def test_it_is_ready_when_every_neighbour_answers(corridor: Corridor, away: tuple[str, ...]) -> None:
    neighbours = {"storage": Neighbour(), "directory": Neighbour()}
    for name in away:
        neighbours[name].away = True
    answer = Browser(corridor.app_of(corridor.parts, checks=neighbours)).get("/readyz")
    assert answer.status_code == (503 if away else 200)
    assert answer.json["status"] == ("not ready" if away else "ok")
    assert answer.json["checks"] == {name: "unavailable" if name in away else "ok" for name in neighbours}
    assert "10.1.1.1" not in answer.text


def test_the_real_neighbours_are_asked(own_corridor: Corridor) -> None:
    corridor = own_corridor
    assert corridor.browser().get("/readyz").status_code == 200
    corridor.world.directory.stop()
    try:
        told = Browser(corridor.app_of(corridor.parts)).get("/readyz")
    finally:
        corridor.world.directory.start()
    assert (told.status_code, told.json["checks"]) == (503, {"storage": "ok", "directory": "unavailable"})


def test_a_crowd_of_askers_costs_the_neighbours_one_question_in_five_seconds() -> None:
    neighbour, seconds = Neighbour(), Seconds()
    ready = Readiness({"it": neighbour}, monotonic=seconds)
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

    ready = Readiness({"it": hangs}, monotonic=Seconds())
    first = threading.Thread(target=ready)
    first.start()
    asked.wait(10)
    assert ready() == {"it": "not asked yet"}
    answer.set()
    first.join()
    assert ready() == {"it": "ok"}


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
