"""A folder with a small `broker.yaml` and what it names."""

from collections.abc import Callable
from pathlib import Path

import pytest

MINIMAL = """\
server: {url: "https://aws.corp.example"}
keys: {file: keys.json}
storage: {url: "sqlite:///broker.db"}
mappings: {files: [mappings.yaml]}
providers:
  corp-ad:
    type: ldap
    servers: ["ldaps://dc1.corp.example"]
    bind_dn: svc-broker@corp.example
    password_file: directory-password
    user_bases: ["OU=Staff,DC=corp,DC=example"]
aws: {regions: [eu-central-1]}
"""
CANARY = "canary-4711-of-the-service-account"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the minimal file, with what follows behind it (`more`) or replaced in it (`old=new`)."""

    def do(more: str = "", *changes: tuple[str, str], name: str = "broker.yaml") -> Path:
        text = MINIMAL
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        file = tmp_path / name
        file.write_text(text + more, encoding="utf-8")
        (tmp_path / "directory-password").write_text(f"{CANARY}\n", encoding="utf-8")
        return file

    return do
