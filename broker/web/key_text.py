"""One lease's keys as text to paste: into a shell, into a file, into a program.

Every value is quoted by the rules of the shell that will read it, whatever is in it: what AWS gives out needs no
quotes, and nothing here relies on that. What no quoting could carry (a control character, a letter beyond ASCII) is
refused whole.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from broker.issue.issuer import IssueRefused, Lease

PRINTABLE = re.compile(r"[!-~]{1,4096}", re.ASCII)
BARE = re.compile(r"[A-Za-z0-9_.,:/+=@%-]*", re.ASCII)
"""Needs no quotes in any dialect of `.env`; docker's `--env-file` knows none, and would keep them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyText:
    """One block to copy."""

    key: str
    name: str
    """What people call it; a proper name in every language."""
    label: str
    """Where it goes: a message id."""
    text: str


def variables(lease: Lease) -> Mapping[str, str]:
    """The environment variables that every AWS SDK reads.

    Raises `IssueRefused` for a value that cannot be pasted.
    """
    found = {
        "AWS_ACCESS_KEY_ID": lease.access_key_id,
        "AWS_SECRET_ACCESS_KEY": lease.secret_access_key,
        "AWS_SESSION_TOKEN": lease.session_token,
        "AWS_CREDENTIAL_EXPIRATION": lease.expires_at.isoformat(),
    }
    if not all(PRINTABLE.fullmatch(value) for value in found.values()):  # check: keys-printable
        message = "AWS answered with keys that cannot be shown as text."
        raise IssueRefused(message, remedy="Try again; if it goes on, tell the operators.")
    return found


def texts(lease: Lease, *, profile: str) -> list[KeyText]:
    """The lease in every form; `profile` is the name of its profile in AWS's files.

    Raises `IssueRefused`, as `variables` does.
    """
    env = variables(lease)
    shells = (
        ("bash", "bash", "Paste into bash, zsh or sh on macOS, Linux or WSL.", bash(env)),
        ("powershell", "PowerShell", "Paste into PowerShell.", powershell(env)),
        ("cmd", "cmd", "Paste into the Windows command prompt.", cmd(env)),
        ("fish", "fish", "Paste into fish.", fish(env)),
        (
            "profile",
            "credentials",
            "Add to ~/.aws/credentials.",
            credentials(env, profile),
        ),
        ("dotenv", ".env", "Save as .env; never commit it.", dotenv(env)),
        ("json", "JSON", "The object that credential_process defines.", as_json(lease)),
    )
    return [KeyText(key=key, name=name, label=label, text=text) for key, name, label, text in shells if text]


def bash(env: Mapping[str, str]) -> str:
    """For any POSIX shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in env.items())


def fish(env: Mapping[str, str]) -> str:
    r"""Between single quotes fish knows `\\` and `\'` (fish documentation, "Quotes")."""
    return "\n".join(f"set -gx {name} '{_escaped(value)}'" for name, value in env.items())


def powershell(env: Mapping[str, str]) -> str:
    """Between single quotes a quote is written twice (about_Quoting_Rules)."""
    return "\n".join("$Env:{} = '{}'".format(name, value.replace("'", "''")) for name, value in env.items())


def cmd(env: Mapping[str, str]) -> str:
    """For the command prompt; empty where a value has what it cannot quote: a percent sign or a double quote."""
    if any(set(value) & set('%"') for value in env.values()):
        return ""
    return "\n".join(f'set "{name}={value}"' for name, value in env.items())


def credentials(env: Mapping[str, str], profile: str) -> str:
    """A profile of `~/.aws/credentials`. INI has no quotes: a value goes to the end of its line."""
    keys = (name for name in env if name != "AWS_CREDENTIAL_EXPIRATION")
    return "\n".join([f"[{profile}]", *(f"{name.lower()} = {env[name]}" for name in keys)])


def dotenv(env: Mapping[str, str]) -> str:
    """Bare where that is enough, else between single quotes, which dotenv takes as they are."""
    quoted = ((name, value if BARE.fullmatch(value) else f"'{_escaped(value)}'") for name, value in env.items())
    return "\n".join(f"{name}={value}" for name, value in quoted)


def as_json(lease: Lease) -> str:
    """Version 1 of what `credential_process` prints."""
    return json.dumps(
        {
            "Version": 1,
            "AccessKeyId": lease.access_key_id,
            "SecretAccessKey": lease.secret_access_key,
            "SessionToken": lease.session_token,
            "Expiration": lease.expires_at.isoformat(),
        },
        indent=2,
    )


def _escaped(value: str) -> str:
    """With a backslash before each backslash and single quote."""
    return value.replace("\\", "\\\\").replace("'", "\\'")
