"""Real neighbours from Debian for the contract suites and journeys: started by fixtures, gone afterwards.

Where one is not installed the test is skipped and the skip names the package; `.ci/run` installs them all and fails
if anything is skipped.
"""

import shutil
from typing import NoReturn

import pytest


def missing(package: str) -> NoReturn:
    """Skip the asking test, naming the Debian package that it needs."""
    pytest.skip(f"needs a real neighbour: apt-get install {package}")


FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:/usr/lib/postgresql/15/bin"


def need(program: str, package: str) -> str:
    """The path of `program`, or skip and name `package`."""
    return shutil.which(program, path=FOLDERS) or missing(package)
