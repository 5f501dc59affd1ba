"""`mappings pin` adds ids and changes nothing else."""

import pytest

from broker.entitle.pin import pin, unpinned
from broker.entitle.source import read_yaml
from broker.errors import ConfigurationError

TEXT = """\
# ünter uns
version: 1
groups:
  sre: {provider: corp-ad, dn: "CN=SRE,OU=Größe"}   # keep me
  known: {provider: corp-ad, dn: CN=Known, id: S-1-5-21-1-2-3-4}
  block:
    provider: corp-ad
    dn: "CN=Block,DC=x"  # and me
  plain: {provider: okta, name: aws}
"""
IDS = {"CN=SRE,OU=Größe": "S-1-5-21-1-2-3-1104", "CN=Block,DC=x": "S-1-5-21-1-2-3-7"}


def test_only_groups_with_a_dn_and_without_an_id_are_unpinned() -> None:
    assert [group.name for group in unpinned(TEXT, "m.yaml")] == ["sre", "block"]


def test_ids_are_added_and_nothing_else_is_changed() -> None:
    pinned, written = pin(TEXT, "m.yaml", lambda group: IDS.get(group.dn, ""))
    assert written == (("sre", "S-1-5-21-1-2-3-1104"), ("block", "S-1-5-21-1-2-3-7"))
    assert pinned.replace(", id: S-1-5-21-1-2-3-1104", "").replace("\n    id: S-1-5-21-1-2-3-7", "") == TEXT
    data = read_yaml(pinned, "m.yaml").data
    assert isinstance(data, dict)
    assert data["groups"]["sre"]["id"] == "S-1-5-21-1-2-3-1104"
    assert data["groups"]["block"]["id"] == "S-1-5-21-1-2-3-7"


def test_pinning_twice_changes_nothing_the_second_time() -> None:
    pinned, _ = pin(TEXT, "m.yaml", lambda group: IDS.get(group.dn, ""))
    assert pin(pinned, "m.yaml", lambda _: "S-1-5-21-9-9-9-9") == (pinned, ())


def test_a_group_that_the_directory_does_not_have_is_left_as_it_is() -> None:
    assert pin(TEXT, "m.yaml", lambda _: "") == (TEXT, ())


def test_an_id_that_could_be_read_as_something_else_is_quoted() -> None:
    pinned, _ = pin(TEXT, "m.yaml", lambda group: "cn=a, b" if group.name == "sre" else "")
    data = read_yaml(pinned, "m.yaml").data
    assert isinstance(data, dict)
    assert data["groups"]["sre"]["id"] == "cn=a, b"


def test_text_that_is_not_strict_yaml_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        unpinned("groups: &a {x: *a}", "m.yaml")
