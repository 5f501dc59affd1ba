r"""The AWS Query protocol: form parameters in, XML out, both driven by botocore's own service model of STS.

Lengths, patterns, ranges, required members and the names and order of the answer's elements all come from that model,
so that they are AWS's and not ours. Two readings of it: `\w` and `\d` are ASCII, as in AWS's own expressions, and a
parameter that the model does not have is refused (AWS ignores it; a misspelt one should not pass unseen here).
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from botocore.loaders import Loader

from broker.sandbox.sts.refusal import constraints, failure, validation

VERSION = "2011-06-15"
_CLASSES = {r"\p{L}": "a", r"\p{N}": "0", r"\p{Z}": " "}
"""Unicode classes in AWS's patterns, which Python's `re` lacks: each is replaced by a member, and so is the text."""
_CLASS_MEMBER = {name[3]: member for name, member in _CLASSES.items()}
_NOT_IN_XML = re.compile(r"[^\t\n\r -\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")

Shape = Mapping[str, Any]
Parameters = dict[str, Any]
"""Member names of the model to `str`, `int`, lists and dictionaries, as the model's shapes say."""


@cache
def model() -> Mapping[str, Any]:
    """The service model of STS that botocore ships."""
    found: Mapping[str, Any] = Loader().load_service_model("sts", "service-2")
    return found


@cache
def _partitions() -> tuple[tuple[str, re.Pattern[str]], ...]:
    found = Loader().load_data("partitions")["partitions"]
    return tuple((partition["id"], re.compile(partition["regionRegex"], re.ASCII)) for partition in found)


def partition_of(region: str) -> str:
    """The partition that `region` belongs to by botocore's endpoint rules; empty for none."""
    return next((name for name, pattern in _partitions() if pattern.match(region)), "")


def parameters(action: str, given: Mapping[str, str]) -> Parameters:
    """The parameters of `action`, within every limit of the model; raises `Refusal`."""
    left = dict(given)
    failures: list[str] = []
    shape = model()["operations"][action].get("input", {}).get("shape")
    found = _structure(_shape(shape), "", "", left, failures) if shape else {}
    if left:
        message = f"{action} has no parameter {min(left)[:128]}"
        raise validation(message)
    if failures:
        raise constraints(failures)
    return found or {}


def answer(action: str, values: Mapping[str, object], request_id: str) -> str:
    """The XML of a success."""
    output = model()["operations"][action]["output"]
    wrapper = output["resultWrapper"]
    inside = f"<{wrapper}>{_xml(_shape(output['shape']), values)}</{wrapper}>"
    identifier = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return f'<{action}Response xmlns="{_namespace()}">{inside}{identifier}</{action}Response>'


def error(code: str, message: str, status: int, request_id: str) -> str:
    """The XML of a refusal."""
    kind = "Receiver" if status >= 500 else "Sender"  # noqa: PLR2004 (5xx is the server's fault)
    inside = f"<Type>{kind}</Type><Code>{_text(code)}</Code><Message>{_text(message)}</Message>"
    identifier = f"<RequestId>{request_id}</RequestId>"
    return f'<ErrorResponse xmlns="{_namespace()}"><Error>{inside}</Error>{identifier}</ErrorResponse>'


def timestamp(when: datetime) -> str:
    """An instant as AWS writes it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _namespace() -> str:
    return str(model()["metadata"]["xmlNamespace"])


def _shape(name: str) -> Shape:
    found: Shape = model()["shapes"][name]
    return found


def _structure(shape: Shape, prefix: str, path: str, left: dict[str, str], failures: list[str]) -> Parameters | None:
    """Take the members of `shape` out of `left`; None when there are none."""
    found: Parameters = {}
    for name, member in shape["members"].items():
        value = _value(_shape(member["shape"]), prefix + name, path + name[0].lower() + name[1:], left, failures)
        if value is not None:
            found[name] = value
    if found or not prefix:
        missing = [name for name in shape.get("required", ()) if name not in found]
        failures += [failure(None, path + name[0].lower() + name[1:], "Member must not be null") for name in missing]
    return found or None


def _value(shape: Shape, name: str, path: str, left: dict[str, str], failures: list[str]) -> Any:  # noqa: ANN401 (as the model says)
    match shape["type"]:
        case "structure":
            return _structure(shape, f"{name}.", f"{path}.", left, failures)
        case "list":
            return _list(shape, name, path, left, failures)
        case "integer":
            return _integer(shape, left.pop(name, None), path, failures)
        case _:
            return _string(shape, left.pop(name, None), path, failures)


def _list(shape: Shape, name: str, path: str, left: dict[str, str], failures: list[str]) -> list[Any] | None:
    if left.get(name) == "":  # how clients write an empty list
        del left[name]
        return []
    found: list[Any] = []
    inner = _shape(shape["member"]["shape"])
    while True:
        position = len(found) + 1
        value = _value(inner, f"{name}.member.{position}", f"{path}.{position}.member", left, failures)
        if value is None:
            break
        found.append(value)
    if len(found) > shape.get("max", len(found)):
        failures.append(failure("[...]", path, f"Member must have length less than or equal to {shape['max']}"))
    return found or None


def _integer(shape: Shape, text: str | None, path: str, failures: list[str]) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"-?\d{1,10}", text, re.ASCII):
        failures.append(failure(text, path, "Member must be a valid integer"))
        return None
    value = int(text)
    if value < shape.get("min", value):
        failures.append(failure(text, path, f"Member must have value greater than or equal to {shape['min']}"))
    if value > shape.get("max", value):
        failures.append(failure(text, path, f"Member must have value less than or equal to {shape['max']}"))
    return value


def _string(shape: Shape, text: str | None, path: str, failures: list[str]) -> str | None:
    if text is None:
        return None
    if len(text) < shape.get("min", 0):
        failures.append(failure(text, path, f"Member must have length greater than or equal to {shape['min']}"))
    if len(text) > shape.get("max", len(text)):
        failures.append(failure(text, path, f"Member must have length less than or equal to {shape['max']}"))
    if not _fits(text, shape.get("pattern", "")):
        failures.append(failure(text, path, f"Member must satisfy regular expression pattern: {shape['pattern']}"))
    return text


def _fits(text: str, pattern: str) -> bool:
    if not pattern:
        return True
    if r"\p{" in pattern:
        for name, member in _CLASSES.items():
            pattern = pattern.replace(name, member)
        text = "".join(_CLASS_MEMBER.get(unicodedata.category(character)[0], character) for character in text)
    return re.fullmatch(pattern, text, re.ASCII) is not None


def _xml(shape: Shape, values: Mapping[str, object]) -> str:
    """The members of `values` in the model's order; one that is None, or that this model does not have, is left out."""
    parts = []
    for name, member in shape["members"].items():
        value = values.get(name)
        if isinstance(value, Mapping):
            parts.append(f"<{name}>{_xml(_shape(member['shape']), value)}</{name}>")
        elif value is not None:
            parts.append(f"<{name}>{_text(str(value))}</{name}>")
    return "".join(parts)


def _text(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text))
