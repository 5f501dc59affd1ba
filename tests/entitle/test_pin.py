"""`mappings pin` adds ids and changes nothing else."""

from typing import Any

import pytest

from broker.entitle.pin import pin, unpinned
from broker.entitle.source import BOM, read_yaml
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
...
"""
IDS = {"CN=SRE,OU=Größe": "S-1-5-21-1-2-3-1104", "CN=Block,DC=x": "S-1-5-21-1-2-3-7"}


def test_only_groups_with_a_dn_and_without_an_id_are_unpinned() -> None:
    assert [group.name for group in unpinned(TEXT, "m.yaml")] == ["sre", "block"]


def test_ids_are_added_and_nothing_else_is_changed() -> None:
    pinned, written = pin(TEXT, "m.yaml", lambda group: IDS.get(group.dn, ""))
    assert written == (("sre", "S-1-5-21-1-2-3-1104"), ("block", "S-1-5-21-1-2-3-7"))
    assert pinned.replace("id: S-1-5-21-1-2-3-1104, ", "").replace("id: S-1-5-21-1-2-3-7\n    ", "") == TEXT
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


def ids_in(text: str) -> dict[str, str]:
    data: Any = read_yaml(text, "m.yaml", end_mark=True).data
    return {name: own["id"] for name, own in data["groups"].items() if "id" in own}


@pytest.mark.parametrize(
    "groups",
    [
        "groups:\n  sre:\n    provider: corp-ad\n    dn: >-\n      CN=SRE,\n      DC=x\n",
        "groups:\n  sre:\n    dn: |-\n      CN=SRE, DC=x\n    provider: corp-ad\n",
        "groups:\n  sre: {\n    provider: corp-ad,\n    dn: 'CN=SRE, DC=x',\n  }\n",
        "groups: {sre: {dn: 'CN=SRE, DC=x', provider: corp-ad}}\n",
        'groups: {"sre": {"dn":"CN=SRE, DC=x","provider":"corp-ad"}}\n',
        "groups:\n  sre:\n      # why\n      dn: CN=SRE, DC=x # what\n\n      provider: corp-ad\n",
    ],
    ids=["folded", "literal", "flow over lines", "flow", "JSON", "comments"],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", ["", BOM], ids=["", "BOM"])
def test_an_id_finds_its_place_however_the_dn_is_written(groups: str, line_end: str, mark: str) -> None:
    text = mark + f"version: 1\n{groups}# é\n...\n".replace("\n", line_end)
    pinned, written = pin(text, "m.yaml", lambda group: "S-1-5-21-1-2-3-4" if group.dn == "CN=SRE, DC=x" else "")
    assert written == (("sre", "S-1-5-21-1-2-3-4"),)
    assert ids_in(pinned) == dict(written)
    assert pinned.startswith(mark)
    assert pinned.count("\n") == pinned.count(line_end)
    assert len(pinned) == len(text) + pinned.index("dn" if '"dn"' not in text else '"dn"') - pinned.index("id: ")


def test_where_no_place_is_sure_nothing_is_written_and_the_ids_are_told() -> None:
    text = "version: 1\ngroups:\n  sre:\n    ? dn\n    : CN=SRE,DC=x\n    ? provider\n    : corp-ad\n...\n"
    with pytest.raises(ConfigurationError, match="write them by hand: sre: S-1-5-21-1-2-3-4"):
        pin(text, "m.yaml", lambda _: "S-1-5-21-1-2-3-4")


def test_an_id_that_yaml_would_read_as_something_else_is_not_written() -> None:
    with pytest.raises(ConfigurationError, match="there is no sure place for the ids"):
        pin(TEXT, "m.yaml", lambda group: "\U0001f642" if group.name == "sre" else "")


def test_a_file_that_broke_off_is_not_pinned() -> None:
    with pytest.raises(ConfigurationError, match="does not end in a line"):
        pin(TEXT.removesuffix("...\n"), "m.yaml", lambda _: "")


def test_text_that_is_not_strict_yaml_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        unpinned("groups: &a {x: *a}", "m.yaml")
