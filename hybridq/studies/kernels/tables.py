"""The tables of a study of kernels, from what its machines have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.evaluation.statistics import Measured, mean_interval
from hybridq.models.heads.fitted.kernel_bank import kernel_names
from hybridq.studies.blocks.tables import OVER, Key
from hybridq.studies.heads.work import measured_of
from hybridq.studies.kernels.fitted import MachineWork
from hybridq.studies.kernels.grid import Machine

Row = dict[str, Any]


def gather(
    works: Sequence[MachineWork], found: Sequence[Mapping[str, Any]]
) -> tuple[dict[Key, Measured], list[Row]]:
    """Put together what the encoders' machines gave: AUCs, and rows of `weights.csv`."""
    left: dict[Key, list[Mapping[str, Any]]] = {}
    machines: dict[str, Machine] = {}
    for work, own in zip(works, found, strict=True):
        left.setdefault((work.amount, work.machine.name), []).append(own)
        machines[work.machine.name] = work.machine
    measured = {key: measured_of(own) for key, own in left.items()}
    rows = [
        row
        for (amount, name), own in left.items()
        for row in _weights(amount, machines[name], [one["weights"] for one in own])
    ]
    return measured, rows


def _weights(amount: str, machine: Machine, left: Sequence[Sequence[float]]) -> list[Row]:
    """Rows of the kernels of a machine: mean share and bandwidth over encoders and subsets."""
    if machine.head is None or not left[0]:
        return []
    names: list[str] = kernel_names(machine.head.kernels)  # type: ignore[attr-defined]
    means = [sum(values) / len(left) for values in zip(*left, strict=True)]
    return [
        {
            **{"labels": amount, "machine": machine.name, "kernel": kernel},
            **{"share": share, "bandwidth": means[0]},
        }
        for kernel, share in zip(names, means[1:], strict=True)
    ]


def machine_rows(measured: Mapping[Key, Measured], encoders: Sequence[str]) -> list[Row]:
    """Rows of `machines.csv`: one for each amount of labels, machine, encoder and subset."""
    return [
        {"labels": amount, "machine": name, "encoder": encoder, "subset": subset, "auc": value}
        for (amount, name), own in measured.items()
        for encoder, values in zip(encoders, own.values.tolist(), strict=True)
        for subset, value in enumerate(values)
    ]


def summary_rows(measured: Mapping[Key, Measured], machines: Sequence[Machine]) -> list[Row]:
    """Rows of `summary.csv`: mean AUC with its interval."""
    by_name = {one.name: one for one in machines}
    rows = []
    for (amount, name), own in measured.items():
        one = by_name[name]
        mean, low, high = mean_interval(own)
        rows.append(
            {
                **{"labels": amount, "machine": name, "kind": one.kind, "qubits": one.qubits},
                "quantum": one.is_quantum,
                **{"mean": mean, "low": low, "high": high, "seeds": len(own.values)},
                "over": OVER,
            }
        )
    return rows
