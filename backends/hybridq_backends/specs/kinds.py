"""The kinds of backends, each with its spec and the function that opens it."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.specs.noisy import Noisy
from hybridq_backends.specs.statevector import Statevector
from hybridq_backends.utils.by_name import by_name
from hybridq_backends.utils.names import field_name
from hybridq_backends.utils.suggest import nearest


@dataclass(frozen=True)
class KindEntry:
    """A kind of backend.

    Attributes:
        spec: The class of its spec, with its fields.
        open: A function from a spec to an `Engine`, or its name as `package.module:name`, which is
            imported when a backend of the kind is opened.
    """

    spec: type[Spec]
    open: Callable[[Any], Any] | str

    def opened(self, spec: Spec) -> Any:
        """Open the engine of a spec of this kind."""
        return by_name(self.open)(spec)


KINDS: dict[str, KindEntry] = {
    "statevector": KindEntry(Statevector, "hybridq_backends.simulators.opening:open_statevector"),
    "noisy": KindEntry(Noisy, "hybridq_backends.simulators.opening:open_noisy"),
    "ibm_runtime": KindEntry(IbmRuntime, "hybridq_backends.jobs.opening:open_runtime"),
}
"""The kinds by name; other distributions add theirs by entry points, see `find_kind`."""

GROUP = "hybridq.kinds"
"""The group of entry points by which other distributions add kinds."""


def find_kind(kind: object) -> KindEntry | None:
    """Find a kind: among those entered here, or an entry point of another distribution."""
    if not isinstance(kind, str):
        return None
    if kind not in KINDS:
        for point in entry_points(group=GROUP):
            if point.name == kind:
                KINDS[kind] = _loaded(point)
    return KINDS.get(kind)


def _loaded(point: EntryPoint) -> KindEntry:
    """Import the entry of another distribution.

    Raises:
        InvalidValueError: If it cannot be imported, or is not an entry.
    """
    try:
        found = point.load()
    except Exception as error:
        raise InvalidValueError(
            f"Expected the kind of backend {point.name!r} of another distribution "
            f"({point.value}) to be importable, got {type(error).__name__} ({error}): mend or "
            "remove that distribution."
        ) from error
    if not isinstance(found, KindEntry):
        raise InvalidValueError(
            f"Expected the kind of backend {point.name!r} to be a KindEntry, got a "
            f"{type(found).__name__}: name the entry itself."
        )
    return found


def build_spec(fields: Mapping[str, Any], *, name: str) -> Spec:
    """Validate fields into a spec.

    Args:
        fields: `kind` and the fields of that kind.
        name: The name of the profile, for the message.

    Returns:
        The frozen spec.

    Raises:
        InvalidValueError: On an unknown kind or field, or a value out of range; one line.
    """
    kind = check_fields(fields, name)
    try:
        return kind.spec.model_validate(dict(fields))
    except ValidationError as error:
        raise InvalidValueError(_message(error, fields, name)) from error


def check_fields(fields: Mapping[str, Any], name: str) -> KindEntry:
    """Check the names of fields.

    Args:
        fields: `kind` and the fields of that kind.
        name: The name of the profile, for the message.

    Returns:
        The kind.

    Raises:
        InvalidValueError: On an unknown kind or field; one line.
    """
    kind = find_kind(fields.get("kind"))
    if kind is None:
        raise InvalidValueError(
            f"Expected `kind` of backend {name!r} to be one of {', '.join(KINDS)}, "
            f"got {_shown(fields.get('kind'))}: {_kind_remedy(fields)}"
        )
    known = list(kind.spec.model_fields)
    for field in fields:
        if field not in known:
            raise InvalidValueError(_unknown_field(name, field, known))
    return kind


def _kind_remedy(fields: Mapping[str, Any]) -> str:
    """Suggest a kind, and name a field that no kind has."""
    guess = nearest(str(fields.get("kind", "")), KINDS)
    remedy = f"did you mean {guess!r}" if guess else "correct the profile"
    everything = {field for kind in KINDS.values() for field in kind.spec.model_fields}
    for field in fields:
        near = None if field in everything else nearest(field, everything)
        if near is not None:
            return f"{remedy}, and `{near}` instead of {_shown(field)}?"
    return f"{remedy}?" if guess else f"{remedy}."


def _unknown_field(name: str, field: str, known: list[str]) -> str:
    """Write the line for a field the kind does not have; values are never repeated."""
    shown = f"`{field}`" if field.isprintable() and len(field) <= 80 else _shown(field)
    if "token" in field.lower() or "key" in field.lower():
        return (
            f"Expected no secret among the fields of backend {name!r}, got {shown}: save the "
            "account with QiskitRuntimeService.save_account, or set QISKIT_IBM_TOKEN."
        )
    settable = [word for word in known if word != "kind"]
    guess = nearest(field, settable)
    remedy = f"did you mean `{guess}`?" if guess else "choose one of those."
    return f"Expected a field of backend {name!r} ({', '.join(settable)}), got {shown}: {remedy}"


def _shown(value: object) -> str:
    """Show a value as it was given, a long one without its middle."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = shown.maxlong = 80
    return shown.repr(value)


def _message(error: ValidationError, fields: Mapping[str, Any], name: str) -> str:
    """Turn the first complaint of pydantic into one line: expected, got, remedy."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = [str(part) for part in first["loc"]]
    text = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    if not where:
        return f"Backend {name!r}: {text}"
    field = field_name(where[:1])
    if field == "service_options":
        return (
            f"Expected `service_options` of backend {name!r} to be a table, got "
            f"{type(fields.get(field)).__name__}: write `service_options.filename=...`."
        )
    expected = text.removeprefix("Input should be ")
    return (
        f"Expected `{field}` of backend {name!r} to be {expected}, "
        f"got {_shown(fields.get(field))}: correct `{field}`."
    )
