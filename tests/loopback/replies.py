"""Replies, and errors in the shape that IBM's service gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MORE_INFO = "https://quantum.cloud.ibm.com/docs/errors"


@dataclass(frozen=True)
class Reply:
    """A status, a body, and headers besides the usual ones."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class RefusedError(Exception):
    """A request that the service refuses."""

    def __init__(
        self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Refuse with an HTTP status, IBM's code, a message and headers."""
        super().__init__(message)
        self.reply = error_reply(status, code, message, headers)


def json_reply(data: Any, status: int = 200) -> Reply:
    """Reply with JSON."""
    return Reply(status, json.dumps(data).encode())


def error_reply(
    status: int, code: int | str, message: str, headers: Mapping[str, str] | None = None
) -> Reply:
    """Reply with an error; IBM lists it under `errors`, with a trace."""
    error = {"code": code, "message": message, "solution": "", "more_info": MORE_INFO}
    body = json.dumps({"errors": [error], "trace": "loopback"}).encode()
    return Reply(status, body, dict(headers or {}))
