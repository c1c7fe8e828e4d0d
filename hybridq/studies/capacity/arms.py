"""The arms of a study of capacity, their comparisons, and how their heads begin."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hybridq.config import CapacityStudyConfig
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import Question
from hybridq.models.heads import num_trainable
from hybridq.models.heads.base import quantum_block
from hybridq.quantum import look_up
from hybridq.quantum.modules import circuits_of
from hybridq.quantum.trigonometric import trigonometric_degrees
from hybridq.studies.ablation.grid import Arm
from hybridq.studies.heads.given import Given
from hybridq.studies.lists import entries
from hybridq_backends import open_backend

REDUCERS = {
    "linear": "trained reducer",
    "pca": "reducer frozen at PCA",
    "random": "reducer frozen at random",
}
"""How features become angles, as the configs of heads have it, and in words."""

CIRCUIT = "pqc"
"""The arm that is asked about."""
MEAN, RESET = "pqc_mean", "pqc_reset"
"""Interventions on the trained circuit: its values replaced by their mean over the labelled images,
and its weights put back to where they began."""
CALLED = {
    CIRCUIT: "circuit",
    "pqc_unentangled": "circuit without entanglement",
    "pqc_untrained": "circuit with untrained weights",
    MEAN: "circuit replaced by its mean",
    RESET: "circuit put back to its start",
    "mlp": "matched MLP",
    "trig": "free polynomial",
    "rff": "random Fourier features",
    "low_rank": "low-rank linear map",
    "identity": "identity",
}
"""What arms are called in words."""


def _ask(topic: str, text: str, other: str) -> Question:
    return Question(topic, text, CIRCUIT, other, family=topic)


BLOCKS, PARTS, TAKEN = "classical blocks", "parts of the circuit", "interventions"
QUESTIONS = (
    _ask(BLOCKS, "does the circuit beat its matched MLP", "mlp"),
    _ask(BLOCKS, "does it beat the polynomial that contains it", "trig"),
    _ask(BLOCKS, "does it beat random Fourier features", "rff"),
    _ask(BLOCKS, "does it beat a linear map of its rank", "low_rank"),
    _ask(BLOCKS, "does it beat the identity", "identity"),
    _ask(PARTS, "does entanglement help", "pqc_unentangled"),
    _ask(PARTS, "does training the circuit help", "pqc_untrained"),
    _ask(TAKEN, "does the trained circuit need its trained weights", RESET),
    _ask(TAKEN, "does the head need what the circuit says of an image", MEAN),
)
"""Every comparison of the circuit, declared beforehand; the verdicts of a topic hold together."""


def arms_of(given: Given, reducer: str) -> dict[str, Arm]:
    """List the arms that are trained, by name.

    The polynomial is left out where the circuit is none, or one of too many coefficients.
    """

    def arm(name: str, *, trains_circuit: bool = True, **changes: Any) -> Arm:
        return Arm(given.head(name, reducer=reducer, **changes), trains_circuit)

    found = {
        CIRCUIT: arm("pqc"),
        "pqc_unentangled": arm("pqc", entanglement="none"),
        "pqc_untrained": arm("pqc", trains_circuit=False),
        **{name: arm(name) for name in ("mlp", "trig", "rff", "low_rank", "identity")},
    }
    return {name: own for name, own in found.items() if name != "trig" or not no_polynomial(given)}


def no_polynomial(given: Given) -> str:
    """Say why there is no polynomial arm; nothing where there is one.

    Raises:
        InvalidValueError: If the circuit itself cannot be built.
    """
    with open_backend("statevector") as exact:
        layer = quantum_block(given.head("pqc"), exact)(torch.Generator())
        try:
            trigonometric_degrees(circuits_of(layer)[0])
        except InvalidValueError as error:
            return str(error)
    return ""


def reducers_of(config: CapacityStudyConfig) -> tuple[str, ...]:
    """Read the reducers of a study, in the order given.

    Raises:
        InvalidValueError: If one is unknown or twice there.
    """
    known = {name: name for name in REDUCERS}
    return entries("reducers", config.reducers, lambda word: look_up("reducer", word, known))


def parameters(head: nn.Module) -> dict[str, int]:
    """Count the trained parameters of a head in its `reducer`, its `block` and its `readout`."""
    parts = {"reducer": "reducer", "block": "block", "classifier": "readout"}
    own = {parts[name]: num_trainable(part) for name, part in head.named_children()}
    return {name: own.get(name, 0) for name in parts.values()}
