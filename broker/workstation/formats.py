"""Credentials as text, in the words of `aws configure export-credentials` (and two more), byte for byte as it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from .cache import Credentials


def _ends(found: Credentials) -> str:
    return datetime.fromtimestamp(int(found.expires), timezone.utc).isoformat()


def _variables(line: str) -> Callable[[Credentials], str]:
    def form(found: Credentials) -> str:
        values = {
            "AWS_ACCESS_KEY_ID": found.access_key_id,
            "AWS_SECRET_ACCESS_KEY": found.secret_access_key,
            "AWS_SESSION_TOKEN": found.session_token,
            "AWS_CREDENTIAL_EXPIRATION": _ends(found),
        }
        return "".join(line.format(name=name, value=value) + "\n" for name, value in values.items())

    return form


def _document(found: Credentials) -> dict[str, object]:
    return {
        "AccessKeyId": found.access_key_id,
        "SecretAccessKey": found.secret_access_key,
        "SessionToken": found.session_token,
        "Expiration": _ends(found),
    }


def _process(found: Credentials) -> str:
    return json.dumps({"Version": 1, **_document(found)}, indent=2) + "\n"


def _json(found: Credentials) -> str:
    whose = {
        "Role": found.role,
        "AccountId": found.account_id,
        "RoleArn": found.role_arn,
        "SessionName": found.session_name,
        "Region": found.region,
    }
    return json.dumps({**whose, **_document(found)}, indent=2) + "\n"


def _credentials(found: Credentials) -> str:
    return (
        f"[{found.role.replace('/', '-')}]\n"
        f"aws_access_key_id = {found.access_key_id}\n"
        f"aws_secret_access_key = {found.secret_access_key}\n"
        f"aws_session_token = {found.session_token}\n"
    )


FORMATS: Mapping[str, Callable[[Credentials], str]] = {
    "process": _process,
    "env": _variables("export {name}={value}"),
    "env-no-export": _variables("{name}={value}"),
    "powershell": _variables('$Env:{name}="{value}"'),
    "windows-cmd": _variables("set {name}={value}"),
    "fish": _variables('set -gx {name} "{value}"'),
    "credentials": _credentials,
    "json": _json,
}
