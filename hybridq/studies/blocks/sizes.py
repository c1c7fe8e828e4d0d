"""The unit that sizes a quantum head: its circuits on a device, its step, and its drawing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from hybridq.evaluation.circuit_drawings import circuit_record
from hybridq.models.heads import build_head, head_entry, is_fitted
from hybridq.models.reducers import reducer_of
from hybridq.quantum.modules import circuits_of, quantum_parameters, running_on
from hybridq.records.studies import read_arrays
from hybridq.studies.blocks.grid import Combination
from hybridq.studies.blocks.trained import features_file
from hybridq.threads import one_thread
from hybridq_backends import Deferred, open_backend
from hybridq_backends.ibm.job_size import SECONDS_PER_EXECUTION, SECONDS_PER_JOB

DEVICE = "fake_torino"
SHOTS = 4096
IMAGES = 100
BATCH = 32
"""Images of the step that is timed."""
FITTED = 64
"""Random images to which a head in closed form is fitted, so that it has circuits to count."""
STEPS = 20
"""Steps that are timed, after three that are not."""


@dataclass(frozen=True)
class BlocksSizeWork:
    """What a device runs for a head, and what a training step of it takes here.

    Attributes:
        folder: The folder of the study, which holds the features of the first encoder.
        built: The combination; its head has circuits.
        num_classes: The number of classes.
    """

    folder: Path
    built: Combination
    num_classes: int

    @property
    def name(self) -> str:
        """Name of the unit."""
        return self.built.name

    def compute(self) -> dict[str, Any]:
        """Compile the circuits, time a step, and write down the first circuit.

        `qubits` is the number of qubits of the widest circuit; `depth` and `two_qubit_gates` are
        the largest of the circuits compiled for `DEVICE`; `circuits` those of one image;
        `qpu_seconds` is of 100 images at 4,096 shots, by IBM's quick formula and in one job;
        `step_ms` is the median of a training step of 32 images on the exact engine and one thread,
        a measured time. A head that is fitted in closed form has no step; its circuits are those of
        one that is fitted to 64 random images.
        """
        shape = self._in_shape()
        with open_backend("statevector") as exact, open_backend(DEVICE) as device:
            head = self._head(shape, exact)
            asked = {images: Deferred(device) for images in (1, IMAGES)}
            for images, later in asked.items():
                with torch.no_grad(), running_on(head.eval(), later):
                    head(torch.zeros(images, *shape))
            (info, *_) = circuits_of(head)
            step_ms = None if is_fitted(head) else 1000 * self._step_seconds(head, shape)
        compiled = [one.prepared.circuit for one in asked[1].requests]
        rows = {images: sum(len(one.rows) for one in own.requests) for images, own in asked.items()}
        entry = head_entry(self.built.head)
        caption = "Parameters x are inputs, and w are weights."
        drawn = circuit_record(f"{entry.label} ({self.built.head})", info.circuit, caption=caption)
        return {
            "quantum_parameters": sum(one.numel() for one in quantum_parameters(head)),
            "qubits": max(
                len({bit for item in one.data for bit in item.qubits}) for one in compiled
            ),
            "depth": max(one.depth() for one in compiled),
            "two_qubit_gates": max(one.num_nonlocal_gates() for one in compiled),
            "circuits": rows[1],
            "qpu_seconds": round(SECONDS_PER_JOB + rows[IMAGES] * SHOTS * SECONDS_PER_EXECUTION, 1),
            "step_ms": None if step_ms is None else round(step_ms, 2),
            "circuit": None if drawn is None else drawn.model_dump(mode="json"),
        }

    def _in_shape(self) -> tuple[int, ...]:
        """Read the shape of what the first encoder gives the head for one image."""
        path = features_file(self.folder, self.built.kind, 0)
        found = read_arrays(path, "the features of a study", "remove it and its unit, and go on.")
        ending = "_maps" if head_entry(self.built.head).input == "map" else ""
        return found[f"train{ending}"].shape[1:]

    def _head(self, in_shape: tuple[int, ...], backend: Any) -> nn.Module:
        shape: Any = in_shape if len(in_shape) > 1 else in_shape[0]
        head = build_head(shape, self.num_classes, self.built.config, backend=backend)
        reducer = reducer_of(head)
        if reducer is not None and reducer.kind == "pca":  # any components will do here
            reducer.take(torch.eye(*reducer.weight.shape))
        if is_fitted(head):
            drawn = torch.randn(FITTED, *in_shape, generator=torch.Generator().manual_seed(0))
            head.fit(drawn, torch.arange(FITTED) % self.num_classes)  # type: ignore[operator]
        return head

    def _step_seconds(self, head: nn.Module, in_shape: tuple[int, ...]) -> float:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(BATCH, *in_shape, generator=generator)
        labels = torch.arange(BATCH) % self.num_classes
        trained = [one for one in head.train().parameters() if one.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4)
        taken = []
        with one_thread():
            for _ in range(3 + STEPS):
                begun = time.perf_counter()
                optimizer.zero_grad()
                loss: torch.Tensor = nn.functional.cross_entropy(head(inputs), labels)
                torch.autograd.backward(loss)
                optimizer.step()
                taken.append(time.perf_counter() - begun)
        return median(taken[3:])
