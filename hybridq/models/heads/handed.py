"""Heads that are handed over in Python as modules."""

from __future__ import annotations

from typing import Any, NoReturn

from hybridq.config import HeadConfig
from hybridq.config.handed import handed_label, refused_name
from hybridq.models.heads.entry import HeadEntry

REMEDY = "load it with hybridq.load(run, head=...), or give the head an entry of its own."


def handed_head(name: str) -> HeadEntry:
    """Make the entry of a head known only by the name in a record; it cannot be built."""

    def build(*_sizes: Any, **_more: Any) -> NoReturn:
        raise refused_name("head", name, REMEDY)

    return HeadEntry(HeadConfig, build, handed_label(name))
