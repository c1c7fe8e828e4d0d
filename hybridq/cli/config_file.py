"""The file after `--config`: TOML or JSON, with the names that the fields or the flags have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hybridq.cli.complaints import has_no_prefix
from hybridq.config import Config
from hybridq.config.choices import CHOICES
from hybridq.config.complaints import pydantic_line
from hybridq.errors import InvalidValueError
from hybridq.utils.files import read_json, read_toml
from hybridq_backends.utils.suggest import nearest

REMEDY = "give one of TOML (or of JSON, named .json) after --config."
YAML_REMEDY = (
    "TOML says `epochs = 3` where YAML says `epochs: 3`, and `[head]` where YAML says `head:`; "
    "write it so in a file named .toml."
)


def read_config_file(model: type[Config], path: Path) -> Config:
    """Read a file of options as the config of a command.

    Raises:
        InvalidValueError: If it cannot be read, or an option is unknown or not allowed.
        MissingFileError: If it is not there.
    """
    is_yaml = path.suffix.lower() in (".yaml", ".yml") and path.is_file()
    read = read_json if path.suffix == ".json" else read_toml
    values = read(path, "a config file", YAML_REMEDY if is_yaml else REMEDY)
    try:
        return model.model_validate(as_fields(model, values, path))
    except ValidationError as error:
        raise InvalidValueError(f"{_line(model, error)} in {path}.") from error


def narrowed(model: type[Config], default: Config) -> Config:
    """What a file says, with the parts that the command line has chosen instead."""
    values = {name: getattr(default, name) for name in model.model_fields}
    for field in CHOICES.keys() & values.keys():
        values[field] = model.model_fields[field].default
    return model.model_validate(values)


def as_fields(model: type[Config], values: Any, path: Path) -> Any:
    """Take the names of flags for those of fields: `batch-size`, or `precision` in no part.

    What a part of the command is not told is as the command has it, as it is with flags.

    Args:
        model: The command's config.
        values: What the file says.
        path: The file.

    Raises:
        InvalidValueError: If a field is named twice.
    """
    if not isinstance(values, dict):
        return values
    fields = _plain(values, path)
    for part, names in _without_prefix(model).items():
        inside = {name: fields.pop(name) for name in names if name in fields}
        own = fields.get(part, {})
        if inside and isinstance(own, dict):
            if twice := inside.keys() & own.keys():
                raise _named_twice(min(twice), path)
            fields[part] = {**own, **inside}
    for name, field in model.model_fields.items():
        if isinstance(field.default, Config) and isinstance(fields.get(name), dict):
            fields[name] = {**field.default.model_dump(), **fields[name]}  # not those of the part
    return fields


def _plain(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The same with `_` for `-` in every name."""
    found: dict[str, Any] = {}
    for given, value in values.items():
        name = given.replace("-", "_")
        if name in found:
            raise _named_twice(given, path)
        found[name] = _plain(value, path) if isinstance(value, dict) else value
    return found


def _named_twice(name: str, path: Path) -> InvalidValueError:
    return InvalidValueError(f"Expected `{name}` once in {path}, got it twice: keep one of them.")


def _without_prefix(model: type[BaseModel]) -> dict[str, list[str]]:
    """The parts of a config whose fields have flags of their own, with the names of these."""
    return {
        name: list(field.annotation.model_fields)
        for name, field in model.model_fields.items()
        if has_no_prefix(field)
        and isinstance(field.annotation, type)
        and issubclass(field.annotation, BaseModel)
    }


def _line(model: type[BaseModel], error: ValidationError) -> str:
    """What is wrong, with a guess at what an unknown name was meant to be."""
    line = pydantic_line(error)
    first = error.errors(include_url=False)[0]
    if first["type"] != "extra_forbidden" or len(first["loc"]) != 1:
        return line
    flat = [name for names in _without_prefix(model).values() for name in names]
    near = nearest(str(first["loc"][0]), [*model.model_fields, *flat])
    return line.replace("see --help", f"did you mean `{near}`? See --help") if near else line
