"""`lease`: what one request for credentials costs the server, against a view that only calls boto3's `assume_role`.

Both are served by gunicorn (one worker, four threads) on the same sandbox STS; the CPU of the worker processes is read
from /proc before and after each batch.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from harness import Figure, ratio
from lease_servers import asked

from broker.cli.demo.client import find, signed_in
from broker.cli.demo.world import running

HERE = Path(__file__).parent
BATCH = 40
ROUNDS = 7
TICK = os.sysconf("SC_CLK_TCK")
ADA, ROLE = "ada", "payments-dev/power-user"


def figures() -> Iterator[Figure]:
    """The ratio to the gunicorn-served view (target) and to the bare call (to be known)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(folder, host="localhost", port=0, enrolled=(ADA,)) as demo:
            environ = {"BENCH_FOLDER": name, "BENCH_STS": demo.sts.url, **_key(folder)}
            with _served("broker", environ) as (broker, broker_cpu), _served("bare", environ) as (bare, bare_cpu):
                lease, peer = _lease(broker, folder), _poster(bare, {}, {})
                measured = {id(lease): broker_cpu, id(peer): bare_cpu}

                def cpu(work: Callable[[], object]) -> float:
                    before = measured[id(work)]()
                    work()
                    return measured[id(work)]() - before

                yield Figure(
                    group="lease",
                    name="gunicorn-flask-boto3",
                    measured=ratio(lease, peer, rounds=ROUNDS, measure=cpu),
                    target=3.0,
                )
                call = _call(demo.sts.url, environ)
                measured[id(call)] = time.process_time
                yield Figure(group="lease", name="bare-boto3-call", measured=ratio(lease, call, rounds=3, measure=cpu))


@contextmanager
def _served(which: str, environ: dict[str, str]) -> Iterator[tuple[str, Callable[[], float]]]:
    """One application under gunicorn: its address, and the CPU seconds of its worker so far."""
    url = f"http://localhost:{_free_port()}"
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "-k", "gthread", "--threads", "4"]
    command += ["-b", url.removeprefix("http://"), "--chdir", str(HERE), f"lease_servers:{which}()"]
    whole = {**os.environ, **environ, "BENCH_URL": url}
    with subprocess.Popen(command, env=whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(url)
            yield url, lambda: _cpu_of_children(server.pid)
        finally:
            server.terminate()


def _lease(url: str, folder: Path) -> Callable[[], None]:
    """A batch of `POST /api/v1/credentials` by somebody who is signed in."""
    visit = find(folder)
    browser = signed_in(replace(visit, url=url), ADA)
    token = browser.get("/api/v1/whoami").json()["csrf_token"]
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return _poster(url, {"role": ROLE, "duration": 3600}, {"Cookie": cookie, "X-CSRFToken": token, "Origin": url})


def _poster(url: str, body: dict[str, object], headers: dict[str, str]) -> Callable[[], None]:
    text = json.dumps(body)

    def batch() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        for _ in range(BATCH):
            connection.request("POST", "/api/v1/credentials", text, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != http.HTTPStatus.OK:
                message = f"{url} answered {answer.status}: {said[:200]!r}"
                raise RuntimeError(message)
        connection.close()

    return batch


def _call(sts_url: str, environ: dict[str, str]) -> Callable[[], None]:
    sts = boto3.client(
        "sts",
        region_name="eu-central-1",
        endpoint_url=sts_url,
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
    )

    def batch() -> None:
        for _ in range(BATCH):
            sts.assume_role(**asked())

    return batch


def _key(folder: Path) -> dict[str, str]:
    lines = (folder / "aws-key").read_text(encoding="utf-8").splitlines()[1:]
    return {name.strip().upper(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _cpu_of_children(pid: int) -> float:
    """User and system seconds of the direct children of a process (gunicorn's workers)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    fields = (Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split() for child in children)
    return sum(int(field[11]) + int(field[12]) for field in fields) / TICK


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    message = f"nothing answers at {url}"
    raise RuntimeError(message)
