"""The console's pages and links: who sees what, what the button does, and where the token goes."""

import html
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from builders import HOUR, MINUTE
from corridor import HOST, URL, Browser, Corridor, World, a_corridor
from flask import Flask
from issue.consoles import follow

from broker.record.event import Tag
from broker.web.guard import Audience, audience
from broker.web.headers import allow_form
from broker.web.shown import shown

ROLE = "payments-dev/power-user"
PAGE = f"/console?role={ROLE}"
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@pytest.fixture
def browser(corridor: Corridor) -> Browser:
    return corridor.signed_in(corridor.person(enrolled=True))


def form_of(page: str) -> tuple[str, dict[str, str]]:
    """Action and hidden fields of the one form that goes to AWS."""
    found = re.search(r'<form method="post" action="([^"]+)" data-auto-submit>(.*?)</form>', page, re.DOTALL)
    assert found, page
    return html.unescape(found[1]), {name: html.unescape(value) for name, value in FIELD.findall(found[2])}


def opened(browser: Browser, page: str = PAGE, path: str = "/console", **more: str) -> tuple[str, dict[str, str]]:
    browser.get(page)
    fields = {"role": ROLE, **more} if path == "/console" else more
    answer = browser.submit(path, follow=False, **fields)
    assert answer.status_code == 200, answer.text
    return form_of(answer.text)


# The page


def test_the_page_names_what_will_be_opened_and_opens_nothing(corridor: Corridor, browser: Browser) -> None:
    calls, logins = len(corridor.world.sts.calls), len(corridor.world.sign_in.logins)
    answer = browser.get(PAGE + "&service=s3&region=eu-central-1")
    assert answer.status_code == 200
    for told in ("payments-dev", "210987654321", "power-user", "S3", "eu-central-1", "at most 4h", "dev"):
        assert told in answer.text
    assert corridor.events(answer) == []
    assert (len(corridor.world.sts.calls), len(corridor.world.sign_in.logins)) == (calls, logins)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "form-action 'self';" in answer.headers["Content-Security-Policy"]


def test_the_button_signs_the_browser_in_at_aws(corridor: Corridor, browser: Browser) -> None:
    action, fields = opened(browser, service="s3", region="eu-central-1")
    page = follow(action, fields)
    assert page.status == 200
    assert page.url.endswith("/s3/home?region=eu-central-1")
    assert "<dd>210987654321</dd>" in page.text
    assert corridor.world.sign_in.logins[-1]["recipientAccountId"] == "210987654321"


def test_the_form_for_aws_carries_nothing_of_ours(browser: Browser) -> None:
    action, fields = opened(browser)
    assert set(fields) == {"Action", "Issuer", "Destination", "SigninToken"}
    assert fields["Issuer"] == URL
    assert browser.token not in str(fields)
    assert urlsplit(action).path == "/federation"


def test_the_answer_with_the_token_is_kept_and_told_nowhere(corridor: Corridor, browser: Browser) -> None:
    browser.get(PAGE)
    answer = browser.submit("/console", follow=False, role=ROLE)
    _, fields = form_of(answer.text)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Location" not in answer.headers
    assert fields["SigninToken"] not in str(answer.headers)
    assert fields["SigninToken"] not in str(corridor.events(answer))
    sign_in = corridor.world.sign_in
    policy = answer.headers["Content-Security-Policy"]
    assert f"form-action 'self' {sign_in.url} {sign_in.console_url};" in policy
    assert corridor.tags(answer)[-1] is Tag.CONSOLE_OPENED
    again = browser.get(PAGE)
    assert "form-action 'self';" in again.headers["Content-Security-Policy"]


def test_whoever_is_not_signed_in_signs_in_first_and_comes_back(corridor: Corridor) -> None:
    browser = corridor.browser()
    answer = browser.get(PAGE + "&service=s3")
    assert answer.status_code == 303
    assert answer.location.startswith("/sign-in?next=")
    for path in ("/console", "/console/link/x"):
        browser.get("/sign-in")
        assert browser.submit(path, follow=False, role=ROLE).status_code == 401


def test_a_link_without_a_role_leads_to_the_roles(browser: Browser) -> None:
    answer = browser.get("/console")
    assert (answer.status_code, answer.location) == (303, "/")


@pytest.mark.parametrize("role", ["payments-prod/admin", "payments-dev/nosuch", "nosuch/nosuch", "x", "a/b/c", "*/*"])
def test_a_role_that_one_does_not_have_reads_the_same_whether_there_is_one_or_not(browser: Browser, role: str) -> None:
    answer = browser.get(f"/console?role={role}")
    assert answer.status_code == 403
    assert "Not granted" in answer.text
    assert "210987654321" not in answer.text
    assert "Open the console</button>" not in answer.text
    posted = browser.submit("/console", follow=False, role=role)
    assert posted.status_code == 403


def test_a_role_that_is_closed_now_says_when_it_opens(corridor: Corridor) -> None:
    corridor.until_office_hours()
    corridor.clock.advance(12 * HOUR)
    sre = corridor.signed_in(corridor.person("sre", enrolled=True))
    answer = sre.get("/console?role=payments-prod/power-user")
    assert answer.status_code == 403
    assert "Not now" in answer.text
    assert "<time datetime=" in answer.text
    assert "Open the console</button>" not in answer.text
    assert sre.submit("/console", follow=False, role="payments-prod/power-user").status_code == 403


def test_a_step_up_leads_to_the_factor_and_back(corridor: Corridor) -> None:
    person = corridor.person("sre", enrolled=True)
    sre = corridor.signed_in(person)
    corridor.clock.advance(6 * MINUTE)
    answer = sre.get("/console?role=payments-dev/fresh&service=ec2")
    assert answer.status_code == 200
    assert "Prove it" in answer.text
    assert "Open the console</button>" not in answer.text
    found = re.search(r'href="(/challenge\?[^"]+)"', answer.text)
    assert found
    page = sre.get(html.unescape(found[1]))
    assert page.status_code == 200
    sre.submit("/challenge", method="totp", answer=corridor.code(person))
    assert sre.path == "/console"
    assert "Open the console</button>" in sre.text
    assert "EC2" in sre.text


def test_a_step_up_by_a_factor_that_one_does_not_have_says_so(corridor: Corridor) -> None:
    sre = corridor.signed_in(corridor.person("sre", enrolled=True))
    answer = sre.get("/console?role=payments-dev/by-key")
    assert "no second factor of the kind" in answer.text
    assert "/challenge" not in answer.text
    posted = sre.submit("/console", follow=False, role="payments-dev/by-key")
    assert posted.status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "service=nosuch",
        "service=//evil.example",
        "region=evil.example",
        "region=eu-central-1%0d%0aSet-Cookie:x",
        "region=" + "a" * 50,
        "role=x",
        f"role={'x' * 201}",
    ],
)
def test_a_link_that_is_not_ours_is_refused(browser: Browser, query: str) -> None:
    answer = browser.get(f"{PAGE}&{query}")
    assert answer.status_code == 400
    assert "evil" not in answer.text


def test_markup_in_a_link_is_text(browser: Browser) -> None:
    answer = browser.get("/console?role=%3Cscript%3Ealert(1)%3C/script%3E/x")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text


def test_a_region_of_another_partition_is_aws_s_refusal_told(browser: Browser) -> None:
    browser.get(PAGE)
    answer = browser.submit("/console", follow=False, role=ROLE, region="cn-north-1")
    assert answer.status_code == 502
    assert "partition" in answer.text


def test_an_aws_that_is_away_is_a_page_that_says_so(corridor: Corridor, browser: Browser) -> None:
    browser.get(PAGE)
    corridor.world.sign_in.fail_next(503, times=2)
    answer = browser.submit("/console", follow=False, role=ROLE)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "SigninToken" not in answer.text


def test_the_button_needs_the_pages_own_token(browser: Browser) -> None:
    browser.get(PAGE)
    for path in ("/console", "/console/link/" + "x" * 43):
        answer = browser.open("POST", path, headers={"Origin": URL}, data={"role": ROLE})
        assert answer.status_code == 400
        answer = browser.open(
            "POST", path, headers={"Origin": "https://evil.example"}, data={"role": ROLE, "csrf_token": browser.csrf}
        )
        assert answer.status_code == 403


def test_a_link_cannot_turn_the_text_around_it(browser: Browser) -> None:
    browser.get("/console?role=%E2%80%AEevil%00/x")
    assert (
        f'You asked for the role <span class="id">{shown(chr(0x202E) + "evil" + chr(0) + "/x")}</span>' in browser.text
    )


# The hand-off


def link(browser: Browser, **more: str) -> str:
    answer = browser.post("/api/v1/console-links", {"role": ROLE, **more})
    assert answer.status_code == 200, answer.text
    assert set(answer.json) == {"url", "expires_at"}
    url: str = answer.json["url"]
    assert url.startswith(f"https://{HOST}/console/link/")
    return urlsplit(url).path


def test_a_link_opens_once_in_the_browser_of_the_same_person(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    program, browser = corridor.signed_in(person), corridor.signed_in(person)
    path = link(program, service="s3", region="eu-central-1")
    for _ in range(2):  # looking uses nothing up
        page = browser.get(path)
        assert page.status_code == 200
        assert "S3" in page.text
        assert "aws-broker asked for this" in page.text
    answer = browser.submit(path, follow=False)
    action, fields = form_of(answer.text)
    assert follow(action, fields).url.endswith("/s3/home?region=eu-central-1")
    assert browser.get(path).status_code == 404
    browser.get(PAGE)
    assert browser.submit(path, follow=False).status_code == 404


def test_for_everybody_else_it_is_not_there(corridor: Corridor) -> None:
    path = link(corridor.signed_in(corridor.person(enrolled=True)))
    other = corridor.signed_in(corridor.person(enrolled=True))
    made_up = "/console/link/" + "x" * 43
    pages = []
    for asked in (path, made_up):
        answer = other.get(asked)
        assert answer.status_code == 404
        pages.append(answer.text.replace(answer.headers["X-Request-Id"], ""))
    assert pages[0] == pages[1]
    other.get("/console?role=payments-dev/power-user")
    assert other.submit(path, follow=False).status_code == 404


def test_a_link_is_over_after_a_minute(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    browser = corridor.signed_in(person)
    path = link(browser)
    page = browser.get(path)
    assert page.status_code == 200
    corridor.clock.advance(MINUTE)
    assert browser.submit(path, follow=False).status_code == 404
    assert browser.get(path).status_code == 404


def test_what_the_link_opens_is_decided_when_it_is_opened(corridor: Corridor) -> None:
    """The program's word counts for nothing: the browser's own factor does."""
    person = corridor.person("sre", enrolled=True)
    browser = corridor.signed_in(person)
    answer = browser.post("/api/v1/console-links", {"role": "payments-dev/by-key"})
    path = urlsplit(answer.json["url"]).path
    page = browser.get(path)
    assert "Prove it" in page.text
    browser.get(PAGE)
    assert browser.submit(path, follow=False).status_code == 403


def test_a_log_out_ends_the_links_only_when_it_is_everywhere(corridor: Corridor) -> None:
    person = corridor.person(enrolled=True)
    program, browser = corridor.signed_in(person), corridor.signed_in(person)
    path = link(program)
    assert person.id is not None
    assert browser.get(path).status_code == 200
    corridor.parts.sessions.end_all(person.id)
    assert corridor.signed_in(person).get(path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"role": ""},
        {"role": ROLE, "service": 1},
        {"role": ROLE, "destination": "https://evil.example"},
        {"role": ROLE, "service": "nosuch"},
        {"role": ROLE, "region": "evil.example"},
        {"role": ROLE, "service": None},
    ],
)
def test_a_link_to_somewhere_else_is_not_made(browser: Browser, body: dict[str, object]) -> None:
    answer = browser.post("/api/v1/console-links", body)
    assert answer.status_code == 400
    assert "evil" not in answer.text


def test_a_link_for_a_role_that_one_does_not_have_is_refused_at_once(browser: Browser) -> None:
    answer = browser.post("/api/v1/console-links", {"role": "payments-prod/admin"})
    assert (answer.status_code, answer.json["type"]) == (403, "urn:aws-federation-broker:problem:denied")


def test_links_are_counted_as_leases_are(world: World, tmp_path: Path) -> None:
    aws = {"regions": ["eu-central-1"], "access_key_file": "aws-key", "leases_per_minute": 2}
    with a_corridor(world, tmp_path / "one", aws=aws) as corridor:
        browser = corridor.signed_in(corridor.person(enrolled=True))
        answers = [browser.post("/api/v1/console-links", {"role": ROLE}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert corridor.tags(answers[-1]) == [Tag.CREDENTIALS_RATE_LIMITED]


def test_a_link_is_not_made_for_another_site(browser: Browser) -> None:
    assert browser.post("/api/v1/console-links", {"role": ROLE}, csrf="wrong").status_code == 400


# The header


@pytest.fixture
def with_forms(corridor: Corridor) -> tuple[Flask, list[str]]:
    app, origins = corridor.app_of(corridor.parts), list[str]()

    @audience(Audience.ANYBODY)
    def form() -> str:
        allow_form(*origins)
        return "x"

    app.add_url_rule("/form", "form", form)
    return app, origins


def test_a_form_may_go_to_the_origins_of_one_answer_alone(with_forms: tuple[Flask, list[str]]) -> None:
    app, origins = with_forms
    browser = Browser(app)
    origins[:] = ["https://*.aws.amazon.com", "http://127.0.0.1:8000", "http://[::1]:8000"]
    policy = browser.get("/form").headers["Content-Security-Policy"]
    assert "form-action 'self' https://*.aws.amazon.com http://127.0.0.1:8000 http:;" in policy
    assert "form-action 'self';" in browser.get("/sign-in").headers["Content-Security-Policy"]
    origins[:] = []
    assert "form-action 'self';" in browser.get("/form").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https:",
        "https://*",
        "'none'",
        "https://x.example; script-src *",
        "https://x.example\r\nA: b",
        "",
        "x.example",
    ],
)
def test_what_is_no_origin_gets_into_no_header(with_forms: tuple[Flask, list[str]], origin: str) -> None:
    app, origins = with_forms
    origins[:] = [origin]
    answer = Browser(app).get("/form")
    assert answer.status_code == 500
    assert "script-src *" not in answer.headers["Content-Security-Policy"]
