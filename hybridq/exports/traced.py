"""Torch programs in torch's format and as ONNX, with nothing in them of this machine."""

from __future__ import annotations

import importlib.util
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from hybridq.errors import HybridqError, InvalidValueError, UnavailableError
from hybridq.utils.outside import is_out_of_memory

if TYPE_CHECKING:
    from torch.onnx import ONNXProgram

NEEDED = ("onnx", "onnxscript")
"""The libraries that make ONNX files."""

_OF_TRACING = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError)
"""Errors with which torch says that it cannot trace or translate a module."""


def check_extra() -> None:
    """Refuse to go on without the libraries that make ONNX files.

    Raises:
        UnavailableError: If one is missing.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"Expected {' and '.join(NEEDED)} for --format onnx, got none of "
            f"{' and '.join(missing)} installed: pip install {' '.join(NEEDED)}, or take --format "
            "torch, qasm3 or qpy."
        )


def trace(module: nn.Module, inputs: tuple[Any, ...], free: tuple[Any, ...]) -> ExportedProgram:
    """Trace a module.

    Args:
        module: A module in evaluation mode.
        inputs: An example of its inputs.
        free: The dimensions of each input that may have any size, in the same structure.

    Raises:
        InvalidValueError: If torch cannot make a program of it.
    """
    with _explained("torch.export"), torch.no_grad():
        program = torch.export.export(module, inputs, dynamic_shapes=free)
    for node in program.graph.nodes:
        for name in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(name, None)
    return program


def free_rows(tensors: Sequence[Tensor]) -> tuple[dict[int, Any], ...]:
    """Leave the first dimension of each tensor free."""
    return tuple({0: Dim.DYNAMIC} for _ in tensors)


def as_pt2(program: ExportedProgram) -> bytes:
    """Write a program in torch's format, which `torch.export.load` reads."""
    buffer = io.BytesIO()
    with _explained("a file of torch.export"):
        torch.export.save(program, buffer)
    return buffer.getvalue()


def as_onnx(
    program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[bytes, list[str]]:
    """Translate a program to ONNX; inputs that it does not use are left out.

    Args:
        program: The program.
        inputs: Names of its inputs.
        outputs: Names of its outputs.

    Returns:
        The file, and the names of the inputs that are left.

    Raises:
        InvalidValueError: If an operation has no counterpart in ONNX.
    """
    with _explained("ONNX"):
        made: ONNXProgram | None = torch.onnx.export(
            program, dynamo=True, input_names=inputs, output_names=outputs, verbose=False
        )
    model: Any = None if made is None else made.model
    graph = model.graph
    for value in list(graph.inputs):
        if not value.uses():
            graph.inputs.remove(value)
    _name_rows(graph)
    _forget_sources(model)
    from onnx_ir import to_proto

    content: bytes = to_proto(model).SerializeToString(deterministic=True)
    return content, [value.name for value in graph.inputs]


def _name_rows(graph: Any) -> None:
    """Call the one free dimension `batch`, where there is one."""
    lead = {str(dim) for value in graph.inputs for dim in value.shape if not isinstance(dim, int)}
    if len(lead) != 1:
        return
    (symbol,) = lead
    values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
    for value in values:
        for place, dim in enumerate(value.shape or ()):
            if not isinstance(dim, int):
                value.shape[place] = re.sub(rf"\b{symbol}\b", "batch", str(dim))


def _forget_sources(model: Any) -> None:
    """Remove what says where the program was made: paths, lines of code, names of modules."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    ClearMetadataAndDocStringPass()(model)


@contextmanager
def _explained(target: str) -> Iterator[None]:
    """Turn what torch says of a module that cannot be translated into one line."""
    unread = io.StringIO()  # torch writes the whole program that it could not finish
    try:
        with warnings.catch_warnings(), redirect_stdout(unread), redirect_stderr(unread):
            warnings.simplefilter("ignore")
            yield
    except HybridqError:
        raise
    except (*_OF_TRACING, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
        raise InvalidValueError(
            f"Expected a model that {target} can hold, got one that it cannot "
            f"({type(error).__name__}: {said[:200]}): write the head or encoder in plain torch "
            "operations, or export the circuits alone, with --format qpy."
        ) from error
