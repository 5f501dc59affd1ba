"""`helper`: what `aws-broker process` costs with an answer in the cache, and what twenty cold starts ask the broker.

The peer is the interpreter doing nothing (`python3 -I -S -c pass`), the same one that runs the program. Wall time of
the installed program, for that is what somebody waits for; CPU of the other two, which a busy machine changes less.
The broker is a small one on loopback that counts.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import Figure, ratio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from workstation.desk import HOT, PROGRAM, ROLE, Desk
from workstation.fake_broker import serving

FLOOR = (sys.executable, "-I", "-S", "-c", "pass")
ROUNDS = 41
COLD = 20
Cost = Callable[[Callable[[], object]], float]


def figures() -> Iterator[Figure]:
    """The installed program (target), the line that `configure` writes, the single file; then the requests."""
    with tempfile.TemporaryDirectory() as name, serving() as fake:
        desk = Desk(home=Path(name), broker=fake)
        desk.login()
        fake.delay = 0.3
        started = [desk.start("process", *desk.server, "--role", ROLE) for _ in range(COLD)]
        if {each.communicate()[1] for each in started} != {""}:
            message = "a cold start failed"
            raise RuntimeError(message)
        asked = fake.asked["POST /api/v1/credentials"]
        arguments = ("process", *desk.server, "--role", ROLE)
        pyz = Path(name) / "aws-broker.pyz"
        from broker.web.pyz import build_pyz  # noqa: PLC0415 (the server's, not the program's)

        pyz.write_bytes(build_pyz())
        ways: dict[str, tuple[Sequence[str | Path], Cost, float | None]] = {
            "cached-installed": ((PROGRAM,), _wall, 2.5),
            "cached-profile-line": ((sys.executable, "-I", "-S", HOT), _cpu, 1.25),
            "cached-single-file": ((sys.executable, "-I", "-S", pyz), _cpu, None),
        }
        for label, (program, cost, target) in ways.items():
            measured = ratio(_starter(desk, *program, *arguments), _starter(desk, *FLOOR), rounds=ROUNDS, measure=cost)
            yield Figure(group="helper", name=label, measured=measured, target=target)
        yield Figure(group="helper", name=f"requests-of-{COLD}-cold-starts", measured=asked, target=1.0)


def _starter(desk: Desk, *command: str | Path) -> Callable[[], object]:
    environ = desk.environ

    def start() -> object:
        return subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=True)

    return start


def _wall(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _cpu(work: Callable[[], object]) -> float:
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
