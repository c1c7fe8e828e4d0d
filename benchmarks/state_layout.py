"""Should samples be the rows or the columns of a batch of states, and how wide should a matrix be?

    python benchmarks/state_layout.py

Single operations on 12 qubits and a batch of 32, one thread, interleaved. The table is printed and
goes to `docs/results/state_layout.csv`; decision 8 rests on it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from timing import Step, interleave, machine, quartiles
from torch import Tensor

from hybridq.quantum.statevector.matrices import multiply_each, multiply_shared

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
NUM_QUBITS = 12
BATCH = 32


def whole_layer(size: int, columns: Tensor) -> dict[str, Step]:
    """All qubits by matrices of `size` qubits, forward and backward, in three ways."""
    matrix = torch.randn(2**size, 2**size, dtype=torch.float64).requires_grad_()
    columns = columns.clone().requires_grad_()
    rows = columns.detach().T.contiguous().requires_grad_()
    lows = range(0, NUM_QUBITS, size)

    def broadcast(states: Tensor, low: int) -> Tensor:
        return torch.matmul(matrix, states.view(-1, 2**size, 2**low * BATCH)).view(states.shape)

    def as_rows() -> None:
        states = rows
        for _ in lows:
            states = multiply_each(matrix[None], states, 2**size)
        states.sum().backward()

    def as_columns() -> None:
        states = columns
        for low in lows:
            states = multiply_shared(matrix, states, low)
        states.sum().backward()

    def as_columns_by_torch() -> None:
        states = columns
        for low in lows:
            states = broadcast(states, low)
        states.sum().backward()

    name = f"a matrix on each {size} qubits, forward and backward"
    return {
        f"{name}: samples as rows": as_rows,
        f"{name}: samples as columns": as_columns,
        f"{name}: samples as columns, torch's broadcasting": as_columns_by_torch,
    }


def main() -> None:
    """Measure and write the table."""
    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    torch.manual_seed(0)
    columns = torch.randn(2**NUM_QUBITS, BATCH, dtype=torch.float64)
    rows = columns.T.contiguous()
    order = torch.randperm(2**NUM_QUBITS)
    steps: dict[str, Step] = {
        "permutation: samples as rows": lambda: rows.index_select(1, order),
        "permutation: samples as columns": lambda: columns.index_select(0, order),
    }
    for size in (2, 3, 4, 6):
        steps |= whole_layer(size, columns)
    taken = interleave(steps, rounds=200)
    found = [(name, *(round(1e3 * t, 3) for t in quartiles(taken[name]))) for name in steps]
    write_csv(RESULTS / "state_layout.csv", ["operation", "ms_low", "ms", "ms_high"], found)
    print("| operation | ms (quartiles) |\n|---|---|")
    for name, low, middle, high in found:
        print(f"| {name} | {middle:.2f} ({low:.2f}-{high:.2f}) |")
    print(machine())


if __name__ == "__main__":
    main()
