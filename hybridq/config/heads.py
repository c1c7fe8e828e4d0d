"""The config of a head: that of the entry which its name stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, SerializeAsAny, ValidationError

from hybridq.config.base import HeadConfig
from hybridq.config.choices import find_entry

DEFAULT = "pqc"


def head_config(name: str = DEFAULT, **fields: Any) -> HeadConfig:
    """Make the config of a head.

    Args:
        name: Of an entry in `HEADS`, of another distribution, or `package.module:entry`.
        **fields: What the head can be told.

    Raises:
        InvalidValueError: If there is no such head.
        ValidationError: If it cannot be told that.
    """
    config: HeadConfig = find_entry("head", name).config.model_validate({"name": name, **fields})
    return config


def _read(value: Any) -> Any:
    """Turn the fields of a config into the config of the head that they name."""
    if not isinstance(value, Mapping):
        return value
    fields = dict(value)
    try:
        return head_config(str(fields.pop("name", DEFAULT)), **fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{first['msg']} in {'.'.join(map(str, first['loc']))}") from error


HeadChoice: TypeAlias = Annotated[SerializeAsAny[HeadConfig], BeforeValidator(_read)]
"""A field that holds the config of any head."""
