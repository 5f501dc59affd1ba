"""The pages of a sign-in: password, enrolment, second factor. Each step returns to `go_on`, which asks `flow`.

Plain forms, so a password never travels in a JSON API. Only our own paths are ever redirected to (`deep_link`).
"""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, session, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from broker import flow
from broker.authenticate.provider import SignInRefused
from broker.challenge.enrol import Asks
from broker.challenge.factor import Factor, FactorRefused
from broker.errors import BrokerError, InvalidRequest, TooManyAttempts
from broker.evaluate.condition import Circumstances
from broker.flow import Next, Parts
from broker.flow.parts import proof_of
from broker.sessions.session import Session
from broker.web import deep_link, known
from broker.web.cookie import GO_ON, advance, current_session, leave, live_session
from broker.web.errors import retry_headers, status_of
from broker.web.guard import Audience, audience
from broker.web.language import told_in

PENDING = "enrolment"
"""The note that holds the sealed enrolment under way."""
STEPS = {
    Next.SIGN_IN: "signin.sign_in_page",
    Next.ENROL: "signin.enrol_page",
    Next.CHALLENGE: "signin.challenge_page",
}

Page = str | AnyResponse | tuple[str, int, dict[str, str]]
Now = Callable[[], Circumstances]


def make(parts: Parts, now: Now) -> Blueprint:
    """The blueprint."""
    pages = Blueprint("signin", __name__)
    for add in (_dispatcher, _password, _enrolment, _challenge, _goodbye):
        add(pages, parts, now)
    return pages


def _dispatcher(pages: Blueprint, parts: Parts, now: Now) -> None:
    del now

    @pages.get("/go-on")
    @audience(Audience.ANYBODY)
    def go_on() -> AnyResponse:
        step = flow.next_step(parts, current_session())
        if step is not Next.GO_ON:
            return redirect(url_for(STEPS[step]), HTTPStatus.SEE_OTHER)
        return redirect(deep_link.own_path(session.pop(GO_ON, "/")), HTTPStatus.SEE_OTHER)


def _password(pages: Blueprint, parts: Parts, now: Now) -> None:
    @pages.get("/sign-in")
    @audience(Audience.ANYBODY)
    def sign_in_page() -> Page:
        onward = deep_link.carried()
        if flow.next_step(parts, current_session()) is not Next.SIGN_IN:
            deep_link.keep(onward)
            return _onward()
        return render_template("signin.html", providers=list(parts.providers), onward=onward)

    @pages.post("/sign-in")
    @audience(Audience.ANYBODY)
    def sign_in() -> Page:
        moment = now()
        before = current_session() or parts.sessions.blank(moment.now, address=str(moment.address or ""))
        try:
            signed_in = flow.sign_in(
                parts,
                before,
                provider=_field("provider", 64),
                username=_field("username", 256),
                password=_field("password", 1024),
                circumstances=moment,
                known=known.of_request(_field("provider", 64)),
            )
        except (SignInRefused, TooManyAttempts) as no:
            return _again("signin.html", no, providers=list(parts.providers), onward=deep_link.carried())
        advance(parts.sessions, signed_in)
        deep_link.keep(deep_link.carried())
        return _onward()


def _enrolment(pages: Blueprint, parts: Parts, now: Now) -> None:
    def page(no: BrokerError | None = None) -> Page:
        try:
            pending, asks = flow.enrolment(parts, _session(), session.get(PENDING, ""), now())
        except FactorRefused:  # with it the session has ended: the way is back to the password
            leave()
            raise
        session[PENDING] = pending.sealed
        qr = Markup(pending.qr_svg)  # noqa: S704 (segno made it, of a URI that we made)
        values = {"qr": qr, "key": pending.text_key, "needs_code": asks is Asks.CODE, "who": _who()}
        return render_template("enrol.html", **values) if no is None else _again("enrol.html", no, **values)

    @pages.get("/enrol")
    @audience(Audience.HALF)
    def enrol_page() -> Page:
        if flow.next_step(parts, current_session()) is not Next.ENROL:
            return _onward()
        return page()

    @pages.post("/enrol")
    @audience(Audience.HALF)
    def enrol() -> Page:
        if flow.next_step(parts, current_session()) is not Next.ENROL:  # check: enrol-at-its-step
            return _onward()
        try:
            enrolled, codes = flow.enrol(
                parts,
                _session(),
                sealed=session.get(PENDING, ""),
                enrolment_code=_field("enrolment_code", 64, optional=True),
                answer=_field("answer", 16),
                circumstances=now(),
            )
        except (FactorRefused, TooManyAttempts) as no:
            return page(no)
        who = _who()
        _complete(parts, enrolled)
        return render_template("recovery_codes.html", codes=codes, who=who)


def _challenge(pages: Blueprint, parts: Parts, now: Now) -> None:
    @pages.get("/challenge")
    @audience(Audience.HALF)
    def challenge_page() -> Page:
        deep_link.keep(deep_link.carried())
        asked, others = _asked(parts, request.args.get("method", ""))
        return render_template("challenge.html", asked=asked, others=others, who=_who()) if asked else _onward()

    @pages.post("/challenge")
    @audience(Audience.HALF)
    def challenge() -> Page:
        asked, others = _asked(parts, _field("method", 32, optional=True))
        if asked is None:
            return _onward()
        answer = _field("answer", 64)
        try:
            shown = flow.show_factor(parts, _session(), method=asked.method, answer=answer, circumstances=now())
        except (FactorRefused, TooManyAttempts) as no:
            return _again("challenge.html", no, asked=asked, others=others, who=_who())
        _complete(parts, shown)
        return _onward()


def _complete(parts: Parts, changed: Session) -> None:
    """Password and factor are shown: go on under a new token, in a browser that is known from now on."""
    advance(parts.sessions, changed)
    known.remember(proof_of(changed).identity)


def _asked(parts: Parts, method: str) -> tuple[Factor | None, list[Factor]]:
    """Of the factors that this person has the one named, else the first; and the others."""
    factors = flow.factors(parts, _session())
    asked = next((factor for factor in factors if factor.method.value == method), factors[0] if factors else None)
    return asked, [factor for factor in factors if factor is not asked]


def _goodbye(pages: Blueprint, parts: Parts, now: Now) -> None:
    @pages.post("/sign-out")
    @audience(Audience.HALF)
    def sign_out() -> AnyResponse:
        flow.sign_out(parts, _session(), now())
        leave()
        answer = redirect(url_for("signin.sign_in_page"), HTTPStatus.SEE_OTHER)
        # Not "cookies": browsers would drop those of the whole domain, and with them that this browser is known.
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer


def _onward() -> AnyResponse:
    return redirect(url_for("signin.go_on"), HTTPStatus.SEE_OTHER)


def _session() -> Session:
    """The session of this request, with its notes as they are now."""
    return replace(live_session(), notes=dict(session))


def _who() -> str:
    identity = _session().identity
    return identity.display_name if identity else ""


def _field(name: str, longest: int, *, optional: bool = False) -> str:
    """One form field, exactly once, not longer than `longest`."""
    values = request.form.getlist(name)
    if optional and not values:
        return ""
    if len(values) != 1 or len(values[0]) > longest:  # check: one-field-of-a-name
        message = "The form is not complete."
        raise InvalidRequest(message, remedy="Load the page again and fill in every field.")
    return values[0]


def _again(template: str, no: BrokerError, **values: object) -> tuple[str, int, dict[str, str]]:
    """The same page once more, saying what was wrong in words that are the same for every reason."""
    page = render_template(template, message=told_in(no.message), remedy=told_in(no.remedy), **values)
    return page, status_of(no), retry_headers(no)
