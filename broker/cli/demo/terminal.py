"""What a terminal needs to stand in the demo instead of in the reader's own AWS: a file to be read with `.`."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

NAME = "terminal"
OTHERS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""What would take the place of a profile, or name one that the demo does not have."""


def write(folder: Path, *, url: str, sts: str, region: str) -> None:
    """Leave the file in the demo's folder. The reader's own AWS files are neither read nor written by what follows."""
    file = folder / NAME
    file.touch(mode=0o600)
    file.write_text("\n".join(_lines(folder.absolute(), url, sts, region)) + "\n", encoding="utf-8")


def _lines(folder: Path, url: str, sts: str, region: str) -> Iterator[str]:
    yield "# For a POSIX shell: `. THIS-FILE` puts the terminal into the demo. Close the terminal to leave it."
    yield f"unset {' '.join(OTHERS)}"
    programs = shlex.quote(str(Path(sys.argv[0]).absolute().parent))
    yield f'export PATH={programs}:"$PATH"'
    ours = {
        "AWS_BROKER_SERVER": url,
        "AWS_CONFIG_FILE": str(folder / "aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws-credentials"),
        "AWS_ENDPOINT_URL_STS": sts,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    yield from (f"export {name}={shlex.quote(value)}" for name, value in ours.items())
    # AWS CLIs before 2.13 do not read the endpoint from the environment.
    yield f'aws() {{ command aws --endpoint-url {shlex.quote(sts)} "$@"; }}'
