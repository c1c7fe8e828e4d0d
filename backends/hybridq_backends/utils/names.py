"""Names as text that every file and every terminal can hold, in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RAW = re.compile(r"[\udc80-\udcff]|[\ud800-\udfff]|\\(?=x[0-9a-f]{2}|ud[89a-f][0-9a-f]{2})")
"""A byte that is no UTF-8, any other half of a character, and a backslash that would read so."""


def legible(name: str) -> str:
    r"""A name with each byte that is no UTF-8 as `\xfc`; names that differ stay different.

    Such bytes come of folders packed where names were written in another code. A backslash that
    would be taken for the beginning of one becomes `\x5c`; all other names stay as they are.
    """
    return _RAW.sub(_written, name)


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x80:
        return rf"\x{code:02x}"
    return rf"\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else rf"\u{code:04x}"


def field_name(place: Sequence[object]) -> str:
    """Name the field that a complaint of pydantic is about, in one line whatever its name.

    Args:
        place: The `loc` of the complaint.
    """
    name = ".".join(map(str, place))
    return name if name.isprintable() else repr(name)
