"""`helper`: what `aws-broker process` costs with an answer in the cache, and what twenty cold starts ask the broker.

The peer is the interpreter doing nothing (`python3 -I -S -c pass`), the same one that runs the program. Wall time, for
that is what somebody waits for; the median of the pairs' ratios. The broker is a small one on loopback that counts.
"""

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
        ways: dict[str, tuple[Sequence[str | Path], float | None]] = {
            "cached-installed": ((PROGRAM,), 2.5),
            "cached-profile-line": ((sys.executable, "-I", "-S", HOT), 1.25),
            "cached-single-file": ((sys.executable, "-I", "-S", pyz), None),
        }
        for label, (program, target) in ways.items():
            measured = ratio(_starter(desk, *program, *arguments), _starter(desk, *FLOOR), rounds=ROUNDS, measure=_wall)
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
