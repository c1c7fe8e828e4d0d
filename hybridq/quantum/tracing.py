"""What stays out of the programs that `torch.compile` and `torch.export` make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

from hybridq.errors import UnavailableError

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def not_traced(function: FunctionT) -> FunctionT:
    """Let `torch.compile` call a function as it is, between the programs before and after it."""
    disabled: Any = torch.compiler.disable  # which has no types
    return cast(FunctionT, disabled(function))


def refuse_export(profile: str) -> None:
    """Refuse to become part of a program that `torch.export` makes.

    Args:
        profile: The backend whose values are no torch function.

    Raises:
        UnavailableError: Inside `torch.export`.
    """
    if torch.compiler.is_compiling():
        raise UnavailableError(
            f"Expected an exact backend on the torch engine for torch.export, got {profile!r}: "
            "let the circuits run on it first, by `use_backend(open_backend('statevector'))`."
        )
