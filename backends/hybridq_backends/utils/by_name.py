"""Import the object named by `package.module:name` when it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def by_name(found: Any) -> Any:
    """Import the object that a text names; return anything else unchanged.

    Args:
        found: `package.module:name`, or the object itself.
    """
    if not isinstance(found, str):
        return found
    module, _, name = found.partition(":")
    return getattr(import_module(module), name)
