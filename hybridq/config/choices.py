"""Parts that are chosen by name: found in their dicts, in other distributions, or by import.

`--head pqc` is looked up in the dict `HEADS`; `--head my_package.my_module:entry` is imported, and
a distribution that declares an entry point in the group `hybridq.heads` adds its own name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from hybridq.config.base import Config
from hybridq.config.handed import is_handed
from hybridq.errors import InvalidValueError
from hybridq_backends.utils.by_name import by_name

REGISTRIES: dict[str, str] = {
    "head": "hybridq.models.heads:HEADS",
    "encoder": "hybridq.models.encoders:ENCODERS",
    "source": "hybridq.data.sources:SOURCES",
    "study": "hybridq.studies:STUDIES",
    "ssl": "hybridq.models.ssl:SSL",
}
"""For each kind of part, the module and the dict that hold those that are shipped."""

HANDED: dict[str, str] = {
    "head": "hybridq.models.heads.handed:handed_head",
    "encoder": "hybridq.models.encoders.handed:handed_encoder",
}
"""For each kind of part that can be handed over in Python, what makes an entry of its name."""

MAKES = {"source": "load", "study": "run"}
"""What an entry of a kind has that makes something of it; `build` where nothing is said."""


@dataclass(frozen=True)
class Choice:
    """A field of a config that holds the config of a part chosen by name.

    Attributes:
        kind: A key of `REGISTRIES`.
        option: The flag that chooses.
        usual: What is chosen where nothing is said.
    """

    kind: str
    option: str
    usual: str

    def chosen(self, name: str | None, before: Config | None) -> Config:
        """Make the config of what is chosen, with the fields of `before` that it has as well.

        Args:
            name: What the flag says, if anything.
            before: The config that a file has given, if there is one.

        Raises:
            InvalidValueError: If there is no part of that name.
        """
        if before is not None and name in (None, getattr(before, "name", None)):
            return before
        chosen = name or self.usual
        kept = {} if before is None else before.model_dump(exclude={"name"})
        known = find_entry(self.kind, chosen).config.model_fields
        return self.make(chosen, {key: value for key, value in kept.items() if key in known})

    def make(self, name: Any, fields: Mapping[str, Any]) -> Config:
        """Make the config of the part of a name.

        Raises:
            InvalidValueError: If there is no part of that name.
            ValidationError: If it cannot be told that.
        """
        model: type[Config] = find_entry(self.kind, name).config
        return model.model_validate({"name": name, **fields})


CHOICES: dict[str, Choice] = {
    "head": Choice("head", "--head", "pqc"),
    "ssl": Choice("ssl", "--ssl", "simclr"),
}
"""For each such field the choice that it is."""


def group_of(kind: str) -> str:
    """The group of entry points by which other distributions add parts of a kind."""
    return f"hybridq.{kind.removesuffix('y')}ies" if kind.endswith("y") else f"hybridq.{kind}s"


def entries(kind: str) -> dict[str, Any]:
    """Collect the entries of a kind by name: the shipped ones, and those of other distributions.

    Args:
        kind: A key of `REGISTRIES`.
    """
    found: dict[str, Any] = dict(_shipped(kind))
    for point in entry_points(group=group_of(kind)):
        found.setdefault(point.name, point)
    return found


def find_entry(kind: str, name: Any) -> Any:
    """Find the entry of a name.

    Args:
        kind: A key of `REGISTRIES`.
        name: A name, or `package.module:attribute`.

    Raises:
        InvalidValueError: If there is none; the message lists the names and suggests the nearest.
    """
    shipped = _shipped(kind)
    if not isinstance(name, str):
        raise InvalidValueError(
            f"Expected the name of a {kind} as a text, got {name!r}: use one of "
            f"{', '.join(shipped)}."
        )
    if name in shipped:
        return shipped[name]
    if kind in HANDED and is_handed(name):
        return by_name(HANDED[kind])(name)
    if ":" in name:
        return _imported(kind, name)
    for point in entry_points(group=group_of(kind)):
        if point.name == name:
            return loaded(kind, point)
    names = entries(kind)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    remedy = f"did you mean {near[0]!r}?" if near else "use one of these names."
    raise InvalidValueError(f"Expected {kind} one of {', '.join(names)}, got {name!r}: {remedy}")


def _shipped(kind: str) -> Mapping[str, Any]:
    shipped: Mapping[str, Any] = by_name(REGISTRIES[kind])
    return shipped


def _imported(kind: str, name: str) -> Any:
    try:
        found = by_name(name)
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:
        first = re.split("[.:]", name)[0]
        here = [path for path in (Path(f"{first}.py"), Path(first)) if path.exists()]
        missing = isinstance(error, ModuleNotFoundError) and error.name == first
        remedy = "check the name, and install the package or put its folder on PYTHONPATH."
        if missing and here:
            remedy = f"set PYTHONPATH=. so that {here[0]} of this folder is found."
        raise InvalidValueError(
            f"Expected the {kind} {name!r} as package.module:entry that can be imported, got "
            f"{type(error).__name__} ({error}): {remedy}"
        ) from error
    return _checked(kind, name, found)


def loaded(kind: str, point: EntryPoint) -> Any:
    """Import the entry of another distribution.

    Raises:
        InvalidValueError: If it cannot be imported, or is no entry of the kind.
    """
    try:
        found = point.load()
    except Exception as error:
        raise InvalidValueError(
            f"Expected the {kind} {point.name!r} of another distribution ({point.value}) to be "
            f"importable, got {type(error).__name__} ({error}): mend or remove that distribution."
        ) from error
    return _checked(kind, point.name, found)


def _checked(kind: str, name: str, found: Any) -> Any:
    makes = MAKES.get(kind, "build")
    if not hasattr(found, makes):
        raise InvalidValueError(
            f"Expected the {kind} {name!r} to be an entry with a `{makes}`, got a "
            f"{type(found).__name__}: name the entry itself, such as package.module:ENTRY."
        )
    return found
