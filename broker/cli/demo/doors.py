"""The part of `broker demo --check` that goes through the doors: the pages, the console, the workstation program."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from broker.cli.demo.laptop import Laptop, aws_programs, consenting
from broker.cli.demo.world import REGION, Demo
from broker.sandbox.browser import Browser

PAGES = {"/": "Your roles", "/why": "Why", "/cli": "Set up your CLI", "/sessions": "My sessions"}
PROFILE = re.compile(r"\[profile ([^\]\s]+)\]")

Steps = Iterator[tuple[str, bool, str]]


def pages(browser: Browser, role: str) -> Steps:
    """Every page that somebody signed in can look at."""
    wanted = PAGES | {f"/access-keys?role={role}": "Access keys", f"/console?role={role}": "Open the AWS console"}
    for path, title in wanted.items():
        page = browser.get(path)
        heading = re.search(r"<h1>(.*?)</h1>", page.text)
        fine = page.status == HTTPStatus.OK and heading is not None and title in heading[1]
        if not fine:
            yield "pages", False, f"{path} answered {page.status}"
            return
    yield "pages", True, f"{len(wanted)} pages looked at, and nothing was issued by looking"


def console(demo: Demo, browser: Browser, role: str, account: str) -> Steps:
    """From the broker's page through the hand-over into the console."""
    browser.get(f"/console?role={role}&service=s3&region={REGION}")
    page = browser.post_form(*browser.page.form("/console"))
    opened = "<form" in page.text and demo.sign_in.url in page.text
    yield "console asked for", opened, f"{role} answered {page.status}, with a form for the sign-in endpoint"
    action, fields = page.form(demo.sign_in.url)
    back = urlsplit(Browser(demo.sign_in.url).post_form(_path(action), fields).away)
    arrived = Browser(demo.sign_in.console_url).get(_path(back.geturl()))
    told = re.sub(r"<[^>]+>", " ", arrived.text)
    fine = arrived.status == HTTPStatus.OK and all(word in told for word in (account, "210987654321", REGION))
    addresses = (page.url, action, back.geturl(), arrived.url)
    fine = fine and not any(fields["SigninToken"] in address for address in addresses)
    yield "console", fine, f"signed in at {arrived.path} as {account}, and the token was in no address"


def workstation(demo: Demo, browser: Browser, role: str, arn: str) -> Steps:
    """`aws-broker login`, `configure`, `process`, and the AWS CLI through the profile, where there is one."""
    home = demo.folder / "laptop"
    home.mkdir(exist_ok=True)
    laptop = Laptop(home=home, server=demo.url, aws_endpoint=demo.sts.url, region=REGION)
    done = laptop.login(consenting(browser))
    yield "aws-broker login", done.returncode == 0, _last(done.stdout) or "let in from the browser"
    done = laptop.broker("configure")
    written = (home / ".aws" / "config").read_text("utf-8") if done.returncode == 0 else ""
    names = PROFILE.findall(written)
    yield "aws-broker configure", bool(names), f"profiles: {', '.join(names)}"
    done = laptop.broker("process", "--role", role)
    fine = done.returncode == 0 and json.loads(done.stdout)["Version"] == 1
    yield "credential_process", fine, _last(done.stderr) or f"credentials for {role}"
    for aws in aws_programs():
        done = laptop.identity(aws, names[0])
        found = json.loads(done.stdout)["Arn"] if done.returncode == 0 else _last(done.stderr)
        yield "AWS CLI", found == arn, f"{aws} --profile {names[0]}: {found}"
    done = laptop.broker("logout")
    yield "aws-broker logout", done.returncode == 0, "signed out, and its credentials forgotten"


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
