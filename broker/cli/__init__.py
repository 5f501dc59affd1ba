"""The operator's program `broker`: one file for each group of commands.

Exit codes: 0 ok, 1 failure, 2 usage, 5 denied, 6 stronger second factor needed, 9 a neighbour is away, 10 bad
configuration. Data goes to stdout, everything else to stderr; an error says what to do next.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import click

from broker.cli.chosen import Chosen
from broker.errors import BrokerError, ConfigurationError, Denied, Unavailable

EXIT_FAILED: Final = 1
EXIT_DENIED: Final = 5
EXIT_STEP_UP: Final = 6
EXIT_AWAY: Final = 9
EXIT_CONFIGURATION: Final = 10

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audit": "audit",
        "config": "config",
        "demo": "demo",
        "directory": "config",
        "explain": "explain",
        "init": "config",
        "keys": "keys",
        "mappings": "mappings",
        "serve": "serve",
        "users": "users",
    }
)
"""Command -> its file. A file is imported when its command is used: `serve` has something to do before the rest of the
broker is imported, and nothing but `demo` ever loads the sandbox."""


class Program(click.Group):
    """Finds its commands in `COMMANDS`; a `BrokerError` becomes its sentence, its remedy and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Their names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (as above)
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"broker.cli.{COMMANDS[cmd_name]}"), cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's signature)
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            for problem in error.problems:
                click.echo(str(problem), err=True)
            ctx.exit(EXIT_CONFIGURATION)
        except BrokerError as error:
            click.echo(f"broker: {error.message}", err=True)
            if error.remedy:
                click.echo(error.remedy, err=True)
            ctx.exit(_exit_code(error))


def _exit_code(error: BrokerError) -> int:
    if isinstance(error, Unavailable):
        return EXIT_AWAY
    return EXIT_DENIED if isinstance(error, Denied) else EXIT_FAILED


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="broker.yaml; else $BROKER_CONFIG.")
@click.version_option(package_name="aws-federation-broker", prog_name="broker")
@click.pass_context
def broker(context: click.Context, config_file: Path | None) -> None:
    """A federated identity broker for AWS."""
    context.obj = Chosen(file=config_file, stand=context.obj)


def main() -> None:
    """Run it."""
    broker(prog_name="broker")
