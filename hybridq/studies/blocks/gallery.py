"""Heads side by side: what a device has to run for each, and what its paper says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hybridq.models.heads import build_head, control_of, head_entry
from hybridq.models.reducers import reducer_of
from hybridq.quantum.modules import running_on
from hybridq.studies.blocks.grid import PRETRAINED, Combination, name_of
from hybridq.studies.blocks.tables import Answer
from hybridq_backends import Deferred, open_backend
from hybridq_backends.ibm.job_size import SECONDS_PER_EXECUTION, SECONDS_PER_JOB

DEVICE = "fake_torino"
SHOTS = 4096
IMAGES = 100

Row = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """What a paper says of a head.

    Attributes:
        paper: Its number on arXiv, or where it appeared.
        text: What it claims, as its abstract or its authors' code says.
    """

    paper: str
    text: str


CLAIMS: Mapping[str, Claim] = {
    "pqc": Claim(
        "2601.16608", "SimCLR and a circuit on MobileNetV2 help with few labels; figures not known"
    ),
    "pqc_residual": Claim(
        "2601.17862", "circuit features added to classical ones carry over to other sites"
    ),
    "lqer": Claim("2601.18814", "beats ResNet-18 on coronary angiograms, accuracy above 0.90"),
    "ttn": Claim("2306.03741", "a pretrained tensor train before the circuit beats PCA"),
    "generated": Claim(
        "2506.10275", "far fewer trained parameters, classical inference, robust under noise"
    ),
    "hyper": Claim(
        "npj Quantum Inf. 2026", "0.94 under simulated noise, 0.83 on a processor of 156 qubits"
    ),
    "swap_attention": Claim(
        "2504.02730", "up to 10.9 points above other quantum models on ten digits"
    ),
}
"""What is claimed of the heads that come with hybridq; sources: `docs/blocks.md`."""


@dataclass(frozen=True)
class OnDevice:
    """What a device runs for a head, compiled for `DEVICE`.

    Attributes:
        qubits: Qubits of the widest circuit.
        depth: Depth of the deepest compiled circuit.
        two_qubit_gates: Two-qubit gates of the compiled circuit that has most.
        circuits: Circuits for one image.
        seconds: QPU seconds for 100 images at 4,096 shots, by IBM's quick formula and in one job.
    """

    qubits: int
    depth: int
    two_qubit_gates: int
    circuits: int
    seconds: float


def on_device(built: Combination, in_shape: tuple[int, ...], num_classes: int) -> OnDevice:
    """Compile the circuits of a head for `DEVICE`, and count what it asks for.

    Args:
        built: The combination; its head has circuits.
        in_shape: The shape of what it is given for one image.
        num_classes: The number of classes.
    """
    asked: dict[int, Deferred] = {}
    with open_backend("statevector") as exact, open_backend(DEVICE) as device:
        shape: Any = in_shape if len(in_shape) > 1 else in_shape[0]
        head = build_head(shape, num_classes, built.config, backend=exact).eval()
        reducer = reducer_of(head)
        if reducer is not None and reducer.kind == "pca":  # any components will do here
            reducer.take(torch.eye(*reducer.weight.shape))
        for images in (1, IMAGES):
            asked[images] = Deferred(device)
            with torch.no_grad(), running_on(head, asked[images]):
                head(torch.zeros(images, *in_shape))
        compiled = [one.prepared.circuit for one in asked[1].requests]
        rows = {images: sum(len(one.rows) for one in own.requests) for images, own in asked.items()}
    return OnDevice(
        max(len({bit for item in one.data for bit in item.qubits}) for one in compiled),
        max(one.depth() for one in compiled),
        max(one.num_nonlocal_gates() for one in compiled),
        rows[1],
        SECONDS_PER_JOB + rows[IMAGES] * SHOTS * SECONDS_PER_EXECUTION,
    )


def gallery_rows(
    built: Sequence[Combination],
    in_shapes: Mapping[str, tuple[int, ...]],
    num_classes: int,
    summary: Sequence[Mapping[str, Any]],
    items: Sequence[Answer],
) -> list[Row]:
    """Rows of `gallery.csv`: one for each quantum head on a pretrained encoder.

    Args:
        built: The combinations of the study.
        in_shapes: The shape of features and of maps for one image, by `vector` and `map`.
        num_classes: The number of classes.
        summary: The rows of `summary.csv`.
        items: The answers that `compared` returns.
    """
    figures = {(row["labels"], row["blocks"]): row for row in summary}
    answers = {(amount, asked.a, asked.b): found for amount, asked, found in items}
    rows = []
    for one in built:
        control = control_of(one.head)
        if one.kind != PRETRAINED or control is None:
            continue
        entry = head_entry(one.head)
        found = on_device(one, in_shapes[entry.input], num_classes)
        claim = CLAIMS.get(one.head, Claim("", ""))
        beside = name_of(one.kind, one.reducer, control, one.qubits)
        for amount in dict.fromkeys(row["labels"] for row in summary):
            own, other = figures[amount, one.name], figures.get((amount, beside))
            answer = answers.get((amount, one.name, beside))
            rows.append(
                {
                    "labels": amount,
                    "blocks": one.name,
                    "reducer": one.reducer,
                    "head": one.head,
                    "label": entry.label,
                    "paper": claim.paper,
                    "claim": claim.text,
                    "reducer_parameters": own["reducer_parameters"],
                    "head_parameters": own["head_parameters"],
                    "qubits": found.qubits,
                    "depth": found.depth,
                    "two_qubit_gates": found.two_qubit_gates,
                    "circuits": found.circuits,
                    "qpu_seconds": round(found.seconds, 1),
                    "auc": own["mean"],
                    "low": own["low"],
                    "high": own["high"],
                    "control": control,
                    "control_auc": None if other is None else other["mean"],
                    "verdict": None if answer is None else answer.verdict,
                }
            )
    return rows
