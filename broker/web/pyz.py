"""The `aws-broker` program as one file that any Python runs: a zip of the workstation package alone.

The same sources give the same bytes on every machine, so that its SHA-256 can be compared: fixed times and modes, in
order of name, nothing compressed (zlib's output differs between versions).
"""

import io
import zipfile
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "workstation"
PACKAGE = "aws_broker"
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = f"import sys\n\nfrom {PACKAGE}.cli import main\n\nsys.exit(main())\n"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say."""


@cache
def build_pyz() -> bytes:
    """The whole file. The sources are read once."""
    files = {"__main__.py": MAIN.encode()}
    files |= {f"{PACKAGE}/{path.name}": path.read_bytes() for path in sorted(SOURCES.glob("*.py"))}
    found = io.BytesIO(SHEBANG)
    found.seek(0, io.SEEK_END)
    with zipfile.ZipFile(found, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # as made on Unix, whatever made it
            archive.writestr(entry, data)
    return found.getvalue()
