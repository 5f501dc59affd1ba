"""Searches: filters, scopes, nested groups, pages and referrals, as measured on Samba AD DC."""

import re
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
from sandbox.ldap_client import DOMAIN_SID, NOON, SUFFIX, Found, Hands, connection, read_entry, search, service

from broker.sandbox.directory import Limits, SandboxDirectory, read_seed
from broker.sandbox.directory.values import filetime, sid_bytes
from broker.sandbox.pki import SandboxPki

STAFF, GROUPS = f"OU=Staff,{SUFFIX}", f"OU=Groups,{SUFFIX}"
ADA, ALAN, CARL, MIA = (f"CN={name},{STAFF}" for name in ("Ada Lovelace", "Alan Turing", "Carl Gauss", "Mia Mailonly"))
JUERGEN = f"CN=Müller\\, Jürgen,{STAFF}"
IN_CHAIN, BIT_AND, BIT_OR = (f"1.2.840.113556.1.4.{number}" for number in (1941, 803, 804))
LIMITS = Limits(page_entries=30, open_pages=2, filter_depth=8, filter_items=40)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxDirectory]:
    pki = SandboxPki(tmp_path_factory.mktemp("pki"))
    with SandboxDirectory(read_seed(), pki=pki, clock=Hands(), limits=LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def client(directory: SandboxDirectory) -> Iterator[ldap3.Connection]:
    with service(directory) as bound:
        yield bound


def _accounts(found: Found) -> set[str]:
    assert found.code == 0, found
    return {entry["sAMAccountName"][0].decode() for entry in found.entries.values()}


def _rids(client: ldap3.Connection, dn: str) -> set[int]:
    sids = read_entry(client, dn, "tokenGroups")["tokenGroups"]
    return {int.from_bytes(sid[-4:], "little") for sid in sids}


def _escaped(octets: bytes) -> str:
    return "".join(f"\\{octet:02x}" for octet in octets)


SRES = {"grace", "olga", "leo", "edith", "dennis", "nina", "peter", "lucy", "hana", "walter", "sofia"}
EVERYBODY = {person.account for person in read_seed().people}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(sAMAccountName=ada)", {"ada"}),
        ("(SAMACCOUNTNAME=ADA)", {"ada"}),
        ("(sAMAccountName= ada )", {"ada"}),
        ("(sAMAccountName=ada\\00evil)", {"ada"}),
        ("(sAMAccountName=nobody)", set()),
        ("(&(objectClass=user)(|(sAMAccountName=ada)(sAMAccountName=alan)))", {"ada", "alan"}),
        ("(&(sAMAccountName=a*)(!(sAMAccountName=ada)))", {"alan"}),
        ("(sAMAccountName=a*)", {"ada", "alan"}),
        ("(sAMAccountName=*an)", {"alan"}),
        ("(displayName=*love*)", {"ada"}),
        ("(displayName=A*L*e)", {"ada"}),
        ("(displayName=a*v*v*)", set()),
        ("(displayName=ada*lovelace*e)", set()),
        ("(displayName~=ada lovelace)", {"ada"}),
        ("(sAMAccountName:=ada)", {"ada"}),
        ("(objectCategory=person)", EVERYBODY),
        ("(objectCategory=user)", EVERYBODY),
        ("(objectCategory=group)", set()),
        (f"(objectCategory=CN=Person,CN=Schema,CN=Configuration,{SUFFIX})", EVERYBODY),
        ("(logonHours=*)", {"hana"}),
        (f"(userAccountControl:{BIT_AND}:=2)", {"dennis"}),
        (f"(userAccountControl:{BIT_AND}:=514)", {"dennis"}),
        (f"(userAccountControl:{BIT_OR}:=65538)", {"dennis", "svc-broker"}),
        (f"(userAccountControl:{BIT_AND}:=x)", set()),
        (f"(displayName:{BIT_AND}:=2)", set()),
        ("(badPwdCount>=1)", {"lucy"}),
        ("(badPwdCount>=9)", {"lucy"}),
        ("(badPwdCount>=11)", set()),
        ("(&(objectClass=user)(!(badPwdCount<=9)))", {"lucy"}),
        ("(pwdLastSet=0)", {"nina"}),
        (f"(&(accountExpires>=1)(accountExpires<={filetime(NOON)}))", {"edith"}),
        ("(accountExpires=0)", {"grace"}),
        ("(badPwdCount>=x)", set()),
        ("(sAMAccountName>=walter)", {"walter"}),
        (f"(objectSid={DOMAIN_SID}-1601)", {"ada"}),
        (f"(objectSid={_escaped(sid_bytes(DOMAIN_SID + '-1601'))})", {"ada"}),
        ("(objectSid=S-1-nonsense)", set()),
        ("(objectGUID=nonsense)", set()),
        (f"(memberOf=CN=SRE,{GROUPS})", SRES),
        (f"(memberOf=cn=ops\\5c2C night shift, ou=groups,{SUFFIX})", {"jmueller"}),
        (f"(memberOf=CN=\\5c Space Cadets,{GROUPS})", {"jmueller"}),
        (f"(memberOf=cn=ZÜRICH,{GROUPS})", {"jmueller"}),
        (f"(memberOf=<SID={DOMAIN_SID}-1113>)", {"ada"}),
        ("(memberOf=<SID=S-1-5-21-9>)", set()),
        ("(memberOf=nonsense)", set()),
        ("(memberOf=CN=*)", set()),
        (f"(memberOf:{IN_CHAIN}:=CN=Team-payments,OU=Teams,{SUFFIX})", {"ada"}),
        (f"(memberOf:{IN_CHAIN}:=CN=platform-core,{GROUPS})", {"carl"}),
        (f"(memberOf:{IN_CHAIN}:=CN=newsletter-editors,{GROUPS})", {"alan"}),
        (f"(memberOf:{IN_CHAIN}:=nonsense)", set()),
        (f"(memberOf:{IN_CHAIN}:=CN=nobody,{GROUPS})", set()),
        (f"(sAMAccountName:{IN_CHAIN}:={ADA})", set()),
        ("(sAMAccountName:1.2.3.4:=ada)", set()),
        ("(nosuchattribute=*)", set()),
        ("(tokenGroups=*)", set()),
        ("(distinguishedName=cn=ada  lovelace, ou=STAFF, dc=corp,dc=example)", {"ada"}),
    ],
)  # fmt: skip
def test_filters(client: ldap3.Connection, condition: str, expected: set[str]) -> None:
    people = f"(&(objectClass=user){condition})"
    assert _accounts(search(client, people, attributes=["sAMAccountName"])) == expected


@pytest.mark.parametrize("nonsense", ["nosuchattribute=x", "sAMAccountName:1.2.3.4:=ada", "memberOf=nonsense"])
def test_the_negation_of_what_cannot_be_compared_matches(client: ldap3.Connection, nonsense: str) -> None:
    found = search(client, f"(&(objectClass=user)(!({nonsense})))", attributes=["sAMAccountName"])
    assert _accounts(found) == EVERYBODY


def test_an_object_by_its_guid(client: ldap3.Connection) -> None:
    (guid,) = read_entry(client, ADA, "objectGUID")["objectGUID"]
    assert set(search(client, f"(objectGUID={_escaped(guid)})").entries) == {ADA}
    by_text = "-".join((guid[3::-1].hex(), guid[5:3:-1].hex(), guid[7:5:-1].hex(), guid[8:10].hex(), guid[10:].hex()))
    assert set(search(client, f"(objectGUID={by_text})").entries) == {ADA}
    for base in (f"<GUID={by_text}>", f"<GUID={guid.hex()}>"):
        assert set(search(client, "(objectClass=*)", base, ldap3.BASE).entries) == {ADA}


def test_an_object_by_its_sid_as_the_base(client: ldap3.Connection) -> None:
    for sid in (f"{DOMAIN_SID}-1104", sid_bytes(f"{DOMAIN_SID}-1104").hex()):
        assert set(search(client, "(objectClass=*)", f"<SID={sid}>", ldap3.BASE).entries) == {f"CN=SRE,{GROUPS}"}
    assert search(client, "(objectClass=*)", f"<SID={DOMAIN_SID}-9999>", ldap3.BASE).code == 32
    assert search(client, "(objectClass=*)", "<SID=zzz>", ldap3.BASE).code == 34
    assert search(client, "(objectClass=*)", "<GUID=zzz>", ldap3.BASE).code == 34


def test_scopes(client: ldap3.Connection) -> None:
    units = {"OU=Staff", "OU=Service Accounts", "OU=Groups", "OU=Teams", "OU=AWS"}
    assert search(client, "(objectClass=*)", scope=ldap3.LEVEL).names == {*units, "CN=Users", "CN=Builtin"}
    assert search(client, "(objectClass=*)", scope=ldap3.BASE).names == {"DC=corp"}
    assert search(client, "(objectClass=*)", f"OU=Teams,{SUFFIX}").names == {
        "OU=Teams",
        "CN=Team-payments",
        "CN=Team-platform",
    }
    assert search(client, "(objectClass=*)", "ou=teams , dc=CORP,dc=example", ldap3.LEVEL).names == {
        "CN=Team-payments",
        "CN=Team-platform",
    }
    assert search(client, "(objectClass=*)", ADA, ldap3.LEVEL).names == set()


def test_token_groups_are_nested_security_groups_with_the_primary_group_and_builtin_users(
    client: ldap3.Connection,
) -> None:
    assert _rids(client, ADA) == {1113, 1112, 1109, 513, 545}
    assert sid_bytes("S-1-5-32-545") in read_entry(client, ADA, "tokenGroups")["tokenGroups"]


def test_token_groups_of_a_circle_end(client: ldap3.Connection) -> None:
    assert _rids(client, CARL) == {1114, 1115, 1110, 513, 545}


def test_token_groups_leave_out_mailing_lists_and_what_only_they_lead_to(client: ldap3.Connection) -> None:
    assert _rids(client, MIA) == {513, 545}
    assert _rids(client, ALAN) == {1107, 513, 545}
    assert f"CN=AWS-payments-dev-read-only,OU=AWS,{SUFFIX}".encode() in read_entry(client, MIA, "memberOf")["memberOf"]


@pytest.mark.parametrize("scope", [ldap3.SUBTREE, ldap3.LEVEL])
def test_token_groups_can_be_read_at_the_base_only(client: ldap3.Connection, scope: str) -> None:
    found = search(client, "(sAMAccountName=ada)", STAFF, scope, ["tokenGroups"])
    assert found.code == 1
    assert not found.entries
    assert search(client, "(sAMAccountName=nobody)", STAFF, scope, ["tokenGroups"]).code == 0


def test_token_groups_come_only_when_asked_for_by_name(client: ldap3.Connection) -> None:
    assert "tokenGroups" not in read_entry(client, ADA, "*", "+")
    assert "tokenGroups" not in read_entry(client, STAFF, "tokenGroups")


def test_who_is_in_a_group_by_chain(client: ldap3.Connection) -> None:
    assert search(client, f"(member:{IN_CHAIN}:={ADA})").names == {
        "CN=payments-api",
        "CN=payments-developers",
        "CN=Team-payments",
    }
    assert search(client, f"(member:{IN_CHAIN}:={CARL})").names == {
        "CN=platform-tools",
        "CN=platform-core",
        "CN=Team-platform",
    }
    assert search(client, f"(member:{IN_CHAIN}:=CN=platform-core,{GROUPS})").names == {
        "CN=platform-tools",
        "CN=platform-core",
        "CN=Team-platform",
    }


def test_mailing_lists_have_no_security_bit(client: ldap3.Connection) -> None:
    lists = search(client, f"(&(objectClass=group)(!(groupType:{BIT_AND}:=2147483648)))")
    assert lists.names == {"CN=AWS-payments-dev-read-only", "CN=newsletter"}
    (value,) = read_entry(client, f"CN=SRE,{GROUPS}", "groupType")["groupType"]
    assert value == b"-2147483646"


def test_membership_shows_on_both_sides(client: ldap3.Connection) -> None:
    for dn in (ADA, JUERGEN):
        for group in read_entry(client, dn, "memberOf")["memberOf"]:
            assert dn.encode() in read_entry(client, group.decode(), "member")["member"]
    assert set(read_entry(client, JUERGEN, "memberOf")["memberOf"]) == {
        f"CN={name},{GROUPS}".encode() for name in ("Ops\\, Night Shift", "\\ Space Cadets", "Zürich")
    }


def test_a_person_as_ad_shows_one(client: ldap3.Connection) -> None:
    entry = read_entry(client, ADA, "*")
    assert entry.pop("objectGUID")[0]
    assert entry == {
        "objectClass": [b"top", b"person", b"organizationalPerson", b"user"],
        "objectCategory": [f"CN=Person,CN=Schema,CN=Configuration,{SUFFIX}".encode()],
        "cn": [b"Ada Lovelace"],
        "name": [b"Ada Lovelace"],
        "displayName": [b"Ada Lovelace"],
        "givenName": [b"Ada"],
        "sn": [b"Lovelace"],
        "description": [b"A payments developer; Team-payments reaches her through two nested groups."],
        "distinguishedName": [ADA.encode()],
        "instanceType": [b"4"],
        "whenCreated": [b"20261201120000.0Z"],
        "mail": [b"ada@corp.example"],
        "sAMAccountName": [b"ada"],
        "sAMAccountType": [b"805306368"],
        "userPrincipalName": [b"ada@corp.example"],
        "objectSid": [sid_bytes(f"{DOMAIN_SID}-1601")],
        "primaryGroupID": [b"513"],
        "userAccountControl": [b"512"],
        "accountExpires": [b"9223372036854775807"],
        "pwdLastSet": [b"%d" % (filetime(NOON) - 864_000_000_000)],
        "badPwdCount": [b"0"],
        "badPasswordTime": [b"0"],
        "memberOf": [f"CN=payments-api,{GROUPS}".encode()],
    }


def test_the_domain_shows_its_policy(client: ldap3.Connection) -> None:
    entry = read_entry(client, SUFFIX, "*")
    assert entry["objectSid"] == [sid_bytes(DOMAIN_SID)]
    assert entry["lockoutThreshold"] == [b"10"]
    assert entry["lockoutDuration"] == entry["lockOutObservationWindow"] == [b"-18000000000"]
    assert entry["maxPwdAge"] == [b"-77760000000000"]


def test_computed_account_state(client: ldap3.Connection) -> None:
    bits, until = "msDS-User-Account-Control-Computed", "msDS-UserPasswordExpiryTimeComputed"
    day = 864_000_000_000
    for person, expected in {
        "Ada Lovelace": (0, filetime(NOON) + 89 * day),
        "Lucy Locked": (0x10, filetime(NOON) + 89 * day),
        "Nina Newpassword": (0x800000, 0),
        "Peter Past": (0x800000, filetime(NOON) - 310 * day),
        "Dennis Disabled": (0, filetime(NOON) + 89 * day),
    }.items():
        entry = read_entry(client, f"CN={person},{STAFF}", bits, until)
        assert entry == {bits: [b"%d" % expected[0]], until: [b"%d" % expected[1]]}, person
    service_account = read_entry(client, f"CN=svc-broker,OU=Service Accounts,{SUFFIX}", bits, until)
    assert service_account == {bits: [b"0"], until: [b"9223372036854775807"]}


def test_a_canonical_name(client: ldap3.Connection) -> None:
    assert read_entry(client, JUERGEN, "canonicalName") == {
        "canonicalName": ["corp.example/Staff/Müller, Jürgen".encode()]
    }


def test_attributes_are_chosen(client: ldap3.Connection) -> None:
    assert read_entry(client, ADA, "SAMACCOUNTNAME", "nosuch") == {"sAMAccountName": [b"ada"]}
    assert read_entry(client, ADA, "1.1") == {}
    types = search(client, "(objectClass=*)", ADA, ldap3.BASE, ["cn", "mail"], types_only=True)
    (entry,) = types.entries.values()
    assert set(entry) == {"cn", "mail"}
    assert not any(entry.values())


@pytest.mark.parametrize("over", ["ldaps", "starttls"])
def test_a_search_at_the_root_also_refers_elsewhere(directory: SandboxDirectory, over: str) -> None:
    with service(directory, over=over) as client:
        found = search(client, "(sAMAccountName=nobody)")
        assert found.code == 0
        assert not found.entries
        assert f"ldaps://corp.example/CN=Configuration,{SUFFIX}" in found.references
        assert len(found.references) == 3
        one_level = search(client, "(sAMAccountName=nobody)", scope=ldap3.LEVEL)
        assert f"ldaps://corp.example/CN=Configuration,{SUFFIX}??base" in one_level.references
        assert not search(client, "(sAMAccountName=nobody)", STAFF).references
        assert not search(client, "(sAMAccountName=nobody)", scope=ldap3.BASE).references


def test_domain_scope_leaves_references_out(client: ldap3.Connection) -> None:
    found = search(client, "(sAMAccountName=ada)", controls=[("1.2.840.113556.1.4.1339", True, None)])
    assert set(found.entries) == {ADA}
    assert not found.references


@pytest.mark.parametrize("base", ["DC=other,DC=example", "OU=Staff,DC=other,DC=example", "DC=example"])
def test_another_domain_is_a_referral(client: ldap3.Connection, base: str) -> None:
    found = search(client, "(objectClass=*)", base)
    assert found.code == 10
    assert found.referrals == [f"ldaps://{'other.example' if 'other' in base else 'example'}/{base}"]
    assert not found.entries


@pytest.mark.parametrize(("base", "code"), [("OU=Nope," + STAFF, 32), ("O=elsewhere", 32), ("bad,,", 34), ("", 32)])
def test_a_base_that_is_not_there(client: ldap3.Connection, base: str, code: int) -> None:
    found = search(client, "(objectClass=*)", base)
    assert (found.code, found.entries) == (code, {})
    assert client.result["dn"] == (STAFF if "Nope" in base else "")


def test_anybody_may_read_the_root_dse(directory: SandboxDirectory) -> None:
    for over in ("clear", "ldaps"):
        with connection(directory, over=over) as client:
            client.bind()
            entry = read_entry(client, "", "*", "+")
            assert entry["defaultNamingContext"] == [SUFFIX.encode()]
            assert b"1.2.840.113556.1.4.800" in entry["supportedCapabilities"]
            assert b"1.2.840.113556.1.4.319" in entry["supportedControl"]
            assert entry["currentTime"] == [b"20261201120000.0Z"]
            assert entry["dnsHostName"] == [b"dc1.corp.example"]
            assert entry["isGlobalCatalogReady"] == [b"TRUE"]
            assert read_entry(client, "", "currentTime") == {"currentTime": [b"20261201120000.0Z"]}


@pytest.mark.parametrize("bound", [True, False])
def test_nobody_anonymous_may_read_anything_else(directory: SandboxDirectory, *, bound: bool) -> None:
    with connection(directory) as client:
        if bound:
            assert client.bind()
        for base, scope in ((SUFFIX, ldap3.SUBTREE), (ADA, ldap3.BASE), ("", ldap3.SUBTREE)):
            found = search(client, "(objectClass=*)", base, scope)
            assert (found.code, found.entries) == (1, {})
            assert "a successful bind must be completed" in found.text
        client.compare(ADA, "cn", "Ada Lovelace")
        assert client.result["result"] == 1


def test_a_failed_bind_leaves_nobody_bound(directory: SandboxDirectory) -> None:
    with service(directory) as client:
        assert search(client, "(sAMAccountName=ada)").entries
        assert not client.rebind("nobody@corp.example", "wrong", authentication=ldap3.SIMPLE)
        assert search(client, "(sAMAccountName=ada)").code == 1


def test_pages(client: ldap3.Connection) -> None:
    seen: list[str] = []
    cookie = None
    for _ in range(20):
        found = search(client, "(objectClass=user)", STAFF, paged_size=4, paged_cookie=cookie)
        assert found.code == 0
        seen.extend(found.entries)
        value = found.controls["1.2.840.113556.1.4.319"]["value"]
        assert value["size"] == 17
        cookie = value["cookie"]
        if not cookie:
            break
        assert len(found.entries) == 4
    assert len(seen) == len(set(seen)) == 17


def test_a_cookie_is_good_for_its_search_once(client: ldap3.Connection) -> None:
    def first() -> bytes:
        found = search(client, "(objectClass=user)", STAFF, paged_size=4)
        cookie: bytes = found.controls["1.2.840.113556.1.4.319"]["value"]["cookie"]
        return cookie

    cookie = first()
    assert search(client, "(objectClass=group)", STAFF, paged_size=4, paged_cookie=cookie).code == 12
    cookie = first()
    assert search(client, "(objectClass=user)", STAFF, paged_size=4, paged_cookie=cookie).code == 0
    assert search(client, "(objectClass=user)", STAFF, paged_size=4, paged_cookie=cookie).code == 53
    assert search(client, "(objectClass=user)", STAFF, paged_size=4, paged_cookie=b"junk").code == 53


def test_the_oldest_of_too_many_open_pages_is_forgotten(client: ldap3.Connection) -> None:
    cookies = [
        search(client, "(objectClass=user)", STAFF, paged_size=4).controls["1.2.840.113556.1.4.319"]["value"]["cookie"]
        for _ in range(3)
    ]
    codes = [search(client, "(objectClass=user)", STAFF, paged_size=4, paged_cookie=c).code for c in cookies]
    assert codes == [53, 0, 0]


def test_a_page_is_never_larger_than_the_servers(client: ldap3.Connection) -> None:
    assert len(search(client, "(objectClass=*)", paged_size=500).entries) == 30


def test_the_clients_size_limit(client: ldap3.Connection) -> None:
    found = search(client, "(objectClass=user)", STAFF, size_limit=3)
    assert (found.code, len(found.entries)) == (4, 3)
    assert search(client, "(objectClass=user)", STAFF, size_limit=17).code == 0


def test_the_servers_size_limit(client: ldap3.Connection) -> None:
    found = search(client, "(objectClass=*)")
    assert (found.code, len(found.entries), found.references) == (4, 30, [])


def test_a_critical_control_that_is_not_known_is_refused(client: ldap3.Connection) -> None:
    assert search(client, "(sAMAccountName=ada)", controls=[("1.2.3.4.5", True, None)]).code == 12
    assert search(client, "(sAMAccountName=ada)", controls=[("1.2.3.4.5", False, None)]).code == 0


def test_a_filter_has_a_depth(client: ldap3.Connection) -> None:
    nested = "(cn=x)"
    for _ in range(7):
        nested = f"(!{nested})"
    assert search(client, nested, STAFF).code == 0
    assert search(client, f"(!{nested})", STAFF).code == 11


@pytest.mark.parametrize("part", ["(cn=x)", "(cn=*a)"])
def test_a_filter_has_a_length(client: ldap3.Connection, part: str) -> None:
    allowed = 39 if part == "(cn=x)" else 19
    assert search(client, f"(|{part * allowed})", STAFF).code == 0
    assert search(client, f"(|{part * (allowed + 1)})", STAFF).code == 11


def test_compare(client: ldap3.Connection) -> None:
    assert client.compare(ADA, "cn", "ADA LOVELACE")
    for name, attribute, value, code in (
        (ADA, "cn", "Alan", 5),
        (ADA, "nosuch", "x", 5),
        ("CN=x," + STAFF, "cn", "x", 32),
        ("bad,,", "cn", "x", 34),
    ):
        client.compare(name, attribute, value)
        assert client.result["result"] == code


def test_moves_between_groups_show_at_once(tmp_path: Path) -> None:
    with (
        SandboxDirectory(read_seed(), pki=SandboxPki(tmp_path), clock=Hands()) as directory,
        service(directory) as client,
    ):
        directory.add_to_group("mia", "SRE")
        directory.add_to_group("MIA", "sre")
        assert _rids(client, MIA) == {1104, 513, 545}
        assert read_entry(client, f"CN=SRE,{GROUPS}", "member")["member"].count(MIA.encode()) == 1
        directory.remove_from_group("mia", "SRE")
        assert _rids(client, MIA) == {513, 545}
        assert MIA.encode() not in read_entry(client, f"CN=SRE,{GROUPS}", "member")["member"]
        directory.delete("ada")
        assert search(client, "(sAMAccountName=ada)").entries == {}
        assert "member" not in read_entry(client, f"CN=payments-api,{GROUPS}", "*")


def test_ldap3_reads_what_it_wants_by_default(directory: SandboxDirectory) -> None:
    """`get_info` reads the root DSE and looks for a schema: there is none, and nothing waits."""
    server = ldap3.Server("127.0.0.1", port=directory.ldap_port, get_info=ldap3.ALL)
    with ldap3.Connection(server, auto_referrals=False, receive_timeout=5) as client:
        assert client.bound
        assert server.info.other["dnsHostName"] == ["dc1.corp.example"]


def test_ad_says_which_part_of_a_name_it_found(client: ldap3.Connection) -> None:
    assert re.search(r"best match of:\n\t'OU=Staff,", search(client, "(cn=*)", "CN=x," + STAFF).text)
