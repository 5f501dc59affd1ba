"""`aws-broker`: the program of the person who wants AWS. Standard library only."""

import argparse
from importlib import metadata


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="aws-broker", description="AWS access through your company's broker.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    chosen = parser.parse_args(arguments)
    code: int = chosen.run()
    return code


def _version() -> int:
    print(f"aws-broker {metadata.version('aws-federation-broker')}")  # noqa: T201 (what the command is for)
    return 0
