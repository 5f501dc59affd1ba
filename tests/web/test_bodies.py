"""What is sent may be anything: it is refused, cheaply, in the same words, and never echoed."""

import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from corridor import HOST, OFFICE, PROVIDER, PROXY, URL, Answer, Browser, Corridor
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from werkzeug.test import EnvironBuilder, run_wsgi_app

from broker.web.wsgi import LARGEST_BODY

CANARY = "canary7f3a"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@pytest.fixture(scope="module")
def browser(shared_corridor: Corridor) -> Browser:
    """One for all: nothing that is refused here changes it."""
    return shared_corridor.signed_in(shared_corridor.person(enrolled=True, for_good=True))


@pytest.fixture
def stranger(corridor: Corridor) -> Browser:
    browser = corridor.browser()
    browser.visit("/sign-in")
    return browser


def ask(browser: Browser, data: bytes | str, *, content_type: str = JSON) -> Answer:
    """The API, with a body as it is."""
    csrf = browser.get("/api/v1/whoami").json["csrf_token"]
    headers = {"Origin": URL, "X-CSRFToken": csrf}
    return browser.open("POST", "/api/v1/credentials", headers=headers, data=data, content_type=content_type)


BODIES: dict[str, bytes | str] = {
    "nothing": "",
    "no JSON": f"{CANARY}",
    "null": "null",
    "a number": "7",
    "a text": f'"{CANARY}"',
    "JSON in a text": json.dumps(json.dumps({"role": 7, CANARY: CANARY})),
    "a whole request in a text": json.dumps('{"role": "payments-dev/power-user"}'),
    "a list": f'["{CANARY}"]',
    "an empty object": "{}",
    "no role": '{"duration": 3600}',
    "an unknown key": f'{{"role": "payments-dev/power-user", "{CANARY}": 1}}',
    "an ARN of one's own": '{"role": "payments-dev/power-user", "role_arn": "arn:aws:iam::1:role/canary7f3a"}',
    "a number for a role": '{"role": 7}',
    "a list for a role": f'{{"role": ["{CANARY}"]}}',
    "an object for a role": f'{{"role": {{"{CANARY}": 1}}}}',
    "a text for a duration": f'{{"role": "payments-dev/power-user", "duration": "{CANARY}"}}',
    "a duration as text": '{"role": "payments-dev/power-user", "duration": "3600"}',
    "a broken number": '{"role": "payments-dev/power-user", "duration": 3600.5}',
    "true for a duration": '{"role": "payments-dev/power-user", "duration": true}',
    "too short": '{"role": "payments-dev/power-user", "duration": 899}',
    "too long": '{"role": "payments-dev/power-user", "duration": 43201}',
    "less than nothing": '{"role": "payments-dev/power-user", "duration": -3600}',
    "endless": '{"role": "payments-dev/power-user", "duration": Infinity}',
    "not a number": '{"role": "payments-dev/power-user", "duration": NaN}',
    "a huge number": f'{{"role": "payments-dev/power-user", "duration": {"9" * 5000}}}',
    "a long role": f'{{"role": "{CANARY * 50}"}}',
    "one key twice": f'{{"role": "payments-dev/power-user", "role": "{CANARY}/power-user"}}',
    "a lone surrogate": '{"role": "payments-dev/\\ud800canary7f3a"}',
    "deep": "[" * 30_000 + "]" * 30_000,
    "deep objects": '{"role":' * 7000 + "1" + "}" * 7000,
    "a tail": f'{{"role": "payments-dev/power-user"}} {CANARY}',
    "not UTF-8": b'{"role": "payments-dev/power-\xff\xfeuser"}',
    "UTF-16": '{"role": "payments-dev/power-user"}'.encode("utf-16"),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_does_not_fit_is_a_400_without_a_word_of_it(
    corridor: Corridor, browser: Browser, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = ask(browser, BODIES[what])
    assert answer.status_code == 400, answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.json["type"].endswith(":invalid-request")
    for where in (answer.text, str(answer.headers), caplog.text):
        assert CANARY not in where
    assert corridor.tags(answer) == []


def test_the_control_a_body_that_fits(browser: Browser) -> None:
    assert ask(browser, '{"role": "payments-dev/power-user", "duration": 900}').status_code == 200
    assert ask(browser, b'\n {"role": "payments-dev/power-user", "duration": null} ').status_code == 200


def test_where_it_does_not_fit_is_told_by_the_schemas_own_names(browser: Browser) -> None:
    answer = ask(browser, f'{{"role": 7, "duration": 1, "{CANARY}": 1}}')
    assert sorted(one["at"] for one in answer.json["errors"]) == ["", "duration", "role"]


def test_a_body_too_large_is_not_read(browser: Browser, stranger: Browser) -> None:
    fits = '{"role": "payments-dev/power-user"}'
    assert ask(browser, fits + " " * (LARGEST_BODY - len(fits))).status_code == 200, "the control: just fits"
    assert ask(browser, fits + " " * (LARGEST_BODY - len(fits) + 1)).status_code == 413
    for kind in (FORM, "multipart/form-data; boundary=x", "text/plain", JSON):
        for path in ("/sign-in", "/api/v1/credentials"):
            target = browser if path.startswith("/api") else stranger
            answer = target.open("POST", path, headers={"Origin": URL}, data="a" * 70_000, content_type=kind)
            assert answer.status_code == 413, (kind, path)


CHUNKS: dict[str, bytes] = {
    "a size that is no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "a size below nothing": b"-5\r\n{}\r\n0\r\n\r\n",
    "more than its size": b"5\r\n{}and more\r\n0\r\n\r\n",
    "less than its size": b"ffff\r\n{}",
    "no end": b"5\r\n{}\r\n",
    "a bare CR behind the size": b"5;a\rb\r\n{}\r\n0\r\n\r\n",
    "a broken header at the end": b"5\r\n{}\r\n0\r\nNo colon\r\n\r\n",
    "a blank in a header's name at the end": b"5\r\n{}\r\n0\r\nName : x\r\n\r\n",
    "a length at the end": b"5\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a bare LF at the end": b"5\r\n{}\r\n0\r\na: b\n\n\r\n\r\n",
    "many headers at the end": b"5\r\n{}\r\n0\r\n" + b"a: b\r\n" * 200 + b"\r\n",
}


def chunked(browser: Browser, corridor: Corridor, body: bytes, *, path: str, content_type: str) -> Answer:
    """What the application answers to a body as gunicorn hands it over: unread, and parsed while it is read."""
    builder = EnvironBuilder(path, method="POST", headers={"Host": HOST, "Origin": URL, "X-Forwarded-For": OFFICE})
    environ = builder.get_environ() | {"REMOTE_ADDR": PROXY, "CONTENT_TYPE": content_type}
    environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    environ |= {"HTTP_COOKIE": f"__Host-broker={browser.token}"}
    request = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    environ["wsgi.input"] = next(RequestParser(Config(), iter([request + body]), ("127.0.0.1", 1))).body
    environ.pop("CONTENT_LENGTH", None)
    return Answer(*run_wsgi_app(corridor.app, environ, buffered=True), builder.get_request())


@pytest.mark.parametrize(("path", "kind"), [("/sign-in", FORM), ("/api/v1/credentials", JSON), ("/sign-out", "text/x")])
@pytest.mark.parametrize("what", CHUNKS)
def test_chunks_that_are_broken_are_the_senders_fault(
    corridor: Corridor, browser: Browser, caplog: pytest.LogCaptureFixture, what: str, path: str, kind: str
) -> None:
    body = CHUNKS[what].replace(b"{}", CANARY[:5].encode())
    with caplog.at_level(logging.DEBUG):
        answer = chunked(browser, corridor, body, path=path, content_type=kind)
    assert answer.status_code == 400, answer.text
    assert corridor.tags(answer) == []
    for where in (answer.text, str(answer.headers), caplog.text):
        assert CANARY[:5] not in where


def test_the_control_chunks_that_are_whole(corridor: Corridor, stranger: Browser) -> None:
    name = corridor.nobody()
    sent = f"csrf_token={stranger.csrf}&provider={PROVIDER}&username={name}&password=x".encode()
    body = b"%x\r\n%s\r\n1;note=x\r\ny\r\n0\r\nX-Trailer: x\r\n\r\n" % (len(sent), sent)
    answer = chunked(stranger, corridor, body, path="/sign-in", content_type=FORM)
    assert answer.status_code == 401, answer.text
    assert len(corridor.events(answer)) == 1
    much = b"%x\r\n%s\r\n0\r\n\r\n" % (LARGEST_BODY + 1, b"a" * (LARGEST_BODY + 1))
    assert chunked(stranger, corridor, much, path="/sign-in", content_type=FORM).status_code == 413


def form(stranger: Browser, **fields: str | list[str]) -> Answer:
    given = {"csrf_token": stranger.csrf, "provider": PROVIDER, "username": "nobody", "password": "x", **fields}
    return stranger.open("POST", "/sign-in", headers={"Origin": URL}, data=given)


@pytest.mark.parametrize("name", ["provider", "username", "password"])
def test_each_field_counts_once_and_within_its_length(corridor: Corridor, stranger: Browser, name: str) -> None:
    page = stranger.last
    for value in ([CANARY, CANARY], [], CANARY * 200):
        stranger.last = page
        answer = form(stranger, **{name: value})
        assert answer.status_code == 400
        assert "The form is not complete." in answer.text
        assert CANARY not in answer.text
        assert corridor.tags(answer) == []
    stranger.last = page
    assert form(stranger, username=corridor.nobody()).status_code == 401


def test_a_query_is_no_form(corridor: Corridor, stranger: Browser) -> None:
    """A password in an address would be in every log on the way."""
    csrf = stranger.csrf
    path = f"/sign-in?provider={PROVIDER}&username=a&password=b&csrf_token={csrf}"
    answer = stranger.open("POST", path, headers={"Origin": URL}, data={"csrf_token": csrf})
    assert answer.status_code == 400
    assert corridor.tags(answer) == []


@pytest.mark.parametrize(
    "data",
    [
        "&" * 60_000,
        "a=1&" * 15_000,
        "=" * 60_000,
        "%" * 60_000,
        "csrf_token=" * 5000,
        "a[b][c]=1&" * 5000,
        "a=%ff%fe&" * 5000,
    ],
    ids=lambda data: data[:12],
)
def test_a_form_made_to_cost_costs_little(stranger: Browser, data: str) -> None:
    began = time.process_time()
    answer = stranger.open("POST", "/sign-in", headers={"Origin": URL}, data=data, content_type=FORM)
    assert answer.status_code == 400
    assert time.process_time() - began < 1.0


def test_many_parts_are_refused(stranger: Browser) -> None:
    parts = (
        "".join(f'--x\r\nContent-Disposition: form-data; name="f{n}"\r\n\r\n1\r\n' for n in range(100)) + "--x--\r\n"
    )
    answer = stranger.open(
        "POST", "/sign-in", headers={"Origin": URL}, data=parts, content_type="multipart/form-data; boundary=x"
    )
    assert answer.status_code == 413


def test_a_form_that_is_not_utf_8_is_no_form(corridor: Corridor, stranger: Browser) -> None:
    data = f"csrf_token={stranger.csrf}&provider={PROVIDER}&username=a&password=".encode() + b"\xff\xfe"
    answer = stranger.open("POST", "/sign-in", headers={"Origin": URL}, data=data, content_type=FORM)
    assert answer.status_code == 400
    assert corridor.tags(answer) == []


def test_a_file_is_no_field(corridor: Corridor, stranger: Browser) -> None:
    body = (
        '--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n' + stranger.csrf + "\r\n"
        '--x\r\nContent-Disposition: form-data; name="password"; filename="p"\r\n\r\nsecret\r\n--x--\r\n'
    )
    kind = "multipart/form-data; boundary=x"
    answer = stranger.open("POST", "/sign-in", headers={"Origin": URL}, data=body, content_type=kind)
    assert answer.status_code == 400
    assert corridor.tags(answer) == []


NAMES = [
    b"%ff%fe",
    b"%00",
    "a\u202eb".encode(),
    b"*)(objectClass=*",
    b"../../x",
    b"CORP%5C%5C%5Cada",
    b"a" * 256,
    "\U0001f600".encode(),
    b"'; drop table sessions; --",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_any_name_and_password_get_the_same_answer(corridor: Corridor, stranger: Browser, name: bytes) -> None:
    data = f"csrf_token={stranger.csrf}&provider={PROVIDER}&password=".encode() + name + b"&username=" + name
    answer = stranger.open("POST", "/sign-in", headers={"Origin": URL}, data=data, content_type=FORM)
    assert answer.status_code in {401, 429}, answer.text
    (event,) = corridor.events(answer)
    assert event.outcome == "denied"


HEADERS = ["Cookie", "X-CSRFToken", "User-Agent", "Referer", "Accept-Language", "X-Request-Id", "Authorization"]


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", ["x" * 60_000, "\xff\xfe", "__Host-broker=" + "=" * 9000, "a;" * 9000], ids=len)
def test_a_header_made_to_hurt_does_not(stranger: Browser, name: str, value: str) -> None:
    for path in ("/sign-in", "/api/v1/whoami", "/healthz"):
        answer = stranger.get(path, headers={name: value})
        assert answer.status_code in {200, 401}
        assert value not in answer.text
        assert answer.headers["X-Request-Id"] != value


def places(corridor: Corridor, browser: Browser, stranger: Browser) -> Iterator[Answer]:
    """Every place into which a stranger or a colleague can type something."""
    for visitor in (browser, stranger):
        yield visitor.get(f"/{CANARY}")
        yield visitor.get(f"/{CANARY}/../{CANARY}?{CANARY}={CANARY}#{CANARY}")
        yield visitor.get(f"/sign-in?next={CANARY}&{CANARY}")
        yield visitor.get(f"/challenge?method={CANARY}")
        yield visitor.get(f"/static/{CANARY}")
        yield visitor.get(f"/api/v1/{CANARY}?{CANARY}")
        yield visitor.get("/", headers={"User-Agent": CANARY, "Referer": CANARY, "Cookie": f"{CANARY}={CANARY}"})
        yield visitor.get("/", host=f"{CANARY}.example")
        yield visitor.open(CANARY.upper(), "/")
        yield visitor.open("POST", "/sign-in", headers={"Origin": f"https://{CANARY}"})
    stranger.visit("/sign-in")
    page = stranger.last
    for name in ("provider", "username", "password", "csrf_token", "other"):
        stranger.last = page
        yield form(stranger, **{"username": corridor.nobody(), name: CANARY})
    half = corridor.half_signed_in(corridor.person(enrolled=True))
    page = half.last
    codes: list[dict[str, Any]] = [
        {"method": CANARY, "answer": "1"},
        {"method": "totp", "answer": CANARY},
        {CANARY: CANARY},
    ]
    for fields in codes:
        half.last = page
        yield half.submit("/challenge", **fields)
    enrolling = corridor.half_signed_in(corridor.person())
    page = enrolling.last
    enrolments: list[dict[str, Any]] = [
        {"enrolment_code": CANARY, "answer": "1"},
        {"enrolment_code": "1", "answer": CANARY},
    ]
    for fields in enrolments:
        enrolling.last = page
        yield enrolling.submit("/enrol", **fields)
    yield browser.credentials(CANARY)
    yield browser.credentials(f"payments-dev/{CANARY}")
    yield browser.post("/api/v1/credentials", {"role": "x/y"}, csrf=CANARY)


def test_nothing_that_was_sent_comes_back_or_goes_into_a_log(
    corridor: Corridor, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = corridor.browser()
    seen = 0
    with caplog.at_level(logging.DEBUG):
        for answer in places(corridor, browser, stranger):
            seen += 1
            assert CANARY.lower() not in answer.text.lower(), answer.request.path
            assert CANARY.lower() not in str(answer.headers).lower(), answer.request.path
    assert seen == 33
    assert CANARY.lower() not in caplog.text.lower()


def test_bodies_tell_nothing_about_who_exists(corridor: Corridor) -> None:
    """Unknown, wrong, disabled, locked: byte for byte the same, but for the request's id and the form's token."""
    directory = corridor.world.directory
    known, disabled, locked, strange = (corridor.person() for _ in range(4))
    directory.disable(disabled.account)
    for number in range(50):
        _wrong_at_the_directory(corridor, locked.account, f"wrong-{number}")
    tries = {
        "unknown": (corridor.nobody(), "x"),
        "wrong": (known.account, "not it"),
        "disabled": (disabled.account, disabled.password),
        "disabled and wrong": (disabled.account, "not it"),
        "locked": (locked.account, locked.password),
        "not allowed": ("a*b", strange.password),
        "empty": ("", "x"),
        "no password": (strange.account, ""),
    }
    told = {}
    for what, (username, password) in tries.items():
        browser = corridor.browser()
        browser.visit("/sign-in")
        answer = browser.submit("/sign-in", provider=PROVIDER, username=username, password=password)
        text = re.sub(r'value="[^"]{40,}"', "TOKEN", answer.text).replace(answer.headers["X-Request-Id"], "ID")
        headers = {name: value for name, value in answer.headers if name not in {"X-Request-Id", "Content-Length"}}
        told[what] = (answer.status_code, text, tuple(sorted(headers)), "Set-Cookie" in answer.headers)
        assert answer.status_code == 401, what
    assert len(set(told.values())) == 1, told


def _wrong_at_the_directory(corridor: Corridor, account: str, password: str) -> None:
    """As another program would, past the broker's own guard."""
    provider = corridor.parts.providers[PROVIDER]
    controllers = provider._controllers  # type: ignore[attr-defined]  # noqa: SLF001
    number = account.removeprefix("developer").lstrip("0") or "0"
    dn = f"CN=developer {number},OU=Staff,DC=corp,DC=example"
    controllers.bind(dn, password.encode(), controllers.deadline())
