"""The operator's program `broker`: one file for each group of commands.

Exit codes: 0 ok, 1 failure, 2 usage, 5 denied, 6 stronger second factor needed, 9 a neighbour is away, 10 bad
configuration. Data goes to stdout, everything else to stderr; an error says what to do next.
"""

import sys
from pathlib import Path

import click

from broker.cli.audit import audit
from broker.cli.config import config, directory, init
from broker.cli.demo import demo
from broker.cli.keys import keys
from broker.cli.mappings import explain, mappings
from broker.cli.serve import serve
from broker.cli.users import users
from broker.errors import BrokerError, ConfigurationError, Unavailable

EXIT_AWAY = 9
EXIT_CONFIGURATION = 10


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="broker.yaml; else $BROKER_CONFIG.")
@click.version_option(package_name="aws-federation-broker", prog_name="broker")
@click.pass_context
def broker(context: click.Context, config_file: Path | None) -> None:
    """A federated identity broker for AWS."""
    context.obj = config_file


for command in (audit, config, demo, directory, explain, init, keys, mappings, serve, users):
    broker.add_command(command)


def main() -> None:
    """Run it; a `BrokerError` becomes its sentence, its remedy and an exit code."""
    try:
        broker(prog_name="broker")
    except BrokerError as error:
        click.echo(f"broker: {error.message}", err=True)
        if error.remedy:
            click.echo(error.remedy, err=True)
        sys.exit(_exit_code(error))


def _exit_code(error: BrokerError) -> int:
    if isinstance(error, ConfigurationError):
        return EXIT_CONFIGURATION
    return EXIT_AWAY if isinstance(error, Unavailable) else 1
