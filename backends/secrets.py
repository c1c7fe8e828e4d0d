"""Keeping account secrets out of dumps, records and messages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

PUBLIC = frozenset(
    {"channel", "filename", "name", "region", "plans_preference", "private_endpoint", "verify"}
)
_SECRET_ENVIRONMENT = ("QISKIT_IBM_TOKEN", "QISKIT_IBM_RUNTIME_API_TOKEN")
_SHORTEST_SECRET = 4
HIDDEN = "***"


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the service options that are known to hold no secret, as plain values.

    Args:
        options: Arguments of QiskitRuntimeService.

    Returns:
        A JSON-safe copy of the harmless ones; any other option is left out.
    """
    plain = (str, int, float, bool)
    return {k: v for k, v in options.items() if k in PUBLIC and isinstance(v, plain)}


def redact(text: str, options: Mapping[str, Any]) -> str:
    """Replace every secret that occurs in a text.

    Args:
        text: A message that may quote an account.
        options: Arguments of QiskitRuntimeService; every value that is not known to be
            public counts as a secret, and so does the token in the environment.

    Returns:
        The text in one line with `***` for each secret.
    """
    secrets = {os.environ.get(name, "") for name in _SECRET_ENVIRONMENT}
    for key, value in options.items():
        if key not in PUBLIC:
            secrets.update(_strings(value))
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    return " ".join(text.split())


def _strings(value: object) -> Iterator[str]:
    """Yield the strings inside nested tables and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
