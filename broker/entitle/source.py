"""Reads one YAML file so that it cannot be misread: YAML 1.2, strictly, with a position for everything.

libyaml (through PyYAML) parses; here its events become plain data. What two YAML readers may understand differently is
a problem with a hint, never a guess: duplicate keys, anchors and aliases, tags, merge keys, directives, empty values,
`yes`/`no`/`on`/`off`, `18:00`, numbers with a leading zero. So is what somebody who reviews a change cannot see: line
ends that only YAML knows, invisible characters, letters that look like others, a text that swallows the lines after it.
Size, depth and the number of values are bounded.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn, TypeAlias, Union

import yaml

from broker.entitle.readable import Spot, as_written, doubt, unreadable
from broker.errors import ConfigurationError, Problem

Data: TypeAlias = Union[bool, int, float, str, "list[Data]", "dict[str, Data]"]
"""What a file can say. There is no null: an empty value is a problem."""
Path: TypeAlias = Sequence[str | int]
"""Keys and indices, from the top of the file."""

MAX_SIZE = 16 * 2**20
"""Characters in one file."""
MAX_DEPTH = 32
MAX_VALUES = 2_000_000
MAX_UNREADABLE = 10
"""So many lines that a person cannot read are told at once."""
BLOCKS = ("|", ">")
"""Styles of texts whose lines are indented, so that they cannot take in the lines that follow."""
FOR_PEOPLE = ("description", "owner")
"""Keys of texts that decide nothing: their letters and signs may be any that show where a line ends."""
BOM = "\ufeff"
"""What some editors write before the first character; no part of the text."""

_PLAIN = re.compile(
    r"""(?P<text> [0-9]+ (?: \.[0-9]+){2,})
      | (?P<true> true | True | TRUE) | (?P<false> false | False | FALSE)
      | (?P<int> [-+]? (?: 0 | [1-9][0-9]{0,17}))
      | (?P<float> [-+]? (?: 0 | [1-9][0-9]{0,17}) \.[0-9]{1,18})
      | (?P<empty> | ~ | null | Null | NULL)
      | (?P<word> (?i: y | yes | n | no | on | off))
      | (?P<clock> [-+]? [0-9][0-9_]* (?: :[0-5]?[0-9])+ (?: \.[0-9_]*)?)
      | (?P<zero> [-+]? 0[0-9]+)
      | (?P<odd> [-+]? (?: \.?[0-9][0-9_.]* (?: [eE][-+]?[0-9]+)? | 0[xXoObB][0-9a-fA-F_]+ | \.(?i: inf | nan)))
    """,
    re.VERBOSE,
)
"""A plain scalar that is not simply text. No alternative can backtrack more than linearly."""
_END_MARK = re.compile(r"^\.\.\.[ \t\r\n]*\Z", re.MULTILINE)
_COMMENT_LAST = re.compile(r"^\.\.\.(?:[ \t]+#[^\n]*|[ \t]*\r?)(?:\n[ \t]*(?:#[^\n]*|\r)?)*\Z", re.MULTILINE)
_TIGHT_COMMENT = re.compile(r"[ \t]*#[^ \t\r\n#]")
_UNCLEAR = {
    "empty": ("an empty value", "write the value, or remove the key"),
    "word": ("yes, no, on, off are text to some readers, truth values to others", "write true or false, or use quotes"),
    "clock": ("a time without quotes is a number to some readers", 'put it in quotes, like "18:00"'),
    "zero": ("a number with a leading zero", 'put it in quotes: an account id is text, like "012345678901"'),
    "odd": ("a number in an unusual spelling", "write plain decimal digits, or use quotes for text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file as plain data; `where()` says where in the file something stands."""

    file: str
    data: Data
    marks: dict[int, Any] = field(repr=False)
    """For each container in `data`, by its `id()`, the marks of its entries; for `where()` alone."""
    readable: bool = True
    """False: it was not read to its end, or not as it looks, and what `data` lacks says nothing."""

    def where(self, path: Path = ()) -> str:
        """`file:line:column` of what stands at `path`; parts of it that are not in the file are passed over."""
        at: Any = self.data
        mark = None
        for part in path:
            if not (part in at if isinstance(at, dict) else isinstance(at, list) and part in range(len(at))):
                continue
            mark = self.marks[id(at)][part]
            at = at[part]
        return _place(self.file, mark)


def read_yaml(text: str, file_name: str, problems: list[Problem] | None = None, *, end_mark: bool = False) -> Source:
    """Read `text`; an empty file reads as `{}`.

    `end_mark`: the last line must be `...`, YAML's own mark for the end of a document. The first half of a YAML file
    mostly is a YAML file; that of a file which ends so never does.
    Raises `ConfigurationError` with every problem at once. A caller that looks for more problems gives a list: they
    are appended to it instead, and the caller must raise them in the end.
    """
    reader = _Reader(file_name)
    text = text.removeprefix(BOM)
    reader.read(text)
    if end_mark and not _END_MARK.search(text):  # check: yaml-end-mark
        reader.not_whole(text)
    if problems is not None:
        problems.extend(reader.problems)
    elif reader.problems:
        raise ConfigurationError(reader.problems)
    return Source(file=file_name, data=reader.data, marks=reader.marks, readable=reader.readable)


def _place(file: str, mark: Any) -> str:  # noqa: ANN401 (libyaml's Mark has no type)
    return f"{file}:1:1" if mark is None else f"{file}:{mark.line + 1}:{mark.column + 1}"


class _Stop(Exception):
    """Reading on makes no sense; the problem has been noted."""


class _Open:
    """A container that is being filled."""

    __slots__ = ("data", "key", "mark", "marks")

    def __init__(self, data: Any, mark: Any) -> None:  # noqa: ANN401 (as above)
        self.data = data
        self.marks: Any = type(data)()
        self.mark = mark
        self.key: str | None = None


class _Reader:
    """Turns libyaml's events into data and collects problems."""

    def __init__(self, file: str) -> None:
        self.data: Data = {}
        self.marks: dict[int, Any] = {}
        self.problems: list[Problem] = []
        self.readable = False
        self._doubts = 0
        self._file = file
        self._stack: list[_Open] = []
        self._documents = 0
        self._text = ""
        self._plain_texts: dict[str, Data] = {}

    def read(self, text: str) -> None:
        """Fill `data`, `marks` and `problems`."""
        loader = getattr(yaml, "CSafeLoader", None)
        if loader is None:
            return self._problem(None, "PyYAML came without libyaml", "install PyYAML from a wheel")
        if len(text) > MAX_SIZE:  # check: yaml-size
            return self._problem(None, f"more than {MAX_SIZE} characters", "split it into several files")
        doubts = list(islice(unreadable(text), MAX_UNREADABLE))
        if doubts:  # check: yaml-unreadable
            for found in doubts:
                self._problem(*found)
            return None
        self._text = text
        try:
            self._consume(yaml.parse(text, Loader=loader))
            self.readable = not self._doubts
        except yaml.MarkedYAMLError as error:
            self._problem(error.problem_mark, f"this is not YAML: {error.problem}", "correct it here or just above")
        except (yaml.reader.ReaderError, UnicodeError):
            self._problem(None, "a character that YAML does not allow", "save the file as plain UTF-8 text")
        except _Stop:
            pass
        return None

    def not_whole(self, text: str) -> None:
        """The file's last line is not the mark of its end."""
        found = _COMMENT_LAST.search(text)
        if found:
            mark = Spot(text.count("\n", 0, found.start()), 0)
            return self._problem(mark, "a comment behind `...`, the end of the file", "move it to before that line")
        last = Spot(text.count("\n", 0, -1), 0)
        self._problem(last, "the file does not end in a line `...`", "add that line: it shows that the file is whole")
        return None

    def _problem(self, mark: Any, what: str, remedy: str) -> None:  # noqa: ANN401 (as above)
        self.problems.append(Problem(where=_place(self._file, mark), what=what, remedy=remedy))

    def _stop(self, mark: Any, what: str, remedy: str) -> NoReturn:  # noqa: ANN401 (as above)
        self._problem(mark, what, remedy)
        raise _Stop

    def _consume(self, events: Any) -> None:  # noqa: ANN401 (PyYAML's events have no types)
        handlers = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._mapping,
            yaml.SequenceStartEvent: self._sequence,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }
        for count, event in enumerate(events):
            if count > MAX_VALUES:  # check: yaml-values
                self._stop(event.start_mark, f"more than {MAX_VALUES} values", "split it into several files")
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)

    def _document(self, event: Any) -> None:  # noqa: ANN401 (as above)
        self._documents += 1
        if self._documents > 1:  # check: yaml-one-document
            self._stop(event.start_mark, "a second document begins here (---)", "put it into a file of its own")
        if event.version or event.tags:  # check: yaml-directive
            self._problem(event.start_mark, "a % directive", "remove it: this file is YAML 1.2, without tags")

    def _scalar(self, event: Any) -> None:  # noqa: ANN401 (as above)
        self._refuse_extras(event)
        if event.start_mark.line != event.end_mark.line and event.style not in BLOCKS:  # check: yaml-one-line
            self._problem(event.start_mark, "a text over several lines", "write it on one line, or as a block (>-)")
        top = self._stack[-1] if self._stack else None
        if top is None or top.key not in FOR_PEOPLE:
            self._as_it_looks(event)
        value = event.value if event.style else self._plain(event)
        if top is not None and type(top.data) is dict and top.key is None:
            self._key(top, event, value)
        else:
            self._add(value, event.start_mark)

    def _as_it_looks(self, event: Any) -> None:  # noqa: ANN401 (as above)
        """Judged is what stands there: a block as its lines, everything else as it is between its marks."""
        if event.value.isascii():
            return
        start = event.start_mark
        text = event.value if event.style in BLOCKS else self._text[start.index : event.end_mark.index]
        written = as_written(text) if event.style == '"' else text
        found = doubt(written)
        if found:  # check: yaml-look-alike
            same_place = written == text and event.style not in BLOCKS
            mark = Spot(start.line, start.column + found.column) if same_place else start
            self._problem(mark, found.what, found.remedy)
            self._doubts += 1
            if self._doubts >= MAX_UNREADABLE:
                raise _Stop

    def _plain(self, event: Any) -> Data:  # noqa: ANN401 (as above)
        text: str = event.value
        if _TIGHT_COMMENT.match(self._text, event.end_mark.index):  # check: yaml-tight-comment
            self._problem(event.end_mark, "a comment (#) begins here", "put a space behind #, or the text in quotes")
        known = self._plain_texts.get(text)
        if known is not None:
            return known
        value: Data = text
        match = _PLAIN.fullmatch(text)
        kind = match.lastgroup if match else "text"
        if kind in _UNCLEAR:  # check: yaml-plain-scalar
            self._problem(event.start_mark, *_UNCLEAR[kind])
            return text
        if kind in ("true", "false"):
            value = kind == "true"
        elif kind == "int":
            value = int(text)
        elif kind == "float":
            value = float(text)
        self._plain_texts[text] = value
        return value

    def _key(self, top: _Open, event: Any, key: Data) -> None:  # noqa: ANN401 (as above)
        if not isinstance(key, str):
            self._problem(event.start_mark, "a key that is not text", "put it in quotes")
            key = str(event.value)
        elif key == "<<" and not event.style:  # check: yaml-merge-key
            self._problem(event.start_mark, "a merge key (<<)", "write the entries out")
        elif key in top.data:  # check: yaml-duplicate-key
            first = _place(self._file, top.marks[key])
            self._problem(event.start_mark, f"the key {key!r} is here twice, first at {first}", "remove one of them")
        top.key = key
        top.marks.setdefault(key, event.start_mark)

    def _mapping(self, event: Any) -> None:  # noqa: ANN401 (as above)
        self._open(event, {})

    def _sequence(self, event: Any) -> None:  # noqa: ANN401 (as above)
        self._open(event, [])

    def _open(self, event: Any, data: Any) -> None:  # noqa: ANN401 (as above)
        self._refuse_extras(event)
        if len(self._stack) >= MAX_DEPTH:  # check: yaml-depth
            self._stop(event.start_mark, f"nested deeper than {MAX_DEPTH} levels", "write it flatter")
        top = self._stack[-1] if self._stack else None
        if top is not None and type(top.data) is dict and top.key is None:
            self._stop(event.start_mark, "a list or mapping as a key", "keys are text")
        self._stack.append(_Open(data, event.start_mark))

    def _close(self, _event: Any) -> None:  # noqa: ANN401 (as above)
        closed = self._stack.pop()
        self.marks[id(closed.data)] = closed.marks
        self._add(closed.data, closed.mark)

    def _alias(self, event: Any) -> None:  # noqa: ANN401 (as above)
        self._stop(event.start_mark, "an alias (*)", "write the value out, or put quotes around a text with *")

    def _refuse_extras(self, event: Any) -> None:  # noqa: ANN401 (as above)
        if event.anchor:  # check: yaml-anchor
            self._problem(event.start_mark, "an anchor (&)", "remove it and write the value out where it is needed")
        if event.tag:  # check: yaml-tag
            self._problem(event.start_mark, "a tag (!)", "remove it, or put quotes around a text with !")

    def _add(self, value: Data, mark: Any) -> None:  # noqa: ANN401 (as above)
        if not self._stack:
            self.data = value
            return
        top = self._stack[-1]
        if type(top.data) is dict:
            top.data.setdefault(top.key, value)
            top.key = None
        else:
            top.data.append(value)
            top.marks.append(mark)
