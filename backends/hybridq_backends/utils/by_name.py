"""What stands behind `package.module:name`, imported when it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def by_name(found: Any) -> Any:
    """Import what a text names; anything else is returned as it is.

    Args:
        found: `package.module:name`, or the thing itself.
    """
    if not isinstance(found, str):
        return found
    module, _, name = found.partition(":")
    return getattr(import_module(module), name)
