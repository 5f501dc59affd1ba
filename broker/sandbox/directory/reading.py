"""Filters off the wire, within bounds."""

from broker.sandbox.directory import ber
from broker.sandbox.directory.ber import BerError, Element
from broker.sandbox.directory.filters import Compare, Every, Filter, Not, Present, Relation, Rule, Some, Substrings

_EVERY, _SOME, _NOT, _SUBSTRINGS, _PRESENT, _EXTENSIBLE = 0xA0, 0xA1, 0xA2, 0xA4, 0x87, 0xA9
_INITIAL, _MIDDLE, _FINAL = 0x80, 0x81, 0x82
_RULE, _ATTRIBUTE, _VALUE, _DN_ATTRIBUTES = 0x81, 0x82, 0x83, 0x84


class FilterTooComplex(BerError):
    """Deeper or longer than this server evaluates."""


class FilterReader:
    """Reads one filter; raises `BerError`, or `FilterTooComplex` past `depth` levels or `items` parts."""

    def __init__(self, *, depth: int, items: int) -> None:
        self._depth = depth
        self._items = items

    def read(self, element: Element, level: int = 1) -> Filter:
        """The filter in `element`."""
        self._count()
        if level > self._depth:  # check: sandbox-ldap-filter-depth
            message = "a filter that is too deep"
            raise FilterTooComplex(message)
        if element.tag in (_EVERY, _SOME):
            parts = tuple(self.read(part, level + 1) for part in element.elements())
            return Every(parts=parts) if element.tag == _EVERY else Some(parts=parts)
        if element.tag == _NOT:
            return Not(part=self.read(element.exactly(1)[0], level + 1))
        if element.tag == _SUBSTRINGS:
            return self._substrings(element)
        return _simple(element)

    def _count(self) -> None:
        self._items -= 1
        if self._items < 0:  # check: sandbox-ldap-filter-items
            message = "a filter that is too long"
            raise FilterTooComplex(message)

    def _substrings(self, element: Element) -> Substrings:
        attribute, pieces = element.exactly(2)
        found: dict[int, list[str]] = {_INITIAL: [], _MIDDLE: [], _FINAL: []}
        for piece in pieces.expect(ber.SEQUENCE).elements():
            self._count()
            if piece.tag not in found:
                message = "substrings of an unknown kind"
                raise BerError(message)
            found[piece.tag].append(piece.body.decode(errors="replace").partition("\0")[0].lower())
        return Substrings(
            attribute=attribute.expect(ber.OCTETS).text().lower(),
            initial="".join(found[_INITIAL]),
            middle=tuple(found[_MIDDLE]),
            final="".join(found[_FINAL]),
        )


def _simple(element: Element) -> Filter:
    if element.tag == _PRESENT:
        return Present(attribute=element.text().lower())
    if element.tag == _EXTENSIBLE:
        return _extensible(element)
    if element.tag not in set(Relation):
        message = "a filter of an unknown kind"
        raise BerError(message)
    attribute, value = element.exactly(2)
    return Compare(
        relation=Relation(element.tag),
        attribute=attribute.expect(ber.OCTETS).text().lower(),
        value=value.expect(ber.OCTETS).body,
    )


def _extensible(element: Element) -> Filter:
    """A matching rule; without one, equality. Whether parts of the DN count too is ignored, as AD does."""
    fields = {part.tag: part for part in element.elements_up_to(4)}
    if _VALUE not in fields or not fields.keys() <= {_RULE, _ATTRIBUTE, _VALUE, _DN_ATTRIBUTES}:
        message = "an extensible match without a value, or with an unknown field"
        raise BerError(message)
    rule = fields[_RULE].text() if _RULE in fields else ""
    attribute = fields[_ATTRIBUTE].text().lower() if _ATTRIBUTE in fields else ""
    value = fields[_VALUE].body
    if not rule:
        return Compare(relation=Relation.EQUAL, attribute=attribute, value=value)
    return Rule(rule=rule, attribute=attribute, value=value)
