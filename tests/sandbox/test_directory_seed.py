"""The seed: strict, complete in its complaints, and a dozen people who each tell something."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from sandbox.ldap_client import NOON

from broker.errors import ConfigurationError
from broker.sandbox.directory import parse_seed, read_seed
from broker.sandbox.directory.planting import plant

SMALL = """\
version: 1
domain: {dns_name: corp.example, netbios_name: CORP, sid: S-1-5-21-1-2-3, controller: dc1,
         lockout_threshold: 3, lockout_minutes: 30, password_days: 90}
units: [Staff]
groups:
  - {name: Team, unit: Staff, rid: 1100}
people:
  - {account: ada, given_name: Ada, surname: L, unit: Staff, rid: 1200, password: ada-demo-password,
     story: A person., groups: [Team]}
"""


def _problems(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_seed(text, name="seed.yaml")
    return caught.value.message


def test_the_control_is_accepted() -> None:
    assert [person.account for person in parse_seed(SMALL, name="seed.yaml").people] == ["ada"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("story: A person.", "story: A person., admin: true", "seed.yaml:9:31: people.0.admin: Extra inputs"),
        ("lockout_threshold: 3", "lockout_threshold: 3, pin: 4", "domain.pin: Extra inputs"),
        ("version: 1", "version: 2", "seed.yaml:1:10: version"),
        ("groups: [Team]", "groups: [Crew]", "there is no group 'Crew'"),
        ("unit: Staff, rid: 1200", "unit: Attic, rid: 1200", "there is no unit 'Attic'"),
        ("rid: 1200", "rid: 1100", "rid 1100 is there 2 times"),
        ("rid: 1200", "rid: 500", "people.0.rid"),
        ("name: Team,", "name: Team, account: ADA,", "account 'ada' is there 2 times"),
        ("name: Team,", "name: Team, account: Domain Users,", "account 'domain users' is there 2 times"),
        ("account: ada", "account: a d a", "people.0.account"),
        ("S-1-5-21-1-2-3", "S-1-5-32-545", "domain.sid"),
        ("story: A person.", "story: A person., story: Another.", "a key that is there twice"),
        ("story: A person.,", "", "people.0.story: Field required"),
        ("units: [Staff]", "units: [Staff", "seed.yaml:5:7: not YAML"),
    ],
)
def test_every_mistake_is_refused_and_located(old: str, new: str, complaint: str) -> None:
    assert old in SMALL
    assert complaint in _problems(SMALL.replace(old, new))


def test_all_mistakes_are_reported_at_once() -> None:
    problems = _problems(SMALL.replace("rid: 1200", "rid: 1").replace("rid: 1100", "rid: 2").replace("CORP", "c"))
    assert problems.count("\n") == 2


def test_a_mistake_never_shows_a_password() -> None:
    assert "ada-demo-password" not in _problems(
        SMALL.replace("password: ada-demo-password", "password: [ada-demo-password]")
    )
    assert "ada-demo-password" not in repr(parse_seed(SMALL, name="seed.yaml"))


def test_an_empty_file_is_refused() -> None:
    assert "seed.yaml" in _problems("")


def test_everybody_in_the_packaged_seed_has_a_story_and_a_demo_password() -> None:
    for person in read_seed().people:
        assert person.story.endswith(".")
        assert "\n" not in person.story
        assert person.password == f"{person.account}-demo-password"


def test_names_are_as_given_or_made_from_the_account() -> None:
    given = "account: ada, upn: a@x.example, common_name: A. L., display_name: Countess, mail: ada@post.example"
    for text, expected in (
        (SMALL, ("Ada L", "Ada L", "ada@corp.example", "ada@corp.example")),
        (SMALL.replace("account: ada", given), ("A. L.", "Countess", "ada@post.example", "a@x.example")),
    ):
        ada = plant(parse_seed(text, name="seed.yaml"), NOON).only("sAMAccountName", b"ada")
        assert ada is not None
        found = [ada.get(name)[0].decode() for name in ("cn", "displayName", "mail", "userPrincipalName")]
        assert tuple(found) == expected


def test_sids_and_guids_stay_the_same_over_restarts() -> None:
    first, second = (
        {e.dn: (e.get("objectSid"), e.get("objectGUID")) for e in plant(read_seed(), NOON)} for _ in range(2)
    )
    assert first == second
    guids = [guid for _, guid in first.values()]
    assert len({guid[0] for guid in guids}) == len(guids)


def test_the_wheel_carries_the_people(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "broker/sandbox/people.yaml" in archive.namelist()
