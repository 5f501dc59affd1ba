"""Figures that hold on any machine: ratios of two things measured in turn (A B A B ...), never an absolute time.

A group is a file `bench_<group>.py` with `figures()`, which yields what it measured. CPU time of this process counts,
so that a busy machine changes little; the median of the pairs' ratios is the figure.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of `make bench`."""

    group: str
    name: str
    measured: float
    target: float | None = None
    """The most that it may be; None: printed to be known, never missed."""

    @property
    def missed(self) -> bool:
        """Whether the target is missed."""
        return self.target is not None and self.measured > self.target

    def __str__(self) -> str:
        """`group name measured target ok|MISSED`."""
        target = "-" if self.target is None else f"<={self.target:g}x"
        return f"{self.group} {self.name} {self.measured:.2f}x {target} {'MISSED' if self.missed else 'ok'}"


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU that `work` takes; what others left behind is swept away first."""
    gc.collect()
    begin = time.process_time()
    result = work()
    seconds = time.process_time() - begin
    del result
    return seconds


def ratio(
    work: Callable[[], object],
    peer: Callable[[], object],
    *,
    rounds: int = ROUNDS,
    measure: Callable[[Callable[[], object]], float] = cpu,
) -> float:
    """How many times `peer` `work` costs: the median over pairs measured in turn, the first one thrown away.

    `measure` gives the cost of one run, for costs that are not this process's CPU.
    """
    pairs = [(measure(work), measure(peer)) for _ in range(rounds + 1)]
    return statistics.median(mine / theirs for mine, theirs in pairs[1:])
