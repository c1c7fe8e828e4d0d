"""What a parametrised circuit can do before it is trained: expressibility, entanglement, dimension.

Properties of the circuit over random weights, not of its use: none of them predicts accuracy. All
states of a measure are one batch of the torch engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.quantum import ParametrizedCircuit, StatevectorEngine, z_observables
from hybridq.quantum.split_circuit import split_circuit
from hybridq.utils.files import without_nan

BINS = 75
"""Bins of the fidelities, as in Sim et al."""
PAIRS = 5000
STATES = 1000
DRAWS = 100
"""Draws of the weights for the effective dimension."""
INPUTS = 25
"""Draws of the inputs for the effective dimension where none are given."""
NUMBERS = 2**19
"""Amplitudes of a batch that is differentiated."""

Probabilities = Callable[[Tensor, Tensor], Tensor]
"""Inputs `(rows, num_inputs)` and weights `(rows, num_weights)` to `(rows, outcomes)`."""


def circuit_measures(
    parts: ParametrizedCircuit,
    *,
    num_data: int,
    inputs: Tensor | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """All measures of one circuit, ready for JSON: what is undefined is None.

    A second or two for four qubits; the effective dimension takes up to 16 times as long with two
    qubits more.
    Inputs, where drawn, are uniform in (0, pi), where the angles of the heads lie, and weights
    uniform in (0, 2 pi).

    Args:
        parts: the circuit; `hybridq.models.heads.base.make_circuit` makes that of a head.
        num_data: training images, which set the scale of the effective dimension.
        inputs: angles in radians of real images, `(images, num_inputs)`, for the effective
            dimension; drawn if None. A few dozen will do, and the time grows with their number.
        seed: of all draws; the global generator is left alone.

    Returns:
        `num_qubits`, `num_weights`, `expressibility`, `expressibility_bins`,
        `expressibility_pairs`, `entangling_capability`, `effective_dimension`,
        `effective_dimension_share` (of the number of weights) and `num_data`.
    """
    generator = torch.Generator().manual_seed(seed)
    num_weights = len(parts.weight_params)
    weights = 2 * math.pi * _uniform(DRAWS, num_weights, generator)
    if inputs is None:
        inputs = math.pi * _uniform(INPUTS, len(parts.input_params), generator)
    fisher = fisher_information(circuit_probabilities(parts), inputs, weights)
    dimension = effective_dimension(fisher, num_data)
    result: dict[str, Any] = without_nan(
        {
            "num_qubits": parts.circuit.num_qubits,
            "num_weights": num_weights,
            "expressibility": expressibility(parts, generator=generator),
            "expressibility_bins": BINS,
            "expressibility_pairs": PAIRS,
            "entangling_capability": entangling_capability(parts, generator=generator),
            "effective_dimension": dimension,
            "effective_dimension_share": dimension / num_weights if num_weights else math.nan,
            "num_data": num_data,
        }
    )
    return result


def expressibility(
    parts: ParametrizedCircuit,
    *,
    pairs: int = PAIRS,
    bins: int = BINS,
    generator: torch.Generator | None = None,
) -> float:
    """How far the states of the circuit are from random ones; 0 is the most expressive.

    Sim, Johnson & Aspuru-Guzik, arXiv:1905.10876: the Kullback-Leibler divergence, in
    nats, of the fidelities of pairs of states from those of Haar-random states.

    Args:
        parts: the circuit; its inputs are drawn too.
        pairs: of states.
        bins: of the fidelity, of equal width.
        generator: source of the draws; one seeded with 0 if None.
    """
    first, second = random_states(parts, 2 * pairs, generator).chunk(2)
    fidelities = torch.linalg.vecdot(first, second).abs() ** 2
    return divergence_from_haar(fidelities, first.shape[1], bins=bins)


def divergence_from_haar(fidelities: Tensor, dimension: int, *, bins: int = BINS) -> float:
    """Kullback-Leibler divergence of fidelities from those of Haar-random states, in nats.

    Those have the density `(N - 1) (1 - F)^(N - 2)`. A finite sample of random states does not
    give 0 but, on average, up to (bins - 1) / (2 * sample).

    Args:
        fidelities: `(sample,)`, in [0, 1].
        dimension: N, the length of the states, at least 2.
        bins: of equal width.
    """
    found = torch.histc(fidelities.double().clamp(0, 1), bins, min=0, max=1) / len(fidelities)
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    low, high = 1 - edges[:-1], 1 - edges[1:]
    # log(low^(N-1) - high^(N-1)), which for many qubits is too small for a number.
    haar = (dimension - 1) * low.log() + torch.log1p(-((high / low) ** (dimension - 1)))
    return float((torch.xlogy(found, found) - found * haar).sum())


def entangling_capability(
    parts: ParametrizedCircuit,
    *,
    states: int = STATES,
    generator: torch.Generator | None = None,
) -> float:
    """Mean Meyer-Wallach measure of the circuit's states, in [0, 1].

    Sim, Johnson & Aspuru-Guzik, arXiv:1905.10876.

    Args:
        parts: the circuit; its inputs are drawn too.
        states: that the mean is over.
        generator: source of the draws; one seeded with 0 if None.
    """
    return float(meyer_wallach(random_states(parts, states, generator)).mean())


def meyer_wallach(states: Tensor) -> Tensor:
    """Global entanglement of pure states: twice one minus the mean purity of single qubits.

    Meyer & Wallach, quant-ph/0108104, in the form of Brennen, quant-ph/0305094: 0 for product
    states and 1 where each qubit is maximally mixed.

    Args:
        states: amplitudes `(batch, 2**n)`.

    Returns:
        `(batch,)`.
    """
    num_qubits = states.shape[1].bit_length() - 1
    purities = []
    for qubit in range(num_qubits):
        parted = states.reshape(len(states), -1, 2, 2**qubit).transpose(1, 2).flatten(2)
        reduced = parted @ parted.mH
        purities.append((reduced.abs() ** 2).sum(dim=(1, 2)))
    return 2 * (1 - torch.stack(purities).mean(dim=0)).clamp_min(0)


def effective_dimension(fisher: Tensor, num_data: int, *, gamma: float = 1.0) -> float:
    """Number of weights that so many data can tell apart; 0 where no weight changes the output.

    Abbas et al., arXiv:2011.00027: with the Fisher information scaled to a mean
    trace of `num_weights` and `kappa = gamma n / (2 pi log n)`,
    `2 log(mean of sqrt(det(1 + kappa F))) / log kappa`. For many data it tends to the largest
    rank of F. With few data, where log kappa is near 0, it can exceed the number of weights:
    compare circuits at the same n.

    Args:
        fisher: `(draws, num_weights, num_weights)`, the weights drawn uniformly.
        num_data: n, the number of data.
        gamma: of the definition, in (0, 1].

    Raises:
        InvalidValueError: if kappa is not above 1: there are too few data for the definition.
    """
    kappa = gamma * num_data / (2 * math.pi * math.log(max(num_data, 2)))
    if not 0 < gamma <= 1 or kappa <= 1:
        raise InvalidValueError(
            f"Expected gamma in (0, 1] and gamma n / (2 pi log n) above 1, got gamma {gamma} and "
            f"{num_data} data: the definition needs at least 19."
        )
    num_weights = fisher.shape[-1]
    trace = float(fisher.diagonal(dim1=1, dim2=2).sum(dim=1).mean()) if num_weights else 0.0
    if trace <= 1e-12:  # of numbers that are about 1 for a weight that matters
        return 0.0
    scaled = num_weights / trace * fisher
    one = torch.eye(num_weights, dtype=fisher.dtype)
    halves = torch.linalg.slogdet(one + kappa * scaled).logabsdet / 2
    mean = torch.logsumexp(halves, dim=0) - math.log(len(halves))
    return float(2 * mean / math.log(kappa))


def fisher_information(probabilities: Probabilities, inputs: Tensor, weights: Tensor) -> Tensor:
    """Fisher information of a model at each draw of its weights, the mean over the inputs.

    `sum over y of (d p_y)(d p_y)^T / p_y`, with all outcomes y and not a sample of them. An outcome
    of probability 0 adds nothing.

    Args:
        probabilities: of the outcomes, row by row.
        inputs: `(inputs, num_inputs)`.
        weights: `(draws, num_weights)`.

    Returns:
        `(draws, num_weights, num_weights)`, double.
    """
    inputs, weights = inputs.detach().double(), weights.detach().double()
    if not weights.shape[1]:
        return weights.new_zeros(len(weights), 0, 0)
    with torch.no_grad():
        outcomes = probabilities(inputs[:1], weights[:1]).shape[1]
    # Every draw with every input; the outcomes of a pair are rows too, with a state each.
    pairs = torch.cartesian_prod(torch.arange(len(weights)), torch.arange(len(inputs)))
    found = [
        _fisher(probabilities, inputs[chosen[:, 1]], weights[chosen[:, 0]], outcomes)
        for chosen in torch.split(pairs, max(1, NUMBERS // outcomes**2))
    ]
    num_weights = weights.shape[1]
    each = torch.cat(found).reshape(len(weights), len(inputs), num_weights, num_weights)
    return each.mean(dim=1)


def _fisher(probabilities: Probabilities, inputs: Tensor, weights: Tensor, outcomes: int) -> Tensor:
    """Compute it of each row; outcomes have rows of their own: one backward gives the Jacobian."""
    leaf = weights.repeat_interleave(outcomes, dim=0).requires_grad_(True)
    rows = inputs.repeat_interleave(outcomes, dim=0)
    probs = probabilities(rows, leaf).reshape(-1, outcomes, outcomes).diagonal(dim1=1, dim2=2)
    (jacobian,) = torch.autograd.grad(probs.sum(), leaf)
    found = probs.detach()
    scale = torch.where(found > 1e-14, found, math.inf).rsqrt()
    score = scale[..., None] * jacobian.reshape(len(weights), outcomes, -1)
    return torch.matmul(score.mT, score)


def circuit_probabilities(parts: ParametrizedCircuit) -> Probabilities:
    """Probabilities of the bit strings of all qubits, of which a head reads the means."""
    states = circuit_states(parts)

    def probabilities(inputs: Tensor, weights: Tensor) -> Tensor:
        return states(torch.cat([inputs, weights], dim=1)).abs() ** 2

    return probabilities


def random_states(
    parts: ParametrizedCircuit, count: int, generator: torch.Generator | None = None
) -> Tensor:
    """States `(count, 2**n)` of random inputs in (0, pi) and weights in (0, 2 pi)."""
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    num_inputs, num_weights = len(parts.input_params), len(parts.weight_params)
    width = torch.tensor([math.pi] * num_inputs + [2 * math.pi] * num_weights)
    drawn = _uniform(count, num_inputs + num_weights, generator)
    with torch.no_grad():
        return circuit_states(parts)(drawn * width.double())


def circuit_states(parts: ParametrizedCircuit) -> Callable[[Tensor], Tensor]:
    """Make a map from angles `(batch, inputs + weights)` in radians to states `(batch, 2**n)`.

    Differentiable; amplitudes are double, real where the gates are, and up to a global phase.
    """
    params = [*parts.input_params, *parts.weight_params]
    split = split_circuit(parts.circuit, params, [])
    engine = StatevectorEngine(split, z_observables(parts.circuit.num_qubits), same_weights=False)

    def states(angles: Tensor) -> Tensor:
        phi = split.phases(angles, angles.new_zeros(0))
        return engine.states(phi).T.expand(len(angles), -1)

    return states


def _uniform(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, columns, generator=generator, dtype=torch.float64)
