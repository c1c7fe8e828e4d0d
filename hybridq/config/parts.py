"""Configs of the parts that are chosen by name: each is that of the entry it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import BeforeValidator, SerializeAsAny, ValidationError
from pydantic_core import PydanticCustomError

from hybridq.config.base import EncoderConfig, HeadConfig, SslConfig
from hybridq.config.choices import CHOICES
from hybridq_backends.utils.names import legible

PART: Literal["part"] = "part"
"""Type of the error of a part that was chosen by name; its context is the error within."""


def head_config(name: str = CHOICES["head"].usual, **fields: Any) -> HeadConfig:
    """Make the config of a head.

    Args:
        name: The name of an entry in `HEADS`, of another distribution, or `package.module:entry`.
        **fields: What the head can be told.

    Raises:
        InvalidValueError: If there is no such head.
        ValidationError: If it cannot be told that.
    """
    return cast(HeadConfig, CHOICES["head"].make(name, fields))


def ssl_config(name: str = CHOICES["ssl"].usual, **fields: Any) -> SslConfig:
    """Make the config of a self-supervised method.

    Args:
        name: The name of an entry in `SSL`, of another distribution, or `package.module:entry`.
        **fields: What the method can be told.

    Raises:
        InvalidValueError: If there is no such method.
        ValidationError: If it cannot be told that.
    """
    return cast(SslConfig, CHOICES["ssl"].make(name, fields))


def _reader(make: Callable[..., Any]) -> BeforeValidator:
    """Turn the fields of a config into the config of the part that they name."""

    def read(value: Any) -> Any:
        if type(value) in (HeadConfig, SslConfig):  # a name and nothing else
            value = value.model_dump()
        elif isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            return value
        try:
            return make(**value)
        except ValidationError as error:
            first = dict(error.errors(include_url=False)[0])
            first |= {"msg": legible(str(first["msg"]))}  # or the complaint could not be written
            raise PydanticCustomError(PART, "{msg}", first) from error

    return BeforeValidator(read)


def _read_encoder(value: Any) -> Any:
    """Take the weights alone for a config, as earlier versions wrote it."""
    return EncoderConfig(weights=value) if isinstance(value, str) else value


HeadChoice: TypeAlias = Annotated[SerializeAsAny[HeadConfig], _reader(head_config)]
"""A field that holds the config of any head."""
SslChoice: TypeAlias = Annotated[SerializeAsAny[SslConfig], _reader(ssl_config)]
"""A field that holds the config of any self-supervised method."""
EncoderChoice: TypeAlias = Annotated[EncoderConfig, BeforeValidator(_read_encoder)]
"""A field that holds what encoder a training begins with."""
