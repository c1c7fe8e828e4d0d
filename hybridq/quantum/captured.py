"""Collect the expectation values of a running model, or replace them by others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from hybridq.errors import InvalidValueError
from hybridq.quantum.modules import quantum_parts


@contextmanager
def captured(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the values of a module's quantum modules inside the block, call by call.

    Yields:
        A list that grows with each call; each entry is `(..., num_observables)`.
    """
    found: list[Tensor] = []
    hooks = [
        part.register_forward_hook(lambda _module, _inputs, output: found.append(output))
        for part in quantum_parts(module)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def replaced(module: nn.Module, values: Sequence[Tensor]) -> Iterator[None]:
    """Let a module's quantum modules return other values inside the block, call by call.

    The circuits still run, so use a backend that costs nothing.

    Args:
        module: The module that is run inside the block.
        values: The values, as `captured` collects them.

    Raises:
        InvalidValueError: If there are more or fewer calls than values.
    """
    left = list(values)

    def replace(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if not left or left[0].shape != output.shape:
            raise InvalidValueError(
                f"Expected the calls of the quantum layers that were captured, got one of shape "
                f"{tuple(output.shape)} more: run the same module on the same inputs."
            )
        return left.pop(0).to(output.dtype)

    hooks = [part.register_forward_hook(replace) for part in quantum_parts(module)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
