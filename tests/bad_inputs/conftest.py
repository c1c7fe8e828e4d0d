"""Good runs of every kind, and a bench on which they are damaged."""

from __future__ import annotations

import pytest

from tests.bad_inputs.bench import Bench


@pytest.fixture(scope="session")
def good_runs(
    pretrained,
    finetuned,
    finetuned_pqc,
    finetuned_control,
    evaluated,
    noise_study_folder,
    ablation_folder,
    submitted,
):
    """A finished run of each command."""
    return {
        "pretrain": pretrained,
        "linear": finetuned,
        "pqc": finetuned_pqc,
        "mlp": finetuned_control,
        "evaluated": evaluated[0],
        "noise": noise_study_folder,
        "ablation": ablation_folder,
        "submitted": submitted,
    }


@pytest.fixture
def bench(isolated, single_thread, capsys, good_runs):
    """A bench in an empty working folder."""
    return Bench(isolated, good_runs, capsys)


@pytest.fixture
def bare_bench(isolated, single_thread, capsys):
    """A bench without runs, for commands that need none."""
    return Bench(isolated, {}, capsys)
