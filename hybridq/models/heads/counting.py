"""List and count the parameters of a head."""

from __future__ import annotations

from torch import nn

from hybridq.errors import InvalidValueError
from hybridq.quantum.modules import quantum_parameters


def num_parameters(module: nn.Module) -> int:
    """Count the parameters, trained or not."""
    return sum(param.numel() for param in module.parameters())


def num_trainable(module: nn.Module) -> int:
    """Count the parameters with `requires_grad`."""
    return sum(param.numel() for param in module.parameters() if param.requires_grad)


def circuit_parameters(head: nn.Module) -> list[nn.Parameter]:
    """List the parameters of a head that learn at the circuit's rate.

    They are those of `head.circuit_parameters()`, if the head has that method, and otherwise the
    parameters of its quantum modules. The control of a quantum head names the weights of the block
    in the circuit's place, so that both are trained alike and can be compared.
    """
    named = getattr(head, "circuit_parameters", None)
    return list(named()) if callable(named) else quantum_parameters(head)


def is_control(head: nn.Module) -> bool:
    """Whether a head has a classical block in the place of a circuit.

    Such a block has `num_circuit_weights`, the number of parameters of what it stands in for.
    """
    return bool(_control_blocks(head))


def _control_blocks(head: nn.Module) -> list[tuple[nn.Module, int]]:
    """List the classical blocks in the place of circuits, with the parameters of what they are."""
    parts = ((part, getattr(part, "num_circuit_weights", None)) for part in head.modules())
    return [(part, count) for part, count in parts if isinstance(count, int)]


def match_counts(control: nn.Module) -> tuple[int, int]:
    """Count the parameters of a control and of the quantum head that it stands in for.

    Args:
        control: A head that is the control of a quantum one, such as `mlp`.

    Returns:
        Number of parameters of the control, and of the quantum head of the same config.

    Raises:
        InvalidValueError: If the head is not a control.
    """
    blocks = _control_blocks(control)
    if not blocks:
        raise InvalidValueError(
            f"Expected a control head, got {type(control).__name__} without a control block: "
            "build `mlp` or `mlp_residual`."
        )
    own = num_parameters(control)
    return own, own + sum(count - num_parameters(block) for block, count in blocks)


def match_summary(control: nn.Module) -> str:
    """Write the two numbers of `match_counts` in words."""
    own, quantum = match_counts(control)
    return f"control {own} parameters, quantum head {quantum}"
