"""`aws-broker`: the program of the person who wants AWS. Standard library only.

What `hot` can answer is answered before anything else is imported.
"""

import os
import sys
import time

from . import hot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run it; the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    found = hot.answer(given, os.environ, time.time())
    if found is not None:
        hot.leave(found)
    from .run import run  # noqa: PLC0415 (as said above)

    return run(given)
