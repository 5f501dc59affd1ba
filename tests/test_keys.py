"""The keyring: one purpose a key, rotation with overlap, a file that nobody else can read, and no secret ever told."""

import json
import os
import stat
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.errors import ConfigurationError
from broker.keys import Keyring, KeyringError, PublicKeyring, Purpose, Signature, framed
from broker.keys.entry import Entry
from broker.keys.file import objection

NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
SYMMETRIC = [purpose for purpose in Purpose if purpose is not Purpose.AUDIT]
Edit = Callable[[dict[str, object]], None]


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.generate(now=NOW)


@pytest.fixture
def file(tmp_path: Path, keyring: Keyring) -> Path:
    keyring.save(tmp_path / "keys.json")
    return tmp_path / "keys.json"


def rewritten(file: Path, edit: Edit) -> Path:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))
    return file


def refused(file: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Keyring.load(file)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert all(problem.where.startswith(str(file)) and problem.remedy for problem in caught.value.problems)
    return told


# The file


def test_a_keyring_comes_back_from_its_file_whole(file: Path, keyring: Keyring) -> None:
    again = Keyring.load(file)
    assert again.listing() == keyring.listing()
    assert again.secret_text(Purpose.CSRF) == keyring.secret_text(Purpose.CSRF)
    assert not again.is_demo


def test_a_demo_keyring_stays_one(tmp_path: Path) -> None:
    Keyring.generate(now=NOW, demo=True).rotate(Purpose.SEED, now=NOW).save(tmp_path / "keys.json")
    assert Keyring.load(tmp_path / "keys.json").is_demo


def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, keyring: Keyring) -> None:
    old = os.umask(0)
    try:
        keyring.save(tmp_path / "keys.json")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_saving_through_a_symbolic_link_keeps_the_link(tmp_path: Path, file: Path, keyring: Keyring) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(file)
    keyring.rotate(Purpose.SEED, now=NOW).save(link)
    assert link.is_symlink()
    assert len(Keyring.load(file).listing()) == len(Purpose) + 1


def test_a_keyring_that_cannot_be_written_says_so(tmp_path: Path, keyring: Keyring) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        keyring.save(tmp_path / "nowhere" / "keys.json")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_an_owner_only_file_is_read(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert Keyring.load(file).listing()


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o440, 0o644, 0o610])
def test_a_file_that_others_can_read_or_change_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert "chmod 600" in refused(file)


def as_stat(mode: int, *, user: int, group: int = 0) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, user, group, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("owner", "link_owner", "allowed"),
    [(1000, 1000, True), (0, 0, True), (0, 1000, True), (1001, 1000, False), (1000, 1001, False)],
)
def test_the_file_and_its_link_must_belong_to_root_or_to_the_broker(
    owner: int, link_owner: int, *, allowed: bool
) -> None:
    info = as_stat(stat.S_IFREG | 0o600, user=owner)
    link = as_stat(stat.S_IFLNK | 0o777, user=link_owner)
    assert (objection(info, link=link, user=1000, systemd=False) is None) is allowed


@pytest.mark.parametrize(
    ("mode", "owner", "group", "systemd", "allowed"),
    [
        (0o440, 0, 0, True, True),
        (0o440, 0, 0, False, False),
        (0o440, 0, 50, True, False),
        (0o440, 1000, 0, True, False),
        (0o460, 0, 0, True, False),
        (0o444, 0, 0, True, False),
    ],
)
def test_group_reading_is_allowed_for_systemd_credentials_alone(
    mode: int, owner: int, group: int, *, systemd: bool, allowed: bool
) -> None:
    info = as_stat(stat.S_IFREG | mode, user=owner, group=group)
    assert (objection(info, link=info, user=1000, systemd=systemd) is None) is allowed


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "not a regular file" in refused(tmp_path / "fifo")
    (tmp_path / "folder").mkdir(0o700)
    assert "not a regular file" in refused(tmp_path / "folder")
    assert "cannot be read" in refused(tmp_path / "nothing")


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(b" " * (256 * 1024 + 1))
    (tmp_path / "keys.json").chmod(0o600)
    assert "larger" in refused(tmp_path / "keys.json")


def key(content: dict[str, object], index: int = 0) -> dict[str, object]:
    found: dict[str, object] = content["keys"][index]  # type: ignore[index]  # JSON
    return found


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c.update(version=2),
        lambda c: c.update(comment="hello"),
        lambda c: c.update(keys="none"),
        lambda c: key(c).update(purpose="everything"),
        lambda c: key(c).update(note="hello"),
        lambda c: key(c).update(created_at="2026-11-23T11:00:00"),
        lambda c: key(c).update(id="../x"),
        lambda c: key(c).pop("secret"),
        lambda c: key(c).update(public="A" * 43),
        lambda c: key(c).update(public=key(c).pop("secret")),
        lambda c: c["keys"].append(dict(key(c))),
        lambda c: key(c, 0).update(id=key(c, 1)["id"]),
        lambda c: key(c, 0).update(secret=key(c, 1)["secret"]),
    ],
)
def test_a_keyring_that_is_not_exactly_right_is_refused(file: Path, edit: Edit) -> None:
    assert Keyring.load(file).listing()
    refused(rewritten(file, edit))


def test_a_name_that_stands_twice_is_refused(file: Path) -> None:
    text = file.read_text()
    file.write_text(text.replace('"demo": false', '"demo": true, "demo": false'))
    assert "twice" in refused(file)


def test_no_error_tells_the_material_that_it_complains_about(file: Path) -> None:
    canary = "CANARY-" + "x" * 30
    told = refused(rewritten(file, lambda c: key(c).update(secret=canary)))
    assert "keys.0.secret" in told
    assert canary not in told
    file.write_text(f'{{"keys": [{{"secret": "{canary}", ')
    assert canary not in refused(file)


# No material anywhere


def materials(file: Path) -> list[str]:
    return [entry["secret"] for entry in json.loads(file.read_text())["keys"]]


def test_material_is_in_no_repr_listing_or_public_file(file: Path) -> None:
    keyring = Keyring.load(file)
    told = " ".join([repr(keyring), str(keyring), repr(keyring.listing()), keyring.public_keys().to_text()])
    entry = Entry.new(Purpose.SEED, now=NOW, random=lambda count: b"\x01" * count)
    told += repr(entry) + str(entry)
    assert keyring.listing()[0].id in told
    assert len(materials(file)) == len(Purpose)
    assert not any(secret in told for secret in [*materials(file), entry.secret])


# Sealing


@pytest.mark.parametrize("purpose", SYMMETRIC)
def test_what_was_sealed_opens_with_the_same_purpose_and_associated_data(keyring: Keyring, purpose: Purpose) -> None:
    sealed = keyring.seal(purpose, b"seed", associated=["p-ada", "totp"])
    assert keyring.open(purpose, sealed, associated=["p-ada", "totp"]) == b"seed"
    assert b"seed" not in sealed[2 + sealed[1] :]


@pytest.mark.parametrize(
    "associated", [["p-bob", "totp"], ["p-ada"], [], ["p-ada", "totp", ""], ["p-adat", "otp"], ["totp", "p-ada"]]
)
def test_what_was_sealed_opens_with_no_other_associated_data(keyring: Keyring, associated: list[str]) -> None:
    sealed = keyring.seal(Purpose.SEED, b"seed", associated=["p-ada", "totp"])
    with pytest.raises(KeyringError):
        keyring.open(Purpose.SEED, sealed, associated=associated)


def test_what_was_sealed_opens_for_no_other_purpose(keyring: Keyring) -> None:
    sealed = keyring.seal(Purpose.SEED, b"seed", associated=[])
    with pytest.raises(KeyringError):
        keyring.open(Purpose.SNAPSHOT, sealed, associated=[])


def test_what_was_sealed_opens_with_no_other_keyring(keyring: Keyring) -> None:
    sealed = Keyring.generate(now=NOW).seal(Purpose.SEED, b"seed", associated=[])
    with pytest.raises(KeyringError, match="does not have"):
        keyring.open(Purpose.SEED, sealed, associated=[])


def test_a_key_of_the_same_name_but_other_material_opens_nothing(file: Path) -> None:
    sealed = Keyring.load(file).seal(Purpose.SEED, b"seed", associated=[])
    other = rewritten(file, lambda c: key(c).update(secret="B" * 42 + "A"))
    with pytest.raises(KeyringError, match="altered"):
        Keyring.load(other).open(Purpose.SEED, sealed, associated=[])


def test_every_changed_or_missing_byte_is_noticed(keyring: Keyring) -> None:
    sealed = keyring.seal(Purpose.SEED, b"seed", associated=[])
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        for broken in (bytes(changed), sealed[:place]):
            with pytest.raises(KeyringError):
                keyring.open(Purpose.SEED, broken, associated=[])


def test_the_same_text_is_never_sealed_twice_alike(keyring: Keyring) -> None:
    assert len({keyring.seal(Purpose.SEED, b"seed", associated=[]) for _ in range(50)}) == 50


# Rotation


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens(keyring: Keyring) -> None:
    old = keyring.seal(Purpose.SEED, b"old", associated=[])
    rotated = keyring.rotate(Purpose.SEED, now=NOW)
    new = rotated.seal(Purpose.SEED, b"new", associated=[])
    assert rotated.open(Purpose.SEED, old, associated=[]) == b"old"
    assert rotated.open(Purpose.SEED, new, associated=[]) == b"new"
    with pytest.raises(KeyringError):
        keyring.open(Purpose.SEED, new, associated=[])


def test_after_a_rotation_macs_match_what_was_made_before(keyring: Keyring) -> None:
    before = keyring.mac(Purpose.SEED, b"data")
    rotated = keyring.rotate(Purpose.SEED, now=NOW)
    assert rotated.mac(Purpose.SEED, b"data") != before
    assert rotated.macs(Purpose.SEED, b"data") == [rotated.mac(Purpose.SEED, b"data"), before]


def test_a_rotation_touches_its_own_purpose_only(keyring: Keyring) -> None:
    rotated = keyring.rotate(Purpose.SEED, now=NOW)
    assert rotated.secret_text(Purpose.CSRF) == keyring.secret_text(Purpose.CSRF)
    assert [row.current for row in rotated.listing() if row.purpose is Purpose.SEED] == [False, True]


def test_a_retired_key_opens_nothing(keyring: Keyring) -> None:
    sealed = keyring.seal(Purpose.SEED, b"seed", associated=[])
    rotated = keyring.rotate(Purpose.SEED, now=NOW)
    retired = rotated.retire(keyring.listing()[0].id)
    with pytest.raises(KeyringError):
        retired.open(Purpose.SEED, sealed, associated=[])
    assert len(retired.macs(Purpose.SEED, b"data")) == 1


def test_a_retired_audit_key_verifies_and_no_longer_signs(tmp_path: Path, keyring: Keyring) -> None:
    signature = keyring.sign(Purpose.AUDIT, b"head")
    retired = keyring.rotate(Purpose.AUDIT, now=NOW).retire(signature.key_id)
    retired.save(tmp_path / "keys.json")
    again = Keyring.load(tmp_path / "keys.json")
    assert again.verify(Purpose.AUDIT, b"head", signature)
    assert [row.retired for row in again.listing() if row.purpose is Purpose.AUDIT] == [True, False]
    assert again.sign(Purpose.AUDIT, b"head").key_id != signature.key_id
    assert len(
        [secret for secret in json.loads((tmp_path / "keys.json").read_text())["keys"] if "secret" in secret]
    ) == len(Purpose)


def test_neither_the_current_key_nor_an_unknown_one_can_be_retired(keyring: Keyring) -> None:
    for key_id in (keyring.listing()[0].id, "seed-0000000000000000"):
        with pytest.raises(KeyringError, match="no such key"):
            keyring.retire(key_id)


def test_a_purpose_without_a_key_is_named_and_can_be_added(file: Path) -> None:
    lacking = Keyring.load(rewritten(file, lambda c: c["keys"].pop(0)))  # type: ignore[attr-defined]  # JSON
    assert lacking.missing == (Purpose.SEED,)
    with pytest.raises(KeyringError) as caught:
        lacking.seal(Purpose.SEED, b"", associated=[])
    assert "keys rotate seed" in caught.value.remedy
    assert lacking.rotate(Purpose.SEED, now=NOW).missing == ()


# Signing


def test_a_signature_holds_for_its_data_and_its_key_alone(keyring: Keyring) -> None:
    signature = keyring.sign(Purpose.AUDIT, b"head")
    other = Keyring.generate(now=NOW)
    forged = Signature(key_id=signature.key_id, value=other.sign(Purpose.AUDIT, b"head").value)
    assert keyring.verify(Purpose.AUDIT, b"head", signature)
    assert not keyring.verify(Purpose.AUDIT, b"tail", signature)
    assert not keyring.verify(Purpose.AUDIT, b"head", forged)
    assert not keyring.verify(Purpose.AUDIT, b"head", Signature(key_id=signature.key_id, value=b""))
    assert not keyring.verify(Purpose.SEED, b"head", signature)
    assert not other.verify(Purpose.AUDIT, b"head", signature)


def test_signatures_hold_after_a_rotation(keyring: Keyring) -> None:
    signature = keyring.sign(Purpose.AUDIT, b"head")
    assert keyring.rotate(Purpose.AUDIT, now=NOW).verify(Purpose.AUDIT, b"head", signature)


def test_an_auditor_verifies_without_any_secret(tmp_path: Path, keyring: Keyring) -> None:
    signature = keyring.sign(Purpose.AUDIT, b"head")
    path = tmp_path / "audit-keys.json"
    path.write_text(keyring.public_keys().to_text())
    auditor = PublicKeyring.load(path)
    assert auditor.ids == (signature.key_id,)
    assert auditor.verify(Purpose.AUDIT, b"head", signature)
    assert not auditor.verify(Purpose.AUDIT, b"tail", signature)
    assert '"secret"' not in path.read_text()


def test_an_auditors_file_with_a_secret_in_it_is_refused(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="secret keys"):
        PublicKeyring.load(file)


@pytest.mark.parametrize("purpose", SYMMETRIC)
def test_only_the_audit_key_signs(keyring: Keyring, purpose: Purpose) -> None:
    with pytest.raises(KeyringError):
        keyring.sign(purpose, b"data")


def test_the_audit_key_does_nothing_but_sign(keyring: Keyring) -> None:
    uses: list[Callable[[], object]] = [
        lambda: keyring.seal(Purpose.AUDIT, b"", associated=[]),
        lambda: keyring.open(Purpose.AUDIT, b"", associated=[]),
        lambda: keyring.mac(Purpose.AUDIT, b""),
        lambda: keyring.secret_text(Purpose.AUDIT),
    ]
    for use in uses:
        with pytest.raises(KeyringError, match="nothing else"):
            use()


# Derivation


def test_purposes_and_uses_share_no_key_even_from_the_same_random_bytes() -> None:
    keyring = Keyring.generate(now=NOW, random=bytes)
    derived = [keyring.mac(purpose, b"") for purpose in SYMMETRIC]
    derived += [keyring.secret_text(purpose).encode() for purpose in SYMMETRIC]
    assert len(set(derived)) == 2 * len(SYMMETRIC)


def test_parts_that_differ_are_framed_differently() -> None:
    lists = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"], []]
    assert len({framed(parts) for parts in lists}) == len(lists)


def test_what_older_releases_wrote_still_opens(tmp_path: Path) -> None:
    """Known answers: a change of the file, the derivation or the sealed form would lock everybody out."""
    (tmp_path / "keys.json").write_text(KNOWN_FILE)
    (tmp_path / "keys.json").chmod(0o600)
    keyring = Keyring.load(tmp_path / "keys.json")
    assert keyring.open(Purpose.SEED, bytes.fromhex(KNOWN_SEALED), associated=["p-ada", "totp"]) == b"known"
    assert keyring.mac(Purpose.SEED, b"known").hex() == KNOWN_MAC
    assert keyring.sign(Purpose.AUDIT, b"known").value.hex() == KNOWN_SIGNATURE
    assert keyring.secret_text(Purpose.CSRF) == KNOWN_TEXT


KNOWN_FILE = """{
 "version": 1,
 "demo": false,
 "keys": [
  {
   "id": "seed-0101010101010101",
   "purpose": "seed",
   "created_at": "2026-11-23T11:00:00Z",
   "secret": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
  },
  {
   "id": "audit-0303030303030303",
   "purpose": "audit",
   "created_at": "2026-11-23T11:00:00Z",
   "secret": "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"
  },
  {
   "id": "browser-0505050505050505",
   "purpose": "browser",
   "created_at": "2026-11-23T11:00:00Z",
   "secret": "BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY"
  },
  {
   "id": "csrf-0707070707070707",
   "purpose": "csrf",
   "created_at": "2026-11-23T11:00:00Z",
   "secret": "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg"
  },
  {
   "id": "snapshot-0909090909090909",
   "purpose": "snapshot",
   "created_at": "2026-11-23T11:00:00Z",
   "secret": "CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo"
  }
 ]
}"""
KNOWN_SEALED = (
    "0115736565642d30313031303130313031303130313031dcf0591cbe69a31ab1964b109328049a51f1da94ab87bf7286d7c5d2d71313c21a"
)
KNOWN_MAC = "e0498ac7fb9c3832c3f16420f3a09a49ecec8abeb736ff7a67762af8a37ab79d"
KNOWN_SIGNATURE = (
    "0085c0e7f778c89eabf66247e67bb201e40626abbde1ee566a69538ecafe6a36b8b4f740f5b6134d7f6c9c10e66093479d9b"
    "372fbca6e7b21f21ab3f0998030d"
)
KNOWN_TEXT = "dsbKrdGas5RJzrruU7Z1WzHxXq6zfIMIDVuif0YtuO8"
