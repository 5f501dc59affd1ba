"""`python benchmarks/run.py [ONLY=resolve,lease]`: one line a figure; ends with 1 when a target is missed."""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent


def groups() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main(arguments: list[str]) -> int:
    only = [name for argument in arguments for name in argument.removeprefix("ONLY=").split(",") if name]
    unknown = sorted(set(only) - set(groups()))
    if unknown:
        print(f"no such group: {', '.join(unknown)}; there are: {', '.join(groups())}", file=sys.stderr)
        return 2
    sys.path.insert(0, str(HERE))
    missed = False
    for name in only or groups():
        for figure in importlib.import_module(f"bench_{name}").figures():
            print(figure, flush=True)
            missed = missed or figure.missed
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
