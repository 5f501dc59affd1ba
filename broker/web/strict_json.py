"""JSON as it is read here: what two readers could understand differently is refused."""

import json
from typing import Any, NoReturn

from flask.json.provider import DefaultJSONProvider


class StrictJson(DefaultJSONProvider):
    """Flask's own, but a body must be UTF-8, name each key once, hold no NaN, and be nested no deeper than Python goes.

    What is refused raises `ValueError`, which Flask turns into an empty body or a 400.
    """

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:  # noqa: ANN401 (JSON)
        """Read, or raise `ValueError`."""
        try:
            text = s.decode("utf-8") if isinstance(s, bytes) else s
            return json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_constant, **kwargs)
        except RecursionError as error:
            message = "nested too deep"
            raise ValueError(message) from error


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):  # check: json-key-twice
        message = "a key stands there twice"
        raise ValueError(message)
    return found


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)
