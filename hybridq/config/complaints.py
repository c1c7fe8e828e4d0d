"""What pydantic finds wrong with a config, in one line of our words."""

from __future__ import annotations

import difflib
import re
from typing import Any, TypeVar

from pydantic import ValidationError

from hybridq.config.base import Config
from hybridq.config.parts import PART
from hybridq.errors import InvalidValueError
from hybridq_backends.utils.names import field_name

ConfigT = TypeVar("ConfigT", bound=Config)


def config_of(model: type[ConfigT], **options: Any) -> ConfigT:
    """Make a config of the options of a call from Python.

    Args:
        model: What can be told.
        **options: Its fields by name.

    Raises:
        InvalidValueError: If there is no such option, or a value is not allowed.
    """
    for name in options:
        if name not in model.model_fields:
            near = difflib.get_close_matches(name, model.model_fields, n=1, cutoff=0.6)
            known = ", ".join(model.model_fields)
            remedy = f"did you mean `{near[0]}`?" if near else f"there are {known}."
            raise InvalidValueError(f"Expected a known option, got `{name}`: {remedy}")
    try:
        return model.model_validate(options)
    except ValidationError as error:
        raise InvalidValueError(f"{pydantic_line(error)}.") from error


def pydantic_line(error: ValidationError) -> str:
    """The first complaint of pydantic in one line."""
    first: dict[str, Any] = dict(error.errors(include_url=False)[0])
    if first["type"] == PART:  # what is wrong is in the part
        first = {**first["ctx"], "loc": (*first["loc"], *first["ctx"]["loc"])}
    place = field_name(first["loc"])
    if first["type"] == "extra_forbidden":
        return f"Expected known options, got `{shortened(place)}`: see --help, and correct it"
    if first["type"] == "missing":
        return f"Expected a value for `{place}`, got none: give it"
    place = f"`{place.removeprefix('compute.')}`" if place else "the options"
    return (
        f"{said(first['msg'])} for {place}, got {shortened(repr(first.get('input')))}: correct it"
    )


def said(complaint: str) -> str:
    """A complaint of pydantic in our words."""
    complaint = complaint.removeprefix("Value error, ")
    return (
        re.sub(
            r"^(Input|String|Tuple|List) should be (an? )?",
            lambda match: f"Expected {match[2] or 'a value '}",
            complaint,
        )
        .replace("Tuple should have", "Expected a list of")
        .replace("String should match", "Expected a text that matches")
    )


def shortened(text: str) -> str:
    """The beginning of a long text."""
    return text if len(text) <= 120 else text[:120] + "..."
