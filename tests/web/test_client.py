"""Who is at the other end: what a stranger writes into a header is never believed."""

from collections.abc import Sequence
from ipaddress import ip_network

import pytest
from corridor import PROXY, Corridor
from flask import Flask
from werkzeug.test import EnvironBuilder

from broker.web.client import Proxies, client_address, tls_version

PROXIES = Proxies(
    networks=[ip_network("10.255.0.0/24"), ip_network("fd00:ffff::/64")],
    tls_header="X-TLS-Version",
)
OTHER = "10.255.0.2"


def seen(peer: str, *forwarded: str, tls: Sequence[str] = (), proxies: Proxies = PROXIES) -> tuple[str, str]:
    """The address and the TLS version of a request."""
    headers = [("X-Forwarded-For", line) for line in forwarded] + [("X-TLS-Version", told) for told in tls]
    environ = EnvironBuilder(headers=headers, environ_overrides={"REMOTE_ADDR": peer}).get_environ()
    with Flask("test").request_context(environ):
        return str(client_address(proxies) or ""), tls_version(proxies)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        # nobody in between
        ("192.0.2.7", (), "192.0.2.7"),
        ("2001:db8::7", (), "2001:db8::7"),
        ("::ffff:192.0.2.7", (), "192.0.2.7"),
        # a stranger writes the header himself: only his socket counts
        ("192.0.2.7", ("10.1.2.3",), "192.0.2.7"),
        ("192.0.2.7", ("10.1.2.3, 10.255.0.1",), "192.0.2.7"),
        ("2001:db8::7", ("10.1.2.3",), "2001:db8::7"),
        ("10.255.1.1", ("10.1.2.3",), "10.255.1.1"),
        # through a declared proxy
        (PROXY, ("192.0.2.7",), "192.0.2.7"),
        (PROXY, ("2001:db8::7",), "2001:db8::7"),
        (PROXY, ("::ffff:192.0.2.7",), "192.0.2.7"),
        (f"::ffff:{PROXY}", ("192.0.2.7",), "192.0.2.7"),
        ("fd00:ffff::9", ("192.0.2.7",), "192.0.2.7"),
        (PROXY, (" 192.0.2.7 ",), "192.0.2.7"),
        # what the client wrote stands further left
        (PROXY, ("10.1.2.3, 192.0.2.7",), "192.0.2.7"),
        (PROXY, ("10.1.2.3, 10.255.0.9, 192.0.2.7",), "192.0.2.7"),
        (PROXY, ("10.1.2.3", "192.0.2.7"), "192.0.2.7"),
        # two declared proxies in a row
        (PROXY, (f"192.0.2.7, {OTHER}",), "192.0.2.7"),
        (PROXY, ("192.0.2.7", OTHER), "192.0.2.7"),
        (PROXY, (f"10.1.2.3, 192.0.2.7, {OTHER}",), "192.0.2.7"),
        # a declared proxy with nobody behind it
        (PROXY, (), PROXY),
        (PROXY, (OTHER,), OTHER),
        # what is no address is not known, and what stands behind it is not reached
        (PROXY, ("unknown",), ""),
        (PROXY, ("10.1.2.3, unknown",), ""),
        (PROXY, ("10.1.2.3,",), ""),
        (PROXY, ("",), ""),
        (PROXY, (",,,",), ""),
        (PROXY, ("192.0.2.7:1234",), ""),
        (PROXY, ("[2001:db8::7]",), ""),
        (PROXY, ("10.1.2.3.4",), ""),
        (PROXY, ("0x0a010203",), ""),
        (PROXY, ("010.1.2.3",), ""),
        (PROXY, ("10.1.2.3 10.255.0.1",), ""),
        (PROXY, ("\u0661\u0660.\u0661.\u0662.\u0663".encode().decode("latin-1"),), ""),
        ("", ("10.1.2.3",), ""),
        ("not an address", ("10.1.2.3",), ""),
    ],
)
def test_the_address_is_the_first_that_is_not_a_declared_proxy(
    peer: str, forwarded: tuple[str, ...], expected: str
) -> None:
    assert seen(peer, *forwarded)[0] == expected


def test_without_declared_proxies_only_the_socket_counts() -> None:
    nobody = Proxies(networks=[], tls_header="X-TLS-Version")
    assert seen("127.0.0.1", "10.1.2.3", tls=["TLSv1.3"], proxies=nobody) == ("127.0.0.1", "")


def test_a_long_row_of_hops_is_read_from_our_side(corridor: Corridor) -> None:
    row = ", ".join(["10.1.2.3"] * 5000)
    assert seen(PROXY, row)[0] == "10.1.2.3"
    assert corridor.browser().get("/healthz", headers={"X-Forwarded-For": row}).status_code == 200


@pytest.mark.parametrize(
    ("peer", "told", "expected"),
    [
        (PROXY, ["TLSv1.3"], "1.3"),
        (PROXY, ["TLSv1.2"], "1.2"),
        (PROXY, ["TLSv1"], "1.0"),
        (PROXY, ["1.3"], "1.3"),
        (PROXY, [], ""),
        (PROXY, [""], ""),
        (PROXY, ["TLSv1.4"], ""),
        (PROXY, ["TLSv1.3", "TLSv1.0"], ""),
        (PROXY, ["tlsv1.3; drop"], ""),
        ("192.0.2.7", ["TLSv1.3"], ""),
        ("10.255.1.1", ["TLSv1.3"], ""),
        ("", ["TLSv1.3"], ""),
    ],
)
def test_the_tls_version_is_told_by_a_declared_proxy_or_by_nobody(peer: str, told: list[str], expected: str) -> None:
    assert seen(peer, "10.1.2.3", tls=told)[1] == expected


def test_no_header_is_read_where_none_is_declared() -> None:
    assert seen(PROXY, "10.1.2.3", tls=["TLSv1.3"], proxies=Proxies(networks=PROXIES.networks, tls_header=""))[1] == ""


ROLE = "payments-prod/power-user"


def test_a_stranger_does_not_get_an_office_role_by_a_header(corridor: Corridor) -> None:
    """From the corridor's other end: the condition sees the true address, and so does the trail."""
    corridor.until_office_hours()
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    assert browser.credentials(ROLE).status_code == 200, "the control: from the office, through the proxy"
    browser.peer, browser.address = "192.0.2.66", ""
    forged = {
        "X-Forwarded-For": "10.1.2.3",
        "X-TLS-Version": "TLSv1.3",
        "X-Real-IP": "10.1.2.3",
        "Forwarded": "for=10.1.2.3",
    }
    csrf = browser.get("/api/v1/whoami").json["csrf_token"]
    answer = browser.post("/api/v1/credentials", {"role": ROLE}, csrf=csrf, **forged)
    assert (answer.status_code, answer.json["condition"]) == (403, "source_ip")
    (event,) = corridor.events(answer)
    assert event.address == "192.0.2.66"
