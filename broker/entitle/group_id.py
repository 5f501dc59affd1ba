"""The immutable ids of groups: how they are written, and which spellings of one are equal."""

import re

SID = re.compile(r"S-1-5-21(?:-(?:0|[1-9][0-9]{0,9})){4}")
"""A group of an Active Directory domain ([MS-DTYP] 2.4.2.4). No others are ever read, so no others can match."""
_EITHER_CASE = re.compile(r"(?P<sid>[Ss]-1-[0-9-]+)|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def fold_id(text: str) -> str:
    """SIDs and UUIDs, which directories compare without case, in their usual one; any other id as it is."""
    found = _EITHER_CASE.fullmatch(text)
    if found is None:
        return text
    return text.upper() if found["sid"] else text.lower()
