"""Which parameters a head has, and how many."""

from __future__ import annotations

from torch import nn

from hybridq.errors import InvalidValueError
from hybridq.models.heads.base import BlockHead, Head
from hybridq.models.heads.mlp import ControlBlock
from hybridq.quantum import QuantumLayer


def num_trainable(module: nn.Module) -> int:
    """Number of parameters with `requires_grad`."""
    return sum(param.numel() for param in module.parameters() if param.requires_grad)


def quantum_layers(module: nn.Module) -> list[QuantumLayer]:
    """The quantum layers in a module, in the order of its modules."""
    return [part for part in module.modules() if isinstance(part, QuantumLayer)]


def quantum_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The circuit weights in a module, for instance for a learning rate of their own."""
    return [layer.weight for layer in quantum_layers(module)]


def block_parameters(head: Head) -> list[nn.Parameter]:
    """What stands between angles and values, and what a residual head weighs it by.

    The circuit's weights in a quantum head, and the weights of the block in their place in its
    control: trained alike, the two can be compared. Empty for a head without such a block.
    """
    if not isinstance(head, BlockHead):
        return []
    alpha = getattr(head, "alpha", None)
    return [*head.block.parameters(), *([] if alpha is None else [alpha])]


def match_counts(control: nn.Module) -> tuple[int, int]:
    """How well a control matches the quantum head it stands in for.

    Args:
        control: A head made by `mlp` or `mlp_residual`.

    Returns:
        Number of parameters of the control, and of the quantum head of the same config.

    Raises:
        InvalidValueError: If the head is not a control.
    """
    blocks = [part for part in control.modules() if isinstance(part, ControlBlock)]
    if not blocks:
        raise InvalidValueError(
            f"Expected a control head, got {type(control).__name__} without a control block: "
            "build `mlp` or `mlp_residual`."
        )
    own = sum(param.numel() for param in control.parameters())
    swapped = sum(
        block.num_circuit_weights - sum(param.numel() for param in block.parameters())
        for block in blocks
    )
    return own, own + swapped


def match_summary(control: nn.Module) -> str:
    """The two numbers of `match_counts` in words, to be printed."""
    own, quantum = match_counts(control)
    return f"control {own} parameters, quantum head {quantum}"
