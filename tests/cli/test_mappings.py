"""`broker mappings pin`: it must work while the document waits for the ids that it writes."""

from pathlib import Path

import pytest
from cli.stage import Place

LEAVERS_ID = "S-1-5-21-1004336348-1177238915-682003330-1105"


def without_ids(place: Place) -> Path:
    """The mapping document as somebody writes it who knows names only."""
    file = place.folder / "mappings.yaml"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("    id: S-1-")), "utf-8")
    return file


def test_pin_writes_the_ids_that_a_deny_asks_for(place: Place) -> None:
    file = without_ids(place)
    refused = place.run("mappings", "validate")
    assert refused.exit_code == 10
    assert "this deny stops when 'leavers' is moved or renamed in the directory" in refused.stderr
    pinned = place.run("mappings", "pin")
    assert pinned.exit_code == 0, pinned.stderr
    assert f"{file}: leavers: id: {LEAVERS_ID}" in pinned.stdout.splitlines()
    assert place.run("mappings", "validate").exit_code == 0
    assert place.run("mappings", "pin").stdout == "", "nothing is left to write"


def test_a_dry_run_writes_nothing(place: Place) -> None:
    file = without_ids(place)
    before = file.read_bytes()
    assert LEAVERS_ID in place.run("mappings", "pin", "--dry-run").stdout
    assert file.read_bytes() == before


@pytest.mark.parametrize("spelled", ["crlf and bom", "folded"])
def test_pin_keeps_the_file_s_own_ways(place: Place, spelled: str) -> None:
    file = without_ids(place)
    text = file.read_text("utf-8")
    if spelled == "folded":
        file.write_text(
            text.replace('dn: "CN=SRE,OU=Groups,DC=corp', "dn: >-\n      CN=SRE,OU=Groups,DC=corp", 1), "utf-8"
        )
        file.write_text(file.read_text("utf-8").replace('DC=example"\n  leavers', "DC=example\n  leavers"), "utf-8")
    else:
        file.write_bytes(("\ufeff" + text).replace("\n", "\r\n").encode())
    assert place.run("mappings", "pin").exit_code == 0
    assert place.run("mappings", "validate").exit_code == 0
    if spelled != "folded":
        assert file.read_bytes().startswith(b"\xef\xbb\xbf# yaml-language-server")
        assert file.read_bytes().count(b"\r\n") == file.read_bytes().count(b"\n") == text.count("\n") + 2


def test_pin_leaves_a_file_alone_where_no_place_is_sure(place: Place) -> None:
    file = without_ids(place)
    text = file.read_text("utf-8")
    dn = '"CN=SRE,OU=Groups,DC=corp,DC=example"'
    file.write_text(
        text.replace(f"provider: corp-ad\n    dn: {dn}", f"? provider\n    : corp-ad\n    ? dn\n    : {dn}")
    )
    before = file.read_bytes()
    refused = place.run("mappings", "pin")
    assert (refused.exit_code, refused.stdout) == (10, "")
    assert "there is no sure place for the ids; write them by hand: sre: S-1-5-21-" in refused.stderr
    assert file.read_bytes() == before


def test_pin_names_the_groups_that_have_no_id(place: Place) -> None:
    file = without_ids(place)
    file.write_text(file.read_text("utf-8").replace("CN=SRE,", "CN=Gone,"), "utf-8")
    result = place.run("mappings", "pin")
    assert result.exit_code == 1
    assert f"{file}: sre: the directory has no security group CN=Gone,OU=Groups" in result.stderr
    assert LEAVERS_ID in result.stdout


def test_a_file_that_broke_off_is_not_valid(place: Place) -> None:
    file = place.folder / "mappings.yaml"
    file.write_bytes(file.read_bytes().partition(b"denies:")[0])
    result = place.run("mappings", "validate")
    assert result.exit_code == 10
    assert "the file does not end in a line `...`" in result.stderr
