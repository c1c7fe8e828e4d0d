"""Keep the secrets of an account out of dumps, records and messages."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from hybridq_backends.errors import UnavailableError

PUBLIC = frozenset(
    {"channel", "filename", "name", "region", "plans_preference", "private_endpoint", "verify"}
)
_SECRET_ENVIRONMENT = ("QISKIT_IBM_TOKEN", "QISKIT_IBM_RUNTIME_API_TOKEN")
_INSTANCE = "QISKIT_IBM_INSTANCE"
_HARMLESS = frozenset({"auto"})
"""Harmless values of options that may hold secrets: the instance that IBM chooses."""
_SHORTEST_SECRET = 4
_SHORTEST_PART = 16
HIDDEN = "***"
_SHAPES = tuple(
    re.compile(shape, re.IGNORECASE)
    for shape in (
        r"crn(?::|%3A)[^\s\"'<>,;(){}\[\]]+",  # the name of an instance
        r"eyJ[\w-]+\.[\w-]+\.[\w-]*",  # an access token
        r"(?<=bearer )[\w.~+/=-]{16,}|(?<=apikey )[\w.~+/=-]{16,}",
        r"(?<=://)[^/\s@]+(?=@)",  # who asks a proxy
    )
)


class Secret:
    """The value of a service option, which is never shown and never leaves the process."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value, for the one call that needs it.

        Raises:
            UnavailableError: If the object was pickled, since the value stayed in its process.
        """
        if self._value is _STAYED:
            raise UnavailableError(
                "Expected the secrets of an account, got a backend from another process, which "
                "holds none: put them into a profile or the environment, which each process reads."
            )
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return bool(self._value == (other._value if isinstance(other, Secret) else other))

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _stayed, ()


_STAYED = object()


def _stayed() -> Secret:
    """Make the empty secret that a pickled one becomes."""
    return Secret(_STAYED)


def hide(options: Mapping[str, Any]) -> dict[str, Any]:
    """Wrap the service options that are not known to be public."""
    return {
        name: value if name in PUBLIC or isinstance(value, Secret) else Secret(value)
        for name, value in options.items()
    }


def reveal(options: Mapping[str, Any]) -> dict[str, Any]:
    """Unwrap service options, for the client.

    Raises:
        UnavailableError: If secrets stayed in another process.
    """
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in options.items()
    }


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the service options that are known to hold no secret, as plain values.

    Args:
        options: Arguments of QiskitRuntimeService.

    Returns:
        A JSON-safe copy of the harmless ones; any other option is left out.
    """
    plain = (str, int, float, bool)
    return {k: v for k, v in options.items() if k in PUBLIC and isinstance(v, plain)}


def redact(text: str, options: Mapping[str, Any], more: Iterable[Any] = ()) -> str:
    """Replace every secret in a text, and everything that has the shape of one.

    Args:
        text: A message that may quote an account.
        options: Arguments of QiskitRuntimeService; every value that is not known to be
            public counts as a secret, and so do token and instance in the environment.
        more: Other secrets: strings, or lists and tables of them.

    Returns:
        The text in one line with `***` for each secret.
    """
    secrets: set[str] = set()
    for name in _SECRET_ENVIRONMENT:
        secrets.update(_forms(os.environ.get(name, "")))
    if (instance := os.environ.get(_INSTANCE, "")).lower().startswith("crn:"):  # or a mere word
        secrets.update(_forms(instance))
    for key, value in options.items():
        if key not in PUBLIC:
            secrets.update(form for one in _strings(value) for form in _forms(one))
    secrets.update(form for one in _strings(list(more)) for form in _forms(one))
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    return " ".join(text.split())


def _forms(secret: str) -> Iterator[str]:
    """List a secret and the account and instance in its name, in all forms of replies."""
    secret = secret.strip()
    parts = secret.split(":") if secret.lower().startswith("crn:") else []
    short = [part.removeprefix("a/") for part in parts[6:8]]  # account and instance
    known = [secret] if len(secret) >= _SHORTEST_SECRET and secret not in _HARMLESS else []
    for one in known + [part for part in short if len(part) >= _SHORTEST_PART]:
        yield from (one, quote(one, safe=""), json.dumps(one)[1:-1], html.escape(one))


def _strings(value: object) -> Iterator[str]:
    """Yield the strings inside nested tables and lists."""
    if isinstance(value, Secret):
        value = value._value
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
