"""The program's version; the same as the broker's, see `pyproject.toml`."""

VERSION = "0.1.0"
