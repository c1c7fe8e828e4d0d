"""Every number and list that a command takes has bounds, and every text can be one of a file."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, ValidationError

from hybridq import config
from hybridq.cli import main as cli

CONFIGS = [
    found
    for found in (getattr(config, name) for name in config.__all__)
    if isinstance(found, type) and issubclass(found, BaseModel)
]
FIELDS = [(model, name) for model in CONFIGS for name in model.model_fields]


def kinds(annotation):
    """The plain types in an annotation such as `int | None`."""
    parts = [part for entry in get_args(annotation) for part in kinds(entry)]
    return parts or [annotation]


def least(model, **fields):
    """A config with the required fields, and some more."""
    required = {
        name: ("x",) if field.annotation is not None and "tuple" in str(field.annotation) else "x"
        for name, field in model.model_fields.items()
        if field.is_required()
    }
    return model(**{**required, **fields})


@pytest.mark.parametrize(
    ("model", "name"), FIELDS, ids=[f"{model.__name__}.{name}" for model, name in FIELDS]
)
def test_every_number_and_list_has_bounds(model, name):
    field = model.model_fields[name]
    found = {type(bound): bound for bound in field.metadata}
    numbers = {int, float} & set(kinds(field.annotation))
    if "tuple" in str(field.annotation):
        assert found[MaxLen].max_length <= 1_000_000
    elif numbers:
        low = found.get(Ge) or found[Gt]
        high = found.get(Le) or found[Lt]
        assert math.isfinite(getattr(low, "ge", getattr(low, "gt", math.inf)))
        most = getattr(high, "le", getattr(high, "lt", math.inf))
        assert most <= 2**32
        for wrong in (most * 2 + 1, 10**30, -(10**30)):
            with pytest.raises(ValidationError):
                least(model, **{name: wrong})


@pytest.mark.parametrize(
    ("text", "words"),
    [("a\0b", "NUL"), ("\ud800", "whole characters"), ("x" * 4097, "4096 characters")],
)
@pytest.mark.parametrize("model", CONFIGS, ids=[model.__name__ for model in CONFIGS])
def test_every_text_can_be_one_of_a_file(model, text, words):
    for name, field in model.model_fields.items():
        if not {"Path", "str"} & {
            kind.__name__ for kind in kinds(field.annotation) if isinstance(kind, type)
        }:
            continue
        value = (text,) if "tuple" in str(field.annotation) else text
        with pytest.raises(ValidationError) as error:
            least(model, **{name: value})
        if name != "devices":
            assert words in str(error.value)


def test_bytes_of_a_name_that_are_no_utf_8_pass():
    assert config.DataCheckConfig(data="M\udcfcller").data == "M\udcfcller"


def test_no_config_is_left_out():
    """The tests above see every config of a command, and those within it."""
    reached = set(CONFIGS)
    for command in cli.COMMANDS.values():
        assert command.model in reached
        for field in command.model.model_fields.values():
            for kind in kinds(field.annotation):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    assert kind in reached
