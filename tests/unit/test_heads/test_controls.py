from __future__ import annotations

import itertools

import pytest

from hybridq.config import head_config
from hybridq.errors import InvalidValueError
from hybridq.models.classifier import head_summary
from hybridq.models.heads import HEADS, build_head, match_counts, match_summary, num_trainable
from hybridq.quantum import ANSAETZE, ENCODINGS, ENTANGLEMENTS
from hybridq_backends import open_backend

FEATURES = 1280


CONTROLS = {
    name: entry.control for name, entry in HEADS.items() if entry.control and not entry.fitted
}
"""Quantum heads that are trained, and their controls."""
MATCHED = {name: control for name, control in CONTROLS.items() if name != "generated"}
"""Those whose control has as many parameters; that of `generated` has as much rank."""


def shape_of(name, features):
    return (features, 2, 2) if HEADS[name].input == "map" else features


def config_of(name, **fields):
    known = HEADS[name].config.model_fields
    return head_config(name, **{key: value for key, value in fields.items() if key in known})


@pytest.fixture(scope="module")
def exact():
    return open_backend("aer_statevector")


@pytest.mark.parametrize("ansatz", ANSAETZE)
@pytest.mark.parametrize("num_qubits", [2, 4, 8])
@pytest.mark.parametrize(("quantum", "control"), MATCHED.items())
def test_counts_are_within_one_percent(quantum, control, num_qubits, ansatz, exact):
    for encoding, entanglement in itertools.product(ENCODINGS, ENTANGLEMENTS):
        fields = {
            "num_qubits": num_qubits,
            "ansatz": ansatz,
            "encoding": encoding,
            "entanglement": entanglement,
            "reducer": "linear",
            "token_dim": num_qubits,
            "num_layers": 1,
        }
        heads = [
            build_head(shape_of(name, FEATURES), 2, config_of(name, **fields), backend=exact)
            for name in (quantum, control)
        ]
        counts = [num_trainable(head) for head in heads]
        assert counts[1] == pytest.approx(counts[0], rel=0.01)
        assert match_counts(heads[1]) == (counts[1], counts[0])


@pytest.mark.parametrize("num_layers", [1, 2, 3, 10])
def test_the_width_is_the_best_there_is(num_layers):
    config = head_config(name="mlp", num_layers=num_layers)
    head = build_head(FEATURES, 2, config)
    own, quantum = match_counts(head)
    width = head.block.hidden.out_features
    for other in {max(1, width - 1), width + 1}:
        assert abs(own - quantum) <= abs(own + (other - width) * 9 - quantum)


def test_summary_counts_frozen_weights():
    head = build_head(
        FEATURES, 2, head_config(name="pqc"), backend=open_backend("statevector")
    ).requires_grad_(False)
    assert head_summary(head) == "5142 parameters, 12 of them in the circuit"


def test_summary():
    head = build_head(FEATURES, 2, head_config(name="mlp"))
    assert match_summary(head) == "control 5143 parameters, quantum head 5142"
    head.requires_grad_(False)
    assert num_trainable(head) == 0
    assert match_summary(head) == "control 5143 parameters, quantum head 5142"
    with pytest.raises(InvalidValueError, match="Expected a control head, got LinearHead"):
        match_summary(build_head(FEATURES, 2, head_config(name="linear")))


@pytest.mark.parametrize(("quantum", "control"), CONTROLS.items())
def test_one_seed_gives_both_the_same_reducer_and_readout(quantum, control, exact):
    states = [
        build_head(shape_of(name, 16), 2, head_config(name=name), backend=exact).state_dict()
        for name in (quantum, control)
    ]
    shared = {key for key in states[0] if not key.startswith("block.")}
    assert shared == {key for key in states[1] if not key.startswith("block.")}
    assert all(states[0][key].equal(states[1][key]) for key in shared)
