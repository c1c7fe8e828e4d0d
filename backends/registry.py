"""Named backends: reading profiles, and `name,field=value,...` as users write it.

Profiles are TOML files: a one-line `summary`, and the fields of a spec. Those shipped lie
in `backends/profiles`; users add theirs in `./backends.d` or in `$HYBRIDQ_PROFILES` (one
folder, or several joined by the path separator), where a name may replace a shipped one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from backends.errors import InvalidValueError, MissingFileError
from backends.files import parse_toml, read_toml
from backends.names import legible
from backends.secrets import PUBLIC
from backends.specs import RATE_FIELDS, IbmRuntime, Noisy, Spec, Statevector, build_spec
from backends.words import nearest

PROFILES_VARIABLE = "HYBRIDQ_PROFILES"
LOCAL_FOLDER = "backends.d"


class Profile(BaseModel):
    """A named backend: what it is, in a line, and its spec."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Name of the profile: its file's name without `.toml`."""
    summary: str
    """What the backend is, in one line."""
    spec: Statevector | Noisy | IbmRuntime
    """The validated spec."""
    source: str
    """Where it comes from: `shipped`, or the path of the file."""


def list_backends() -> dict[str, Profile]:
    """Read every profile there is.

    Returns:
        Profiles by name, in alphabetical order.

    Raises:
        InvalidValueError: If a profile is not valid TOML or not a valid spec.
        MissingFileError: If `$HYBRIDQ_PROFILES` names a folder that does not exist.
    """
    profiles = {
        name: _profile(name, _read(file), source) for name, (file, source) in _files().items()
    }
    return dict(sorted(profiles.items()))


def parse_backend(text: str, **overrides: Any) -> Spec:
    """Read a backend as users write it: a profile's name, then fields to override.

    Args:
        text: For example `aer_noisy,device=FakeTorino,shots=4096`. A dotted field fills a
            table: `ibm,service_options.filename=account.json`.
        **overrides: Fields that win over those in the text.

    Returns:
        The validated spec.

    Raises:
        InvalidValueError: On an unknown profile or field, a value out of range, or a service
            option in the text that could be a secret.
    """
    name, written = _split(text)
    refuse_written_secrets(written)
    fields = _fields_of(name)
    changes = _merged(written, overrides)
    if fields.get("kind") == "noisy":
        fields = _without_other_source(fields, changes)
    fields = _merged(fields, changes)
    spec = build_spec(fields, name=name)
    refuse_torch_on_aer(name, spec)
    return spec


def override_spec(spec: Spec, **overrides: Any) -> Spec:
    """Change fields of a spec, validated again.

    Args:
        spec: A spec.
        **overrides: Fields to set; a table is merged into the table there is.

    Returns:
        The changed spec.

    Raises:
        InvalidValueError: On an unknown field or a value out of range.
    """
    if not overrides:
        return spec
    fields = {name: getattr(spec, name) for name in type(spec).model_fields}
    if spec.kind == "noisy":
        fields = _without_other_source(fields, overrides)
    return build_spec(_merged(fields, overrides), name=spec.kind)


def profile_name(text: str) -> str:
    """Take the profile's name out of `name,field=value,...`."""
    return _split(text)[0]


def refuse_written_secrets(written: Mapping[str, Any]) -> None:
    """Refuse service options in a text that may be secret: texts land in logs and run folders.

    Raises:
        InvalidValueError: Naming the option, never its value.
    """
    options = written.get("service_options")
    if options is None:
        return
    if not isinstance(options, Mapping):
        raise InvalidValueError(
            "Expected `service_options` to be a table, got one value: name the option, as in "
            "service_options.filename=account.json."
        )
    hidden = sorted(set(options) - PUBLIC)
    if hidden:
        raise InvalidValueError(
            f"Expected no secret in a backend's text, which is logged and recorded, got "
            f"{hidden[0]!r}: save the account with QiskitRuntimeService.save_account, or put the "
            "option into a profile of your own."
        )


def refuse_torch_on_aer(name: str, spec: Spec) -> None:
    """Refuse `engine=torch` on a profile whose name promises Aer.

    Raises:
        InvalidValueError: If the name begins with `aer_` and the engine is torch.
    """
    if name.startswith("aer_") and getattr(spec, "engine", "aer") != "aer":
        raise InvalidValueError(
            f"Expected `engine=aer` on backend {name!r} (a name that begins with aer_ always "
            "means Aer), got 'torch': leave `engine` out."
        )


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """Split `name,field=value,...` into the name and the fields."""
    name, *parts = (part.strip() for part in text.split(","))
    if not name:
        raise InvalidValueError(
            f"Expected a backend such as 'aer_noisy,shots=1024', got {text!r}: begin with a name."
        )
    fields: dict[str, Any] = {}
    for part in filter(None, parts):
        key, separator, value = part.partition("=")
        if not separator or not key.strip():
            raise InvalidValueError(
                f"Expected `field=value` after the backend's name {name!r}, got a part "
                "without one: write for example `shots=1024`."
            )
        fields = _merged(fields, _nested(key.strip(), value.strip()))
    return name, fields


def _nested(key: str, value: Any) -> dict[str, Any]:
    """Turn a dotted key into nested tables."""
    head, _, rest = key.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay changes over a table; tables inside are merged, other values replaced."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _without_other_source(fields: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Drop a profile's device when rates are asked for, and its rates for a device."""
    rates = [name for name in RATE_FIELDS if changes.get(name) is not None]
    if rates and "device" not in changes:
        return {**fields, "device": None}
    if changes.get("device") is not None and not rates:
        return {**fields, **dict.fromkeys(RATE_FIELDS)}
    return fields


def _folders() -> list[tuple[Traversable, bool]]:
    """List the folders of profiles, later ones winning, and whether a folder is shipped."""
    folders: list[tuple[Traversable, bool]] = [(resources.files("backends") / "profiles", True)]
    for word in filter(None, os.environ.get(PROFILES_VARIABLE, "").split(os.pathsep)):
        folder = Path(word)
        if not folder.is_dir():
            raise MissingFileError(
                f"Expected ${PROFILES_VARIABLE} to name folders of profiles, got {word!r}, "
                "which is none: create it or correct the variable."
            )
        folders.append((folder, False))
    if Path(LOCAL_FOLDER).is_dir():
        folders.append((Path(LOCAL_FOLDER), False))
    return folders


def _files() -> dict[str, tuple[Traversable, str]]:
    """Find the file of each profile, and what to call its source."""
    found: dict[str, tuple[Traversable, str]] = {}
    for folder, shipped in _folders():
        for file in sorted(folder.iterdir(), key=lambda item: item.name):
            if file.name.endswith(".toml"):
                source = "shipped" if shipped else legible(str(file))
                found[legible(file.name.removesuffix(".toml"))] = (file, source)
    return found


def _fields_of(name: str) -> dict[str, Any]:
    """Read the fields of one profile by name."""
    files = _files()
    name = name if name in files else legible(name)
    if name not in files:
        guess = nearest(name, files)
        remedy = f"did you mean {guess!r}?" if guess else "see `hybridq backends list`."
        raise InvalidValueError(
            f"Expected a backend among {', '.join(sorted(files))}, got {name!r}: {remedy}"
        )
    fields = _read(files[name][0])
    fields.pop("summary", None)
    return fields


def _read(file: Traversable) -> dict[str, Any]:
    """Read a TOML file."""
    what, remedy = "a profile in valid TOML", "correct the file."
    if isinstance(file, Path):
        return read_toml(file, what, remedy)
    return parse_toml(file.read_text(encoding="utf-8"), what, remedy)  # shipped in an archive


def _profile(name: str, fields: dict[str, Any], source: str) -> Profile:
    """Validate one profile."""
    summary = fields.pop("summary", None)
    if not isinstance(summary, str) or "\n" in summary or not summary.strip():
        raise InvalidValueError(
            f"Expected a `summary` of one line in the profile {name!r}, got "
            f'{type(summary).__name__}: add `summary = "..."`.'
        )
    spec = build_spec(fields, name=name)
    refuse_torch_on_aer(name, spec)
    return Profile(name=name, summary=summary, spec=spec, source=source)
