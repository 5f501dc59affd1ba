"""How the program fails: an exit code that scripts can rely on, a sentence, and the next step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

OK, FAILED, USAGE, CANCELLED, SIGN_IN, DENIED, STEP_UP, AWAY, CONFIG, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 9, 10, 130

MEANING: Mapping[int, str] = {
    OK: "ok",
    FAILED: "failure",
    USAGE: "the command was not understood, or the role is not known",
    CANCELLED: "cancelled, or nobody came in time",
    SIGN_IN: "sign-in needed",
    DENIED: "denied by policy",
    STEP_UP: "a stronger or fresher second factor is needed",
    AWAY: "the broker or AWS cannot be reached: try again later",
    CONFIG: "something is wrong with the configuration or the files of this machine",
    INTERRUPTED: "interrupted",
}
SLUG: Mapping[int, str] = {
    FAILED: "failure",
    USAGE: "usage",
    CANCELLED: "cancelled",
    SIGN_IN: "not-signed-in",
    DENIED: "denied",
    STEP_UP: "step-up",
    AWAY: "unavailable",
    CONFIG: "configuration-invalid",
    INTERRUPTED: "interrupted",
}
TYPE = "urn:aws-federation-broker:problem:"


class Failure(Exception):
    """The one exception of this program. Carries no secret."""

    def __init__(self, code: int, title: str, *, step: str = "", problem: Mapping[str, Any] | None = None) -> None:
        """`step`: what to do next; `problem`: what the broker said (RFC 9457), if it said something."""
        super().__init__(title)
        self.code = code
        self.title = title
        self.step = step
        self.problem = dict(problem or {})
        self.retry_after = 0
        """Seconds, where the broker named them."""

    @property
    def line(self) -> str:
        """All of it on one line."""
        return one_line(" ".join(filter(None, (self.title, self.step))))

    def as_problem(self) -> str:
        """All of it as a problem (RFC 9457); `exit_code` and `next` are ours."""
        told = {"type": TYPE + SLUG.get(self.code, "failure"), "title": self.title, **self.problem}
        return json.dumps({**told, "next": self.step, "exit_code": self.code}, ensure_ascii=True)


def printable(text: str) -> str:
    """Without what would steer a terminal, or cannot be written at all; lines and tabs stay.

    All that is written passes here (`run.say`, `run.put`): most of it comes from the broker.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)


def one_line(text: str) -> str:
    """On one line, and printable."""
    return " ".join(printable(text).split())
