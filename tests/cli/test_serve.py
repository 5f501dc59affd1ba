"""`broker serve`: what it refuses, what it does under gunicorn, how it ends."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
import yaml
from cli.processes import PATIENCE, Running, running
from cli.stage import Neighbours, Place, copy_of
from neighbours._waiting import free_port, wait_until

from broker.app import Stand, preflight
from broker.clock import utc_now
from broker.errors import ConfigurationError
from broker.issue.issuer import IssueRefused
from broker.keys import Keyring
from broker.sandbox.browser import Browser
from broker.sandbox.sts import Root, SandboxSts, World, new_access_key
from broker.settings import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server, and where it is."""

    running: Running
    place: Place
    url: str
    home: Path
    scratch: Path

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 where nobody answers."""
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return 0, ""
        finally:
            connection.close()


@contextmanager
def served(place: Place, **directory: float) -> Iterator[Server]:
    """`broker serve` with that folder, ready to answer."""
    url = f"http://localhost:{free_port()}"
    provider = {**_provider(place), **directory}
    place.change(
        server={"url": url, "bind": url.removeprefix("http://"), "workers": 2, "threads": 2},
        providers={"corp-ad": provider},
    )
    home, scratch = place.folder / "home", place.folder / "scratch"
    home.mkdir()
    scratch.mkdir()
    log = place.folder / "log"
    with running(log, "--config", place.file, "serve", HOME=str(home), TMPDIR=str(scratch)) as process:
        server = Server(running=process, place=place, url=url, home=home, scratch=scratch)

        def answers() -> bool:
            assert process.process.poll() is None, process.stderr
            return server.get("/healthz")[0] == 200 and process.stdout.count('"broker:started"') == 2

        wait_until(answers, "the server does not answer", seconds=PATIENCE)
        yield server


def _provider(place: Place) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(place.file.read_text("utf-8"))["providers"]["corp-ad"]
    return found


@pytest.fixture(scope="module")
def server(furnished: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(copy_of(furnished, tmp_path_factory.mktemp("served") / "conf")) as found:
        yield found


def test_it_answers_the_probes_and_shows_the_way_in(server: Server) -> None:
    assert server.get("/healthz") == (200, '{"status":"ok"}\n')
    status, text = server.get("/readyz")
    assert status == 200, text
    assert Browser(server.url).get("/").path == "/sign-in"


@pytest.mark.parametrize("chunk", [b"zz\r\nabc", b"3\r\nabcX", b"3\r\nabc\r\n0\r\nName : x\r\n\r\n"])
def test_a_broken_chunk_is_a_400_and_no_error_of_ours(server: Server, chunk: bytes) -> None:
    host = server.url.removeprefix("http://")
    name, _, port = host.partition(":")
    headers = f"POST /sign-in HTTP/1.1\r\nHost: {host}\r\nOrigin: {server.url}\r\nTransfer-Encoding: chunked\r\n"
    with socket.create_connection((name, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(headers.encode() + b"\r\n" + chunk)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert "unforeseen" not in server.running.stderr
    assert server.get("/healthz")[0] == 200


def test_the_counters_of_all_processes_are_added_up_in_a_private_folder(server: Server) -> None:
    for _ in range(20):
        server.get("/healthz")
    (folder,) = server.scratch.glob("broker-metrics-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    pids = {re.search(r"_(\d+)\.db", file.name)[1] for file in folder.glob("*.db")}  # type: ignore[index]  # else it fails
    assert len(pids) >= 2
    text = server.get("/metrics")[1]
    (line,) = [
        line for line in text.splitlines() if line.startswith("broker_events_total{") and "broker:started" in line
    ]
    assert line.endswith(" 2.0")  # one of each worker
    assert "\nbroker_audit_line_failures 0.0\n" in text


def test_every_process_says_while_a_changed_mapping_document_is_refused(server: Server) -> None:
    file = server.place.folder / "mappings.yaml"
    whole = file.read_text("utf-8")

    def refused_at() -> float:
        found = re.search(r"^broker_mapping_refused_timestamp_seconds (\S+)$", server.get("/metrics")[1], re.MULTILINE)
        assert found
        return float(found[1])

    assert refused_at() == 0
    file.write_text("nonsense: 1\n", encoding="utf-8")
    wait_until(lambda: refused_at() > 0, "the refusal does not show", seconds=PATIENCE)
    assert server.get("/readyz")[0] == 200, "the old one decides"
    file.write_text(whole, encoding="utf-8")
    wait_until(lambda: refused_at() == 0, "the refusal does not go", seconds=PATIENCE)


def test_its_standard_output_is_the_audit_trail_and_nothing_else(server: Server) -> None:
    lines = [json.loads(line) for line in server.running.stdout.splitlines()]
    assert lines
    assert all(set(line) == {"audit"} for line in lines)
    tags = [line["audit"]["event"]["tag"] for line in lines if "event" in line["audit"]]
    assert tags.count("broker:started") == 2


def test_it_opens_no_control_socket_and_leaves_nothing_in_the_home_folder(server: Server) -> None:
    assert list(server.home.rglob("*")) == []
    assert not [file for file in server.place.folder.rglob("*") if file.is_socket()]


def test_a_neighbour_that_is_away_is_no_reason_not_to_start(server: Server) -> None:
    assert "AWS STS cannot be reached" in server.running.stderr


def test_sigterm_lets_it_answer_what_it_was_asked_and_close_its_chains(
    furnished: Place, around: Neighbours, tmp_path: Path
) -> None:
    place = copy_of(furnished, tmp_path / "conf")
    with served(place, refusal_floor=3.0) as server:
        browser, statuses = Browser(server.url), list[int]()
        browser.get("/sign-in")
        before = len(around.directory.binds)

        def wrong_password() -> None:
            page = browser.submit("/sign-in", provider="corp-ad", username="grace", password="not it")
            statuses.append(page.status)

        asking = threading.Thread(target=wrong_password)
        asking.start()
        in_flight = lambda: any("Grace" in bind.name for bind in around.directory.binds[before:])  # noqa: E731
        wait_until(in_flight, "the password has not reached the directory", seconds=PATIENCE)
        assert server.running.terminate() == 0
        asking.join(PATIENCE)
        assert statuses == [401]
        assert server.running.group_is_gone()
        assert server.get("/healthz")[0] == 0
        assert list(server.scratch.iterdir()) == []
        result = place.run("audit", "verify", "--anchor", str(server.running.out))
    assert result.exit_code == 0, result.stdout
    assert server.running.stdout.count('"closed":true') == 2  # the ends of both workers' chains


def test_it_refuses_the_demo_s_keys_and_database_and_another_endpoint_all_at_once(place: Place, tmp_path: Path) -> None:
    keys = place.folder / "keys.json"
    keys.unlink()
    Keyring.generate(now=utc_now(), demo=True).save(keys)
    with place.opened() as broker:
        broker.storage.stamp("demo")
    endpoint = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"}
    with running(tmp_path / "log", "--config", place.file, "serve", TMPDIR=str(tmp_path), **endpoint) as found:
        assert found.process.wait(PATIENCE) == 10
        told = found.stderr
    assert "holds keys that `broker demo` made; broker keys generate" in told
    assert "is a database that `broker demo` made; name another database" in told
    assert "AWS_ENDPOINT_URL: leads AWS calls to another endpoint" in told
    assert "AWS_ENDPOINT_URL_STS: leads AWS calls to another endpoint" in told
    assert found.stdout == ""
    assert not list(tmp_path.glob("broker-metrics-*"))


@pytest.mark.parametrize("what", ["keys", "database"])
def test_each_trace_of_the_demo_is_enough_to_refuse(place: Place, what: str) -> None:
    preflight(load(place.file, {}).settings, place.stand)  # the positive control
    if what == "keys":
        (place.folder / "keys.json").unlink()
        Keyring.generate(now=utc_now(), demo=True).save(place.folder / "keys.json")
    else:
        with place.opened() as broker:
            broker.storage.stamp("demo")
    with pytest.raises(ConfigurationError, match="`broker demo` made"):
        preflight(load(place.file, {}).settings, place.stand)


def test_a_key_file_of_an_older_release_is_refused_with_what_to_do(place: Place) -> None:
    keys = place.folder / "keys.json"
    content = json.loads(keys.read_text())
    content["keys"] = [key for key in content["keys"] if key["purpose"] != "session"]
    keys.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match="holds no session key; broker keys rotate session"):
        preflight(load(place.file, {}).settings, place.stand)


def test_an_endpoint_of_the_environment_alone_is_enough_to_refuse(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", place.sts)
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL_STS: leads AWS calls to another endpoint"):
        preflight(load(place.file, {}).settings, place.stand)


def test_root_credentials_are_refused(place: Place) -> None:
    key = new_access_key()
    (place.folder / "aws-key").write_text(
        f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n", encoding="utf-8"
    )
    with SandboxSts(World(roots=(Root(account="999999999999", keys=(key,)),)), clock=utc_now) as sts:
        with pytest.raises(IssueRefused, match="root user"):
            preflight(load(place.file, {}).settings, Stand(sts_endpoint=sts.url))
        result = Place(folder=place.folder, sts=sts.url).run("config", "check")
    assert result.exit_code == 1
    assert "root user" in result.stderr


def test_a_directory_that_contradicts_the_settings_is_refused_and_one_that_is_away_is_not(place: Place) -> None:
    provider = _provider(place)
    place.change(providers={"corp-ad": {**provider, "servers": ["ldaps://127.0.0.1:9"]}})
    preflight(load(place.file, {}).settings, place.stand)
    (place.folder / "directory-password").write_text("not it", encoding="utf-8")
    place.change(providers={"corp-ad": provider})
    with pytest.raises(ConfigurationError, match=r"providers\.corp-ad\.servers"):
        preflight(load(place.file, {}).settings, place.stand)
