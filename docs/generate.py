"""Writes the documents that are made from the code: settings.md, cli.md, openapi.json. `make docs` runs it.

`tests/house/test_docs.py` checks that what is committed is what this makes.
"""
# ruff: noqa: INP001 (a script, in no package)

import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from broker.app import open_broker
from broker.cli import broker as program
from broker.clock import utc_now
from broker.keys import Keyring
from broker.settings import load, settings_schema
from broker.web.client import Proxies
from broker.web.known import KnownBrowsers
from broker.web.wsgi import Site, make_app

DOCS = Path(__file__).parent
Node = Mapping[str, Any]

KINDS = {
    "ipv4network": "network",
    "ipv6network": "network",
    "path": "path",
    "password": "secret",
    "string": "text",
    "integer": "number",
    "number": "number",
    "boolean": "`true` or `false`",
}

SETTINGS = """\
# Settings

Every key of `broker.yaml`. This file is made from the code (`make docs`); `broker config schema` prints the same as
JSON Schema for editors, `broker config show` what is in force and where each value comes from, `broker config check`
asks every neighbour.

- **Order**: environment over file over default. `BROKER_SERVER__URL=…` sets `server.url`; a hyphen in a provider's name
  is an underscore there (`BROKER_PROVIDERS__CORP_AD__PASSWORD_FILE`). Lists and nested values belong into the file.
- **Strict**: an unknown key, and a `BROKER_` variable that sets nothing, are errors. All problems are told at once,
  with file, line and column. In Kubernetes set `enableServiceLinks: false` where a service is called `broker`: it would
  bring such variables.
- **The file** is the one of `--config`, else `$BROKER_CONFIG`, else `/etc/broker/broker.yaml`, else `broker.yaml` here.
- **Secrets**: each secret `x` can be given as `x_file`, the path of a file that holds it (the line end does not count).
  No command and no error ever shows one.
- **Paths** are taken from the folder of the file.
- **Durations** are a whole number and its unit: `90s`, `15m`, `8h`, `2d`.
- A setting that weakens something is called `insecure_…`.
- A change counts after a restart; the mapping document's files are looked at every two seconds.
"""

COMMANDS = """\
# Commands of `broker`

The operator's program, made from its own help (`make docs`). Data goes to stdout, headings and everything else to
stderr.

| exit code | meaning |
|---|---|
| 0 | ok |
| 1 | failure; `audit verify`: something was altered; `config check`, `directory check`: a step failed |
| 2 | the command was not understood |
| 5 | denied |
| 6 | a stronger or fresher second factor is needed |
| 9 | a neighbour (directory, AWS STS, database) is away: try again later |
| 10 | the configuration or the mapping document is wrong; every problem is told |

An *instant* is `2026-11-23T18:00:00+0100`; where a day is allowed too (`2026-11-23`), its first moment in UTC. Commands
that change something write an audit event first, with the operator's name: the account that logged in on this machine,
also behind `sudo`. Every command has `--help`.
"""


def documents() -> dict[str, str]:
    """File name -> text."""
    return {"settings.md": settings(), "cli.md": commands(), "openapi.json": openapi()}


def settings() -> str:
    """A table for each section."""
    schema = settings_schema()
    parts = [SETTINGS]
    for name, node in schema["properties"].items():
        whole = _resolved(node, schema)
        if name == "providers":
            for option in node["additionalProperties"]["oneOf"]:
                parts += _section("providers.NAME", _resolved(option, schema), schema)
        elif "items" in whole:
            parts += _section(f"{name}[]", _resolved(whole["items"], schema), schema, whole["description"])
        else:
            parts += _section(name, whole, schema)
    return "\n".join(parts)


def _section(path: str, node: Node, schema: Node, lead: str = "") -> Iterator[str]:
    described = node.get("description", "")
    rows = [f"## `{path}`", "", " ".join(filter(None, (lead, described))), ""]
    rows += ["| key | value | default | meaning |", "|---|---|---|---|"]
    inner = {}
    for name, own in node["properties"].items():
        whole = {**_resolved(own, schema), **own}
        if "properties" in whole:
            inner[name] = whole
            continue
        default = "**required**" if name in node.get("required", ()) else _default(own)
        if f"{name}_file" in node["properties"]:
            default = f"or `{name}_file`"
        rows.append(f"| `{name}` | {_value(whole, schema)} | {default} | {own.get('description', '')} |")
    yield "\n".join(rows) + "\n"
    for name, own in inner.items():
        yield from _section(f"{path}.{name}", _resolved(own, schema), schema, own.get("description", ""))


def _resolved(node: Node, schema: Node) -> Node:
    reference = node.get("$ref", "")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else node


def _default(node: Node) -> str:
    value = node.get("default")
    if value in (None, "", [], {}):
        return ""
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _value(node: Node, schema: Node) -> str:
    """What may stand there."""
    node = {**_resolved(node, schema), **node}
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_value(option, schema) for option in node["anyOf"]))
    if "const" in node or "enum" in node:
        return " or ".join(f"`{json.dumps(word).strip(chr(34))}`" for word in node.get("enum", [node.get("const")]))
    if "items" in node:
        return f"list of {_value(node['items'], schema)}"
    if "additionalProperties" in node:
        return f"name: {_value(node['additionalProperties'], schema)}"
    words = {"ipv4network": "network", "ipv6network": "network", "path": "path", "password": "secret"}
    kind = words.get(node.get("format", "")) or {
        "string": "text",
        "integer": "number",
        "boolean": "`true` or `false`",
    }.get(node["type"], node["type"])
    return ("duration" if "[smhd]" in node.get("pattern", "") else kind) + _bounds(node)


def _bounds(node: Node) -> str:
    low, above, high = node.get("minimum"), node.get("exclusiveMinimum"), node.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    if above is not None:
        return f", more than {above:g}" + (f", at most {high:g}" if high is not None else "")
    return f", at least {low:g}" if low is not None else f", at most {high:g}" if high is not None else ""


def commands() -> str:
    """Every command, with its options."""
    context = click.Context(program, info_name="broker", **program.context_settings)
    return "\n".join([COMMANDS, *_command(program, context)])


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(context.get_usage().removeprefix("Usage:").split())
    params = command.get_params(context)
    options = [own for own in params if isinstance(own, click.Option) and "--help" not in own.opts]
    lines = [f"## `{context.command_path}`", "", (command.help or "").strip(), "", f"    {usage}", ""]
    if options:
        lines += ["| option | value | meaning |", "|---|---|---|"]
        lines += [f"| {_names(own)} | {_option_value(own, context)} | {own.help or ''} |" for own in options] + [""]
    yield "\n".join(lines)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _command(found, click.Context(found, info_name=name, parent=context))


def _names(option: click.Option) -> str:
    return ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))


def _option_value(option: click.Option, context: click.Context) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        choices = " ".join(f"`{choice}`" for choice in option.type.choices)
        value = "tag, see [audit.md](audit.md)" if option.name == "tag" else choices
    elif isinstance(option.type, click.DateTime):
        value = "instant"
    else:
        value = option.make_metavar(context).lower().strip("[]")
    if option.required:
        return f"{value}, **required**"
    default = option.default if isinstance(option.default, str | int) else ""
    return f"{value} (default `{default}`)" if option.show_default and default else value


def openapi() -> str:
    """The API's own description, from a broker that asks nobody."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "broker.yaml"
        file.write_text(
            "server: {url: 'https://aws.corp.example'}\nkeys: {file: keys.json}\nmappings: {files: [mappings.yaml]}\n"
            "storage: {url: 'sqlite:///broker.db'}\naws: {regions: [eu-central-1], access_key_file: aws-key}\n"
            "providers:\n"
            "  corp-ad: {type: ldap, servers: ['ldaps://localhost'], bind_dn: x, password: x, user_bases: ['DC=x']}\n",
            encoding="utf-8",
        )
        (Path(folder) / "mappings.yaml").write_text("version: 1\n...\n", encoding="utf-8")
        key = "[default]\naws_access_key_id = none\naws_secret_access_key = none\n"
        (Path(folder) / "aws-key").write_text(key, encoding="utf-8")
        Keyring.generate(now=utc_now()).save(Path(folder) / "keys.json")
        broker = open_broker(load(file, {}).settings)
        site = Site(
            url="https://aws.corp.example",
            proxies=Proxies(networks=(), tls_header=""),
            monitors=(),
            csrf_secret="none",  # noqa: S106 (nobody is served)
            needs={},
            neighbours={},
            known=KnownBrowsers(keyring=broker.keyring, clock=utc_now, randomness=secrets.token_bytes),
            is_owner=lambda _: False,
        )
        try:
            return json.dumps(make_app(broker.parts, site, broker.metrics).api_doc, indent=2, ensure_ascii=False) + "\n"
        finally:
            broker.close()


if __name__ == "__main__":
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        click.echo(f"wrote docs/{name}")
