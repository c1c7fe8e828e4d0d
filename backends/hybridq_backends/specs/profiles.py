"""Read profiles, which are named backends, and `name,field=value,...` as users write it.

Profiles are TOML files: a one-line `summary`, and the fields of a spec. Those shipped lie
in `hybridq_backends/profiles`; users add theirs in `./backends.d` or in `$HYBRIDQ_PROFILES` (one
folder, or several joined by the path separator), where a name may replace a shipped one.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializeAsAny

from hybridq_backends.errors import HybridqError, InvalidValueError, MissingFileError
from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.kinds import build_spec, check_fields, find_kind
from hybridq_backends.utils.files import parse_toml, read_toml
from hybridq_backends.utils.names import legible
from hybridq_backends.utils.secrets import PUBLIC
from hybridq_backends.utils.suggest import nearest

PROFILES_VARIABLE = "HYBRIDQ_PROFILES"
LOCAL_FOLDER = "backends.d"
MOST_SUMMARY = 200
"""The most characters of a profile's summary."""
_MOST_TABLES = 8
_MOST_BYTES = 2**20


class Profile(BaseModel):
    """A named backend: what it is, in a line, and its spec."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Name of the profile: its file's name without `.toml`."""
    summary: str
    """What the backend is, in one line."""
    spec: SerializeAsAny[Spec]
    """The validated spec."""
    source: str
    """Where it comes from: `shipped`, or the path of the file."""


def list_backends() -> dict[str, Profile]:
    """Read all profiles.

    Returns:
        Profiles by name, in alphabetical order.

    Raises:
        InvalidValueError: If a profile is not valid TOML or not a valid spec.
        MissingFileError: If `$HYBRIDQ_PROFILES` names a folder that does not exist, or a profile
            is no regular file.

    Example:
        >>> from hybridq_backends import list_backends
        >>> profiles = list_backends()
        >>> "fake_torino" in profiles, profiles["ibm"].spec.kind
        (True, 'ibm_runtime')
    """
    profiles, broken = sound_backends()
    for error in broken.values():
        raise error
    return profiles


def sound_backends() -> tuple[dict[str, Profile], dict[str, HybridqError]]:
    """Read all profiles that can be used, although some may be broken.

    Returns:
        Profiles by name, in alphabetical order, and the errors of the broken ones by name.

    Raises:
        MissingFileError: If `$HYBRIDQ_PROFILES` names a folder that does not exist.
    """
    profiles: dict[str, Profile] = {}
    broken: dict[str, HybridqError] = {}
    for name, (file, source) in sorted(_files().items()):
        try:
            profiles[name] = _profile(name, _read(file), source)
        except HybridqError as error:
            broken[name] = error
    return profiles, broken


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
    if "kind" in written:
        raise InvalidValueError(
            f"Expected no `kind` after the backend's name {name!r}, whose profile says it, got "
            f"{reprlib.repr(written['kind'])}: name a profile of that kind."
        )
    fields = _fields_of(name)
    changes = _merged(written, overrides)
    kind = find_kind(fields.get("kind"))
    if kind is not None:  # else it is told below
        fields = kind.spec.without_excluded(fields, changes)
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
    fields = spec.without_excluded(fields, overrides)
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
    if name.startswith("aer_") and spec.is_differentiable:
        way = "take `statevector`."
        if spec.snapshot is not None:
            way = f"take another profile, as in `fake_torino,device={spec.snapshot},engine=torch`."
        elif spec.scales_noise:
            way = "take another profile with the same rates, as in `fake_torino,...,engine=torch`."
        raise InvalidValueError(
            f"Expected `engine=aer` on backend {name!r} (a name that begins with aer_ always "
            f"means Aer), got 'torch': leave `engine` out, or {way}"
        )


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """Split `name,field=value,...` into the name and the fields."""
    name, *parts = (part.strip() for part in text.split(","))
    if not name:
        raise InvalidValueError(
            f"Expected a backend such as 'aer_noisy,shots=1024', got {text!r}: begin with a name."
        )
    fields: dict[str, Any] = {}
    given: set[str] = set()
    for part in parts:
        key, separator, value = part.partition("=")
        if not separator or not key.strip():
            raise InvalidValueError(
                f"Expected `field=value` after the backend's name {name!r}, got a part "
                "without one: write for example `shots=1024`."
            )
        if key.strip() in given:
            raise InvalidValueError(
                f"Expected each field once after the backend's name {name!r}, got "
                f"{reprlib.repr(key.strip())} twice: leave one out."
            )
        given.add(key.strip())
        fields = _merged(fields, _nested(key.strip(), value.strip()))
    return name, fields


def _nested(key: str, value: Any) -> dict[str, Any]:
    """Turn a dotted key into nested tables."""
    *outer, last = key.split(".")
    if not all((*outer, last)) or len(outer) > _MOST_TABLES:
        raise InvalidValueError(
            f"Expected a field such as `shots` or `service_options.filename`, got "
            f"{reprlib.repr(key)}: name it with single dots between up to {_MOST_TABLES + 1} words."
        )
    fields = {last: value}
    for word in reversed(outer):
        fields = {word: fields}
    return fields


def _can_be_written(name: str) -> bool:
    """Whether a profile's name can be written where a backend is named."""
    return name.isprintable() and "," not in name and name == name.strip() != ""


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay changes over a table; tables inside are merged, other values replaced."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _folders() -> list[tuple[Traversable, bool]]:
    """List the folders of profiles, later ones winning, and whether a folder is shipped."""
    shipped = resources.files("hybridq_backends") / "profiles"
    folders: list[tuple[Traversable, bool]] = [(shipped, True)]
    for word in filter(None, os.environ.get(PROFILES_VARIABLE, "").split(os.pathsep)):
        folder = Path(word)
        if not os.path.isdir(folder):  # of a name that is too long, too
            raise MissingFileError(
                f"Expected ${PROFILES_VARIABLE} to name folders of profiles, got "
                f"{reprlib.repr(word)}, "
                "which is none: create it or correct the variable."
            )
        folders.append((folder, False))
    local = Path(LOCAL_FOLDER)
    if local.is_dir():
        folders.append((local, False))
    elif os.path.lexists(local):
        raise MissingFileError(
            f"Expected {LOCAL_FOLDER} in the working folder to be a folder of profiles, got "
            "something else: rename it."
        )
    return folders


def _files() -> dict[str, tuple[Traversable, str]]:
    """Find the file of each profile, and what to call its source."""
    found: dict[str, tuple[Traversable, str]] = {}
    for folder, shipped in _folders():
        for file in _within(folder):
            if file.name.endswith(".toml") and not file.name.startswith("."):
                source = "shipped" if shipped else legible(str(file))
                found[legible(file.name.removesuffix(".toml"))] = (file, source)
    return found


def _within(folder: Traversable) -> list[Traversable]:
    """List what is in a folder of profiles, by name."""
    try:
        return sorted(folder.iterdir(), key=lambda item: item.name)
    except OSError as error:
        raise MissingFileError(
            f"Expected a folder of profiles that can be read, got {str(folder)!r} "
            f"({error.strerror}): check its permissions."
        ) from error


def _fields_of(name: str) -> dict[str, Any]:
    """Read the fields of one profile by name."""
    files = _files()
    name = name if name in files else legible(name)
    if name not in files:
        is_fake = name.lower().startswith("fake") and name.isidentifier()
        guess = nearest(name, files, cutoff=0.8 if is_fake else 0.5)
        remedy = "see `hybridq backends list`."
        if guess:
            remedy = f"did you mean {guess!r}?"
        elif is_fake:
            remedy = f"a fake device without a profile is named by `aer_noisy,device={name}`."
        names = ", ".join(sorted(filter(_can_be_written, files)))
        raise InvalidValueError(f"Expected a backend among {names}, got {name!r}: {remedy}")
    fields = _read(files[name][0])
    _take_summary(name, fields)
    return fields


def _read(file: Traversable) -> dict[str, Any]:
    """Read a TOML file."""
    what, remedy = "a profile in valid TOML", "correct the file."
    if isinstance(file, Path):
        return read_toml(file, what, remedy, limit=_MOST_BYTES)
    return parse_toml(file.read_text(encoding="utf-8"), what, remedy)  # shipped in an archive


def _take_summary(name: str, fields: dict[str, Any]) -> str:
    """Take the line out of a profile that says what it is."""
    if "summary" not in fields:
        check_fields(fields, name)  # a misspelt field weighs more
    summary = fields.pop("summary", None)
    is_line = isinstance(summary, str) and summary.isprintable() and summary.strip() != ""
    if not is_line or len(summary) > MOST_SUMMARY:
        got = f"{len(summary)} characters" if is_line else reprlib.repr(summary)
        raise InvalidValueError(
            f"Expected a `summary` of one line of up to {MOST_SUMMARY} characters in the profile "
            f'{name!r}, got {got}: write `summary = "..."`.'
        )
    return str(summary)


def _profile(name: str, fields: dict[str, Any], source: str) -> Profile:
    """Validate one profile."""
    if not _can_be_written(name):
        raise InvalidValueError(
            f"Expected a profile's name without commas and blanks at its ends, got {name!r}: "
            "rename the file."
        )
    summary = _take_summary(name, fields)
    spec = build_spec(fields, name=name)
    refuse_torch_on_aer(name, spec)
    return Profile(name=name, summary=summary, spec=spec, source=source)
