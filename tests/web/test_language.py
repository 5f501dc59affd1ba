"""Pages speak the browser's language; programs are spoken to in English."""

import pytest
from corridor import PROVIDER, URL, Browser, Corridor
from flask import Flask

from broker.web import language
from broker.web.language import told_in

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}


@pytest.mark.parametrize(
    ("asked", "lang", "says"),
    [
        ("de", "de", "Anmelden"),
        ("de-CH;q=0.9,fr", "de", "Anmelden"),
        ("fr,de;q=0.1", "de", "Anmelden"),
        ("de;q=0,en;q=0.1", "en", "Sign in"),
        ("en-GB,de;q=0.5", "en", "Sign in"),
        ("fr", "en", "Sign in"),
        ("*", "en", "Sign in"),
        ("../../de", "en", "Sign in"),
        ("", "en", "Sign in"),
    ],
)
def test_a_page_speaks_the_best_of_the_browsers_languages(corridor: Corridor, asked: str, lang: str, says: str) -> None:
    answer = Browser(corridor.app).get("/sign-in", headers={"Accept-Language": asked})
    assert f'<html lang="{lang}" dir="ltr">' in answer.text
    assert f"<h1>{says}</h1>" in answer.text
    assert "Accept-Language" in answer.headers["Vary"]


def test_an_error_is_told_in_the_readers_language_and_a_problem_in_english(corridor: Corridor) -> None:
    browser = Browser(corridor.app)
    assert "Unter dieser Adresse gibt es nichts." in browser.get("/nothing", headers=GERMAN).text
    assert browser.get("/api/v1/nothing", headers=GERMAN).json["title"] == "There is nothing at this address."


def test_a_wrong_password_is_told_in_the_readers_language(corridor: Corridor) -> None:
    browser = Browser(corridor.app)
    browser.visit("/sign-in")
    form = {"csrf_token": browser.csrf, "provider": PROVIDER, "username": "nobody-there", "password": "wrong"}
    answer = browser.open("POST", "/sign-in", headers={"Origin": URL, **GERMAN}, data=form)
    assert answer.status_code == 401
    assert "Der Name oder das Passwort stimmt nicht" in answer.text


@pytest.fixture
def german() -> Flask:
    app = Flask("broker.web.wsgi")
    language.install(app)
    return app


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        ("That code is not right.", "Dieser Code stimmt nicht."),
        (
            "This role needs a connection over TLS 1.3 or newer.",
            "Diese Rolle braucht eine Verbindung über TLS 1.3 oder neuer.",
        ),
        ("This role needs a second factor.", "Diese Rolle braucht einen zweiten Faktor."),
        (
            "This role needs totp or recovery code, shown in the last 15m.",
            "Diese Rolle braucht Authenticator-App oder Wiederherstellungscode, gezeigt in den letzten 15m.",
        ),
        (
            "This role can be used mon, fri 08:00-18:00 (Europe/Berlin).",
            "Diese Rolle ist nutzbar: Mo, Fr 08:00-18:00 (Europe/Berlin).",
        ),
        ("100% unheard of %(values)s.", "100% unheard of %(values)s."),
        ("", ""),
    ],
)
def test_what_a_room_says_is_translated_with_its_values(german: Flask, sentence: str, says: str) -> None:
    with german.test_request_context(headers=GERMAN):
        assert told_in(sentence) == says
    with german.test_request_context(headers={"Accept-Language": "en"}):
        assert told_in(sentence) == sentence
