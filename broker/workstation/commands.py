"""The commands: each asks, prints its data to standard output, and gives its exit code."""

from __future__ import annotations

import os
import secrets
from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import quote

from .cache import clear, folders
from .configure import configure
from .failure import AWAY, CONFIG, FAILED, OK, SIGN_IN, Failure
from .formats import FORMATS
from .login import Asker, open_browser, sign_in
from .private import remove
from .roles import KEY, Role, check_typed, fetch, one
from .run import Machine, put, say
from .server import Remembered, places, remember
from .signedin import everywhere
from .tables import as_csv, as_json, pairs, table
from .version import VERSION
from .whoami import WhoAmI, whoami
from .why import told

LAUNCH = 5.0
"""Seconds for the browser's own starter to have started it."""
ROLE_COLUMNS = ("ROLE", "ACCOUNT", "ENV", "NOW", "WHY NOT")


def _machine(asked: Namespace) -> Machine:
    return Machine(os.environ, server=asked.server)


def login(asked: Namespace) -> int:
    """Sign in, unless somebody is."""
    ca_file = os.path.abspath(asked.ca_file) if asked.ca_file else ""
    machine = Machine(os.environ, server=asked.server, ca_file=ca_file)
    if not asked.force:
        found = _who(machine)
        if found is not None:
            _remember(machine, flag=asked.server)
            say(f"Signed in already, as {found.who}. For a new sign-in: aws-broker login --force")
            return _show(found, machine, asked)
    page = machine.signed_in().page(f"login-{secrets.token_hex(4)}")
    asker = Asker(not asked.no_browser, asked.timeout, page, machine.clock, lambda url: put(f"{url}\n"), say)
    tokens = sign_in(machine.fresh_wire, asker, environ=machine.environ, now=machine.now)
    signed_in = machine.signed_in()
    before = signed_in.keep(tokens, clear=machine.cache().clear)  # another person's, perhaps
    _remember(machine, flag=asked.server)  # not before: a name with a typo, or of a trap, is not the usual one
    if before is not None:
        try:
            signed_in.revoke(before)
        except Failure as failure:
            say(f"The sign-in from before could not be ended: {failure.line}")
    found = whoami(signed_in)
    url = machine.server.url
    say(f"Signed in as {found.who} at {url}. If that is not you: aws-broker logout --server {url}")
    return _show(found, machine, asked)


def _who(machine: Machine) -> WhoAmI | None:
    """Who is signed in; None: nobody."""
    try:
        return whoami(machine.signed_in())
    except Failure as failure:
        if failure.code != SIGN_IN:
            raise
        return None


def _remember(machine: Machine, *, flag: str) -> None:
    """The broker of `--server` becomes the usual one; so does the only one. Its `--ca-file` is kept in any case."""
    known, url = machine.known, machine.server.url
    files = {**known.ca_files, **({url: machine.ca_file} if machine.ca_file else {})}
    new = Remembered(server=url if flag or not known.server else known.server, ca_files=files)
    if new != known:
        remember(machine.at, new)


def _show(found: WhoAmI, machine: Machine, asked: Namespace) -> int:
    if asked.output == "json":
        put(as_json({"server": machine.server.url, **found._asdict()}))
    elif asked.run == "status":
        put(pairs({"broker": machine.server.url, **found.lines}))
    return OK


def status(asked: Namespace) -> int:
    """Who is signed in."""
    machine = _machine(asked)
    return _show(whoami(machine.signed_in()), machine, asked)


def logout(asked: Namespace) -> int:
    """Forget everything of this machine's sign-in, and tell the broker."""
    if not asked.all:
        return _logout(_machine(asked).server.url, asked)
    at = places(os.environ)
    urls, broken = everywhere(at)
    if not urls:
        say("Nobody was signed in anywhere.")
    steps = [partial(_logout, url, asked) for url in urls]
    steps += [partial(_drop, path) for path in broken]
    steps += [partial(_clear, folder) for folder in folders(at)]  # credentials outlive a sign-in
    return next(filter(None, [_tried(step) for step in steps]), OK)


def _tried(step: Callable[[], int]) -> int:
    """The exit code of one of several: what goes wrong with it does not keep the others from being done."""
    try:
        return step()
    except Failure as failure:
        say(failure.line)
        return failure.code


def _drop(path: str) -> int:
    remove(path)
    say(f"{path} was broken, or open to others: it is removed. End that sign-in on the broker's page Sessions.")
    return CONFIG


def _clear(folder: str) -> int:
    clear(folder)
    return OK


def _logout(url: str, asked: Namespace) -> int:
    each = Machine(os.environ, server=url)
    signed_in = each.signed_in()
    if asked.everywhere:
        ended = signed_in.post("/api/v1/sign-out-everywhere", {}).number("ended", 0, 1_000_000)
        say(f"Ended {ended} sign-ins at {url}: browsers, programs, this one.")
    tokens = signed_in.forget(clear=each.cache().clear)
    if tokens is None:
        say(f"Nobody was signed in at {url}.")
        return OK
    try:
        signed_in.revoke(tokens)
    except Failure as failure:
        say(f"Signed out here; {url} could not be told: {failure.line} End it there: {url}/sessions")
        return failure.code if failure.code == AWAY else FAILED
    say(f"Signed out of {url}.")
    return OK


def roles(asked: Namespace) -> int:
    """The list of roles."""
    machine = _machine(asked)
    found = [role for role in fetch(machine.signed_in()) if _wanted(role, asked)]
    if asked.output == "json":
        put(as_json([role._asdict() for role in found]))
    elif asked.output == "csv":
        put(as_csv(Role._fields, [[str(value) for value in role] for role in found]))
    elif found:
        put(table(ROLE_COLUMNS, [_row(role) for role in found]))
    else:
        say(f"No role fits. All that you have: {machine.server.url}; why one is missing: aws-broker why ROLE")
    return OK


def _row(role: Role) -> tuple[str, ...]:
    opens = f" Opens {role.opens_at}." if role.opens_at else ""
    now = {"now": "yes", "step-up": "second factor", "refused": "no"}[role.available]
    return (role.role, role.account_id, role.env, now, role.reason + opens)


def _wanted(role: Role, asked: Namespace) -> bool:
    text = f"{role.role} {role.account_id} {role.env} {role.role_arn} {role.description}".lower()
    return (
        asked.account in {"", role.account, role.account_id}
        and asked.env in {"", role.env}
        and asked.search.lower() in text
    )


def creds(asked: Namespace) -> int:
    """Credentials, in one of the formats."""
    cache, typed = _machine(asked).cache(), check_typed(asked.role)
    new = asked.no_cache or asked.duration is not None
    put(FORMATS[asked.format](cache.ask(typed, asked.duration) if new else cache.get(typed)))
    return OK


def process(asked: Namespace) -> int:
    """What `credential_process` wants. Never asks a person."""
    put(_machine(asked).cache().get(check_typed(asked.role)).process_line + "\n")
    return OK


def console(asked: Namespace) -> int:
    """A one-time link to the console, opened in the browser that the same person is signed in with."""
    machine = _machine(asked)
    signed_in = machine.signed_in()
    typed = check_typed(asked.role)
    role = typed if KEY.fullmatch(typed) else one(fetch(signed_in), typed, machine.server.url).role
    wanted = {"role": role, "service": asked.service, "region": asked.region}
    body = signed_in.post("/api/v1/console-links", {name: value for name, value in wanted.items() if value})
    url = body.text("url", most=2000)
    if not url.startswith(f"{machine.server.url}/console/link/") or not url.isprintable():  # check: console-link-origin
        member = "url"
        raise body.odd(member)
    if asked.output == "json":
        put(as_json({"url": url, "expires_at": body.text("expires_at", most=40)}))
    elif asked.only_print or not open_browser(url, machine.environ, page=signed_in.page("console"), seconds=LAUNCH):
        put(f"{url}\n")
    return OK


def why(asked: Namespace) -> int:
    """What the mapping says about one role."""
    machine = _machine(asked)
    body = machine.signed_in().get(f"/api/v1/why?role={quote(check_typed(asked.role), safe='')}")
    put(as_json(body.all) if asked.output == "json" else told(body))
    return OK


def version(_: Namespace) -> int:
    """Which program this is."""
    put(f"aws-broker {VERSION}\n")
    return OK


COMMANDS: Mapping[str, Callable[[Namespace], int]] = {
    "login": login,
    "logout": logout,
    "status": status,
    "roles": roles,
    "creds": creds,
    "process": process,
    "console": console,
    "configure": configure,
    "why": why,
    "version": version,
}
