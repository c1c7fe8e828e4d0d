"""Write names as text that every file and every terminal can hold, in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RAW = re.compile(r"[\udc80-\udcff]|[\ud800-\udfff]|\\(?=x[0-9a-f]{2}|ud[89a-f][0-9a-f]{2})")
"""Matches a byte that is not UTF-8, and a backslash that would read like one."""


def legible(name: str) -> str:
    r"""Write each byte of a name that is not UTF-8 as `\xfc`; different names stay different.

    Such bytes come from folders that were packed with names in another encoding. A backslash that
    would be read as the beginning of such a byte becomes `\x5c`; all other names are unchanged.
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
