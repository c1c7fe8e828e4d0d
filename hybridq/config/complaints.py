"""What pydantic finds wrong with a config, in one line of our words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from hybridq.config.base import ComputeConfig, Config
from hybridq.config.choices import CHOICES, find_entry
from hybridq.config.parts import PART
from hybridq.errors import InvalidValueError
from hybridq_backends.utils.names import field_name

ConfigT = TypeVar("ConfigT", bound=Config)


ALIASES = {"lr": "learning_rate", "device": "accelerator", "gpus": "devices", "size": "image_size"}
"""What other libraries call an option."""


def config_of(model: type[ConfigT], **options: Any) -> ConfigT:
    """Make a config of the options of a call from Python.

    Args:
        model: What can be told.
        **options: Its fields by name.

    Raises:
        InvalidValueError: If there is no such option, or a value is not allowed.
    """
    return _made(model, "a known option", options)


def part_config(kind: str, given: str | Mapping[str, Any], **more: Any) -> Config:
    """Make the config of a part that is chosen by name in a call from Python.

    Args:
        kind: `head` or `ssl`.
        given: Its name, or a mapping with `name` and what else it is told.
        **more: What it is told besides, which wins.

    Raises:
        InvalidValueError: If there is no such part, or it cannot be told that.
    """
    fields = {"name": given} if isinstance(given, str) else dict(given)
    fields = {"name": CHOICES[kind].usual, **fields, **more}
    model: type[Config] = find_entry(kind, fields["name"]).config
    return _made(model, f"a known option of {kind} {fields['name']!r}", fields)


def _made(model: type[ConfigT], known: str, options: Mapping[str, Any]) -> ConfigT:
    for name in options:
        if name not in model.model_fields:
            raise InvalidValueError(f"Expected {known}, got `{name}`: {_remedy(model, name)}")
    try:
        return model.model_validate(options)
    except ValidationError as error:
        raise InvalidValueError(f"{pydantic_line(error)}.") from error


def _remedy(model: type[Config], name: str) -> str:
    """The nearest option, which may be one of a part such as `compute`; else all of them."""
    words = {field: f"`{field}`" for field in model.model_fields}
    for part, field in model.model_fields.items():
        if isinstance(field.default, ComputeConfig):
            inside = type(field.default).model_fields
            words |= {one: f"`{part}={{'{one}': ...}}`" for one in inside}
    alias = ALIASES.get(name)
    near = [alias] if alias in words else difflib.get_close_matches(name, words, n=1, cutoff=0.6)
    return f"did you mean {words[near[0]]}?" if near else f"there are {', '.join(words)}."


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
    if says_what_it_got(first["msg"]):
        return (
            said(first["msg"])
            if ": " in said(first["msg"])
            else f"{said(first['msg'])}: correct it"
        )
    return (
        f"{said(first['msg'])} for {place}, got {shortened(repr(first.get('input')))}: correct it"
    )


def says_what_it_got(complaint: str) -> bool:
    """Whether a complaint is one of ours, and already says what was given."""
    return said(complaint).startswith("Expected") and ", got " in complaint


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
