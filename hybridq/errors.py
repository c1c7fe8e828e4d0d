"""The errors that hybridq raises for what a user can mend (see `hybridq_backends.errors`)."""

from __future__ import annotations

from hybridq_backends.errors import (
    HybridqError,
    InvalidValueError,
    MissingFileError,
    UnavailableError,
)

__all__ = ["HybridqError", "InvalidValueError", "MissingFileError", "UnavailableError"]
