"""The published schema of broker.yaml says what the reader takes."""
# ruff: noqa: ANN401 (JSON has no types)

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from settings.conftest import MINIMAL
from settings.json_schema import misfits

from broker.clock import utc_now
from broker.entitle.source import read_yaml
from broker.flow.mapping import read_mapping
from broker.settings import load, read_mapping_files, settings_schema

EXAMPLE = Path(__file__).parents[2] / "config" / "broker.yaml"


def data(text: str) -> Any:
    return read_yaml(text, "broker.yaml").data


def test_the_annotated_example_is_taken_as_it_is_once_its_secrets_are_there(tmp_path: Path) -> None:
    for file in EXAMPLE.parent.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "directory-password").write_text("of the service account", encoding="utf-8")
    settings = load(tmp_path / "broker.yaml", {}).settings
    assert settings.server.url == "https://aws.corp.example"
    assert settings.mappings.files == (tmp_path.resolve() / "mappings.yaml",)
    mapping = read_mapping(read_mapping_files(settings.mappings.files), providers=settings.group_forms, now=utc_now())
    assert set(settings.directory.outage_grace_of_role) <= set(mapping.catalogue.roles)


def test_the_annotated_example_fits_the_schema() -> None:
    assert misfits(data(EXAMPLE.read_text(encoding="utf-8")), settings_schema()) == []


@pytest.mark.parametrize(
    "harm",
    [
        ("aws: {regions: [eu-central-1]}", ""),
        ("aws: {regions: [eu-central-1]}", "aws: {regions: [nowhere]}"),
        ("aws: {regions: [eu-central-1]}", "aws: {regions: [eu-central-1], budget: 5}"),
        ("type: ldap", "type: other"),
        ("    type: ldap\n", ""),
        ("servers:", "server:"),
        ("password_file: directory-password", "password_file: [a]"),
        ("mappings: {files: [mappings.yaml]}", "mappings: {files: []}"),
        ("keys: {file: keys.json}", "keys: {file: keys.json}\nodd: 1"),
    ],
)
def test_what_the_reader_refuses_does_not_fit_the_schema(harm: tuple[str, str]) -> None:
    assert misfits(data(MINIMAL), settings_schema()) == []
    assert harm[0] in MINIMAL
    assert misfits(data(MINIMAL.replace(*harm)), settings_schema())


def test_every_reference_leads_somewhere_and_durations_are_written_as_people_write_them() -> None:
    schema = settings_schema()
    text = json.dumps(schema)
    names = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= set(schema["$defs"])
    assert '"default": "PT' not in text
    assert '"null"' not in text


def test_every_key_says_what_it_means() -> None:
    schema = settings_schema()
    sections = [schema, *schema["$defs"].values()]
    silent = [name for node in sections for name, own in node.get("properties", {}).items() if "description" not in own]
    assert sorted(silent) == sorted(set(schema["properties"]) - {"providers", "owners"})
    assert all("description" in node for node in sections)
