"""What the broker says about one role, for people."""

from __future__ import annotations

from .checked import Checked
from .failure import one_line


def told(body: Checked) -> str:
    """The verdict, each rule's part in it, and what to do."""
    lines = [one_line(body.text("summary")), *(f"  {line}" for line in map(one_line, body.texts("lines")))]
    opens = body.text("opens_at", default="", most=40)
    lines += [f"It opens at {one_line(opens)}."] if opens else []
    return "\n".join([*lines, one_line(body.text("next_step", default=""))]).rstrip() + "\n"
