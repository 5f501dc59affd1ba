"""The access-keys page: looking hands out nothing; the button does, once, and the answer is kept by nobody."""

import html
import json
import re
from urllib.parse import quote

import pytest
from builders import HOUR, MINUTE
from corridor import Answer, Browser, Corridor

from broker.record.event import Tag
from broker.sandbox.sts.client import caller_identity

ROLE = "payments-dev/power-user"
ISSUED = [Tag.CREDENTIALS_DECIDED, Tag.CREDENTIALS_ISSUED]


@pytest.fixture
def developer(corridor: Corridor) -> Browser:
    return corridor.signed_in(corridor.person(enrolled=True))


def ask(browser: Browser, role: str = ROLE, **more: str) -> Answer:
    """Open the page, and press its button."""
    browser.visit("/")
    csrf = browser.csrf
    browser.visit(f"/access-keys?role={role}")
    return browser.submit("/access-keys", **{"csrf_token": csrf, "role": role, **more})


def block(page: str, name: str) -> str:
    """What a block to copy has."""
    found = re.search(rf'<code id="{name}">(.*?)</code>', page, re.DOTALL)
    assert found is not None, name
    return html.unescape(found[1])


def test_looking_shows_what_one_would_get_and_issues_nothing(corridor: Corridor, developer: Browser) -> None:
    answer = developer.visit(f"/access-keys?role={ROLE}")
    assert answer.status_code == 200
    assert corridor.tags(answer) == []
    page = answer.text
    for said in ("payments-dev", "210987654321", "power-user", "arn:aws:iam::210987654321:role/federated/PowerUser"):
        assert said in page
    assert page.count('method="post"') == 2, "the button, and signing out"
    assert "AWS_SECRET_ACCESS_KEY" not in page


def test_the_automatic_way_comes_first_and_needs_no_button(developer: Browser) -> None:
    page = developer.visit(f"/access-keys?role={ROLE}").text
    tabs = re.findall(r'<a class="tab"[^>]*>([^<]+)</a>', page)
    assert tabs[0] == "Recommended: automatic"
    assert block(page, "profile-text") == (
        "[profile payments-dev-power-user]\n"
        "credential_process = aws-broker process --server https://broker.corp.example --role payments-dev/power-user"
    )


def test_the_button_issues_keys_that_aws_knows(corridor: Corridor, developer: Browser) -> None:
    answer = ask(developer)
    assert answer.status_code == 200
    assert corridor.tags(answer) == ISSUED
    assert answer.headers["Cache-Control"] == "no-store"
    keys = json.loads(block(answer.text, "text-json"))
    arn = caller_identity(corridor.world.sts.url, "eu-central-1", keys)
    assert arn.startswith("arn:aws:sts::210987654321:assumed-role/PowerUser/developer")
    tabs = re.findall(r'<a class="tab"[^>]*>([^<]+)</a>', answer.text)
    assert tabs == ["Recommended: automatic", "bash", "PowerShell", "cmd", "fish", "credentials", ".env", "JSON"]
    assert f"export AWS_SECRET_ACCESS_KEY={keys['SecretAccessKey']}" in block(answer.text, "text-bash")


def test_keys_are_masked_counted_down_and_clear_themselves(developer: Browser) -> None:
    page = ask(developer, duration="15m").text
    ends = re.search(r'data-clear-at="([^"]+)"', page)
    assert ends is not None
    assert f'<time class="countdown" datetime="{ends[1]}" data-countdown' in page
    secret = json.loads(block(page, "text-json"))["SecretAccessKey"]
    cleared = page.partition("data-clear-at")[2]
    assert page.count(secret) == cleared.count(secret) == 7
    closed = re.findall(r'<details class="masked">.*?</details>', page, re.DOTALL)
    assert sum(part.count(secret) for part in closed) == 7, "nothing secret is open"
    assert "Treat them as you would your password" in page


def test_as_long_as_was_chosen(corridor: Corridor, developer: Browser) -> None:
    for chosen, lasts in (("15m", 15 * MINUTE), ("4h", 4 * HOUR)):
        answer = ask(developer, duration=chosen)
        event = corridor.events(answer)[-1]
        assert event.details["expires_at"] == (corridor.clock() + lasts).isoformat()


def test_only_lengths_that_the_role_allows_are_offered_and_an_hour_is_chosen(developer: Browser) -> None:
    page = developer.visit(f"/access-keys?role={ROLE}").text
    offered = re.findall(r'<option value="([^"]+)"( selected)?>([^<]+)<', page)
    assert offered == [
        ("15m", "", "15 minutes"),
        ("30m", "", "30 minutes"),
        ("1h", " selected", "1 hour"),
        ("2h", "", "2 hours"),
        ("4h", "", "4 hours"),
    ]


@pytest.mark.parametrize("duration", ["1y", "-1h", "1e9h", "x" * 500, "1h; rm"])
def test_a_length_that_is_none_is_refused(corridor: Corridor, developer: Browser, duration: str) -> None:
    answer = ask(developer, duration=duration)
    assert answer.status_code == 400
    assert corridor.tags(answer) == []


@pytest.mark.parametrize("query", ["", "?role=", "?role=a/b&role=c/d", "?role=" + "x" * 201])
def test_an_address_that_names_no_one_role_is_refused(developer: Browser, query: str) -> None:
    assert developer.get(f"/access-keys{query}").status_code == 400


@pytest.mark.parametrize("role", ["payments-prod/read-only", "payments-prod/nothing", "nowhere/read-only", "<b>&/x"])
def test_a_role_that_is_not_given_reads_the_same_as_one_that_is_not_there(
    corridor: Corridor, developer: Browser, role: str
) -> None:
    first = developer.get("/access-keys?role=never/heard-of")
    look = developer.get(_path(role))
    assert (look.status_code, corridor.tags(look)) == (403, [])
    assert _without(look, role) == _without(first, "never/heard-of")
    asked = ask(developer, role)
    assert asked.status_code == 403
    assert corridor.tags(asked) == [Tag.CREDENTIALS_REFUSED]
    assert "AWS_SECRET_ACCESS_KEY" not in asked.text


def _path(role: str) -> str:
    return "/access-keys?role=" + quote(role)


def _without(answer: Answer, role: str) -> str:
    """The page, without what was asked for and what is different each time."""
    page = html.unescape(answer.text).replace(role, "ROLE").replace(_path(role).partition("=")[2], "ROLE")
    page = re.sub(r'value="[^"]+"|datetime="[^"]+"|data-ends-at="[^"]+"|\d\d:\d\d UTC', "", page)
    return page.replace(answer.headers["X-Request-Id"], "")


def test_a_locked_role_says_when_it_opens_and_hands_out_nothing(corridor: Corridor) -> None:
    corridor.until_office_hours()
    corridor.clock.now = corridor.clock().replace(hour=21)
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    look = browser.visit("/access-keys?role=payments-prod/power-user")
    assert look.status_code == 200
    assert "Locked for now" in look.text
    assert re.search(r'It opens: <time datetime="[^"]+T07:00:00\+00:00"', look.text)
    assert 'action="/access-keys' not in look.text, "no button"
    asked = ask(browser, "payments-prod/power-user")
    assert (asked.status_code, corridor.tags(asked)) == (403, [Tag.CREDENTIALS_REFUSED])
    assert "Locked for now" in asked.text


def test_a_step_up_leads_to_the_factor_and_back(corridor: Corridor) -> None:
    person = corridor.person("sre", enrolled=True)
    browser = corridor.signed_in(person)
    corridor.clock.advance(6 * MINUTE)
    page = browser.visit("/access-keys?role=payments-dev/fresh").text
    assert "A fresh second factor is needed first" in page
    way = re.search(r'href="(/challenge[^"]+)"', page)
    assert way is not None
    browser.visit(html.unescape(way[1]))
    assert browser.path == "/challenge"
    browser.submit("/challenge", method="totp", answer=corridor.code(person))
    assert browser.path == "/access-keys"
    assert "A fresh second factor is needed first" not in browser.text
    assert corridor.tags(ask(browser, "payments-dev/fresh")) == ISSUED


def test_a_step_up_with_no_factor_that_would_do_says_so(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    page = browser.visit("/access-keys?role=payments-dev/by-key").text
    assert "You have no second factor of the kind that is wanted." in page
    assert "/challenge" not in page
    assert ask(browser, "payments-dev/by-key").status_code == 403


def test_what_aws_refuses_is_told_as_that(corridor: Corridor) -> None:
    browser = corridor.signed_in(corridor.person("sre", enrolled=True))
    answer = ask(browser, "untrusting/read-only")
    assert (answer.status_code, corridor.tags(answer)) == (502, [Tag.CREDENTIALS_DECIDED, Tag.CREDENTIALS_FAILED])
