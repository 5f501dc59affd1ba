"""The language of a page: the browser's, among those that the broker speaks; English where there is none.

English sentences are the message ids, also those that the rooms put into errors and verdicts: `told_in` looks them up
when they are shown. Problems of the API stay English: programs and logs read them. The catalogues are in
`translations/`; `make docs` puts new sentences there and compiles them.
"""

import re

from flask import Flask, Response, has_request_context, request
from flask_babel import Babel, get_locale, gettext

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de")

SHAPES = (
    "%(neighbour)s cannot be reached",
    "Open %(address)s",
    "Open %(address)s and try again there.",
    "This role can be used %(when)s (%(zone)s).",
    "This role needs %(wanted)s.",
    "This role needs %(wanted)s, shown in the last %(age)s.",
    "This role needs a connection over TLS %(version)s or newer.",
    (
        "Tell your operators: the clocks of the broker and of %(name)s are %(apart)s apart; correct the time "
        "synchronisation (chrony, systemd-timesyncd) of the one that is wrong."
    ),
    "The broker does not know the console of the partition %(partition)s.",
    "The region %(region)s is not one of the role's partition.",
    "A stored %(thing)s was altered, or kept under a key that the broker does not have.",
    "See to the person %(id)s in the database.",
)
"""Sentences of the rooms that carry values."""
WORDS = (
    *("mon", "tue", "wed", "thu", "fri", "sat", "sun", "every day"),
    *("a second factor", "totp", "recovery code", "webauthn", "hardware token", "or"),
    *("Authenticator app", "Recovery code"),
)
"""What is not a sentence: names, and words within such values."""

_VALUE = re.compile(r"%\\\((\w+)\\\)s")
_PATTERNS = tuple(
    (shape, re.compile(_VALUE.sub(r"(?P<\1>.+)", re.escape(shape)), re.DOTALL))
    for shape in sorted(SHAPES, key=len, reverse=True)
)
"""The longest first: a short one may fit what a long one says better."""
_WORDS = re.compile(r"\b(" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")\b")


def install(app: Flask) -> None:
    """Give the templates `_`, `{% trans %}`, `told()`, `language()` and `direction()`."""
    app.config.update(BABEL_DEFAULT_LOCALE=ENGLISH, BABEL_DEFAULT_TIMEZONE="UTC")
    Babel(app, locale_selector=_asked_for)
    app.jinja_env.globals.update(language=language, direction=direction, told=told_in)
    app.after_request(_vary)


def _asked_for() -> str:
    """The best of the browser's languages: known before the sign-in, and the same after it.

    By their first part: who asks for en-GB before de is to have English, which Werkzeug's `best_match` sees otherwise.
    """
    asked = request.accept_languages if has_request_context() else ()
    first = (tag.replace("_", "-").partition("-")[0].lower() for tag, quality in asked if quality > 0)
    return next((tag for tag in first if tag in LANGUAGES), ENGLISH)


def language() -> str:
    """The page's language, for `<html lang>`."""
    return str(get_locale() or ENGLISH)


def direction() -> str:
    """Which way it is written, for `<html dir>`."""
    locale = get_locale()
    return "rtl" if locale is not None and locale.text_direction == "rtl" else "ltr"


def told_in(sentence: str) -> str:
    """A sentence that a room made (`told` in templates), in the reader's language; as it is if nobody translated it."""
    if not sentence or language() == ENGLISH:
        return sentence
    found: str = gettext(sentence)
    if found != sentence:
        return found
    if shaped := fits(sentence):
        shape, values = shaped
        return str(gettext(shape, **{name: _WORDS.sub(_word, value) for name, value in values.items()}))
    return sentence


def fits(sentence: str) -> tuple[str, dict[str, str]] | None:
    """The shape of a sentence that carries values, and these."""
    for shape, pattern in _PATTERNS:
        if values := pattern.fullmatch(sentence):
            return shape, values.groupdict()
    return None


def _word(found: re.Match[str]) -> str:
    return str(gettext(found[0]))


def _vary(response: Response) -> Response:
    """A cache keeps each language apart."""
    if response.mimetype == "text/html":
        response.vary.add("Accept-Language")
    return response
