"""What can be asked of any part of a model that has circuits in it, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from torch import nn

from hybridq_backends import Deferred, Executable, open_backend, opened_backend

if TYPE_CHECKING:
    from hybridq_backends import BackendLike

    Backend: TypeAlias = Executable | Deferred
    AnyBackend: TypeAlias = BackendLike | Deferred


@dataclass(frozen=True)
class CircuitInfo:
    """A logical circuit of a model, and what is measured on it.

    Attributes:
        circuit: The circuit, without measurements.
        input_params: Its parameters that are inputs, in the order of the input's columns.
        weight_params: Its trainable parameters, in the order of the weight tensor.
        observables: What is measured, one for each expectation value.
    """

    circuit: QuantumCircuit
    input_params: tuple[Parameter, ...]
    weight_params: tuple[Parameter, ...]
    observables: tuple[SparsePauliOp, ...]

    @property
    def measured(self) -> list[str]:
        """The observables as sums of Pauli words, such as `0.5 XYX - 0.5 ZIZ`."""
        return [_written(observable) for observable in self.observables]


def _written(observable: SparsePauliOp) -> str:
    terms = [
        f"{'-' if value.real < 0 else '+'} {'' if abs(value) == 1 else f'{abs(value):g} '}{word}"
        for word, value in observable.to_list()
    ]
    return " ".join(terms).removeprefix("+ ")


@runtime_checkable
class QuantumModule(Protocol):
    """A torch module that asks an executable for expectation values.

    `QuantumLayer` is one, and so is any module of your own with these three members.
    """

    @property
    def backend(self) -> Backend:
        """Where its circuits run."""
        ...

    def use_backend(self, backend: Backend) -> None:
        """Run on another backend from now on, with the very same weights."""
        ...

    def circuits(self) -> list[CircuitInfo]:
        """List the circuits that one input takes, each once."""
        ...


def quantum_modules(module: nn.Module) -> list[QuantumModule]:
    """Find the quantum modules in a module, itself included, in the order of its modules.

    What stands within a quantum module belongs to it and is not listed.

    Example:
        >>> import hybridq as hq
        >>> data = hq.load_data("phantom,size=16,count=40")
        >>> model = hq.finetune(None, data, head="pqc", epochs=1, freeze_encoder=True)
        >>> (layer,) = hq.quantum_modules(model.module)
        >>> layer.circuits()[0].circuit.num_qubits
        4
    """
    if isinstance(module, QuantumModule):
        return [module]
    return [found for child in module.children() for found in quantum_modules(child)]


def quantum_parts(module: nn.Module) -> list[nn.Module]:
    """List the quantum modules of `quantum_modules` as torch modules, to hook or to count."""
    return [part for part in quantum_modules(module) if isinstance(part, nn.Module)]


def circuits_of(module: nn.Module) -> list[CircuitInfo]:
    """List the circuits of all quantum modules in a module."""
    return [circuit for part in quantum_modules(module) for circuit in part.circuits()]


def is_exact(layer: nn.Module) -> bool:
    """Whether a module may compute what a layer would give by itself: exactly, and unseen.

    That is so where torch computes the layer, without noise and shots. It is not where a hook
    watches the layer (`captured`, `replaced`), nor of what stands in for a layer while a program is
    made of a model: there its circuits are to be asked.
    """
    backend = getattr(layer, "backend", None)
    spec = backend.spec if isinstance(backend, Executable) else None
    if spec is None or layer._forward_hooks:
        return False
    is_sampled = getattr(spec, "shots", None) is not None
    return spec.is_differentiable and not spec.has_noise and not is_sampled


def quantum_parameters(module: nn.Module) -> list[nn.Parameter]:
    """List the trainable parameters of all quantum modules in a module."""
    return [parameter for part in quantum_parts(module) for parameter in part.parameters()]


def as_backend(backend: AnyBackend) -> Backend:
    """Open what stands for a backend; an executable comes back as it is."""
    return backend if isinstance(backend, Deferred | Executable) else open_backend(backend)


def use_backend(module: nn.Module, backend: AnyBackend) -> None:
    """Let every quantum module in a module run on a backend, with the weights that it has.

    Args:
        module: Any torch module.
        backend: What `open_backend` takes. What a name opens stays open as long as it is used.

    Raises:
        InvalidValueError: If it is no backend, or a circuit is too wide for it.
    """
    opened = as_backend(backend)
    for part in quantum_modules(module):
        part.use_backend(opened)


@contextmanager
def running_on(module: nn.Module, backend: AnyBackend) -> Iterator[None]:
    """Let a module run on a backend inside the block, and where it ran before after it.

    Args:
        module: Any torch module.
        backend: What `open_backend` takes. What a name opens is closed at the end of the block.

    Raises:
        InvalidValueError: If it is no backend, or a circuit is too wide for it.
    """
    before = [(part, part.backend) for part in quantum_modules(module)]
    block: AbstractContextManager[Backend]
    block = nullcontext(backend) if isinstance(backend, Deferred) else opened_backend(backend)
    with block as opened:
        try:
            use_backend(module, opened)
            yield
        finally:
            for part, own in before:
                part.use_backend(own)
