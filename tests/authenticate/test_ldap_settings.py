"""Settings that would weaken the sign-in are refused with a reason."""

import pytest
from pydantic import ValidationError

from broker.authenticate import PROVIDERS
from broker.authenticate.ldap import LdapProvider, LdapSettings

GIVEN = {
    "servers": ("ldaps://dc1.corp.example", "ldaps://dc2.corp.example:1636"),
    "bind_dn": "reader@corp.example",
    "password": "s3cret-of-the-reader",
    "user_bases": ("OU=Staff,DC=corp,DC=example",),
}
GENERIC = {**GIVEN, "kind": "generic", "group_base": "ou=Groups,dc=corp"}


def test_the_least_that_must_be_given_is_enough() -> None:
    settings = LdapSettings.model_validate(GIVEN)
    assert [(where.host, where.port, where.security) for where in settings.addresses()] == [
        ("dc1.corp.example", 636, "ldaps"),
        ("dc2.corp.example", 1636, "ldaps"),
    ]
    assert LdapSettings.model_validate(GENERIC).groups is None


def test_ldap_means_start_tls_unless_said_otherwise() -> None:
    (address,) = LdapSettings.model_validate({**GIVEN, "servers": ("ldap://dc1.corp.example",)}).addresses()
    assert (address.port, address.security) == (389, "starttls")


@pytest.mark.parametrize("server", ["ldap://127.0.0.1", "ldap://localhost:1389", "ldap://[::1]"])
def test_plain_ldap_is_for_this_machine(server: str) -> None:
    (address,) = LdapSettings.model_validate({**GIVEN, "servers": (server,), "insecure_plain_ldap": True}).addresses()
    assert address.security == "none"


@pytest.mark.parametrize(
    "server",
    ["ldap://dc1.corp.example", "ldap://10.0.0.7", "ldap://127.0.0.1.evil.example", "ldap://localhost.evil.example"],
)
def test_plain_ldap_to_another_machine_is_refused(server: str) -> None:
    with pytest.raises(ValidationError, match="in clear"):
        LdapSettings.model_validate({**GIVEN, "servers": ("ldap://127.0.0.1", server), "insecure_plain_ldap": True})


@pytest.mark.parametrize(
    "server",
    [
        "dc1.corp.example",
        "https://dc1.corp.example",
        "ldapi:///run/slapd",
        "ldaps://",
        "ldaps://u:p@dc1",
        "ldaps://dc1/dc=x",
    ],
)
def test_what_is_no_ldap_url_is_refused(server: str) -> None:
    with pytest.raises(ValidationError, match="ldaps://host"):
        LdapSettings.model_validate({**GIVEN, "servers": (server,)})


@pytest.mark.parametrize(
    ("given", "groups"),
    [(GIVEN, "walk"), (GENERIC, "in-chain"), (GENERIC, "token-groups")],
)
def test_a_way_to_resolve_groups_that_does_not_fit_the_kind_is_refused(given: dict[str, object], groups: str) -> None:
    """OpenLDAP answers the in-chain rule with no rows and success."""
    with pytest.raises(ValidationError, match="does not work with kind"):
        LdapSettings.model_validate({**given, "groups": groups})


@pytest.mark.parametrize(
    "change",
    [
        {"servers": ()},
        {"user_bases": ()},
        {"bind_dn": ""},
        {"password": ""},
        {"budget": 0},
        {"receive_timeout": 0},
        {"lockout_threshold": 1},
        {"attempt_tries": 0},
        {"verify": False},
        {"generic": {"user_filter": "(uid=*)"}},
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LdapSettings.model_validate({**GIVEN, **change})


def test_a_generic_server_needs_to_know_where_groups_are() -> None:
    with pytest.raises(ValidationError, match="group_base"):
        LdapSettings.model_validate({**GENERIC, "group_base": ""})


def test_the_password_shows_nowhere() -> None:
    settings = LdapSettings.model_validate(GIVEN)
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_every_setting_is_described() -> None:
    assert all(field.description for field in LdapSettings.model_fields.values())


def test_it_is_registered() -> None:
    assert PROVIDERS["ldap"] == (LdapSettings, LdapProvider)
