"""The tables of docs/results are those that their published figures give."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recompute(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    before = set(sys.modules)
    module = importlib.import_module("recompute")
    yield module
    for name in set(sys.modules) - before:
        if (ROOT / "benchmarks" / f"{name}.py").is_file():
            del sys.modules[name]


HANDWRITTEN = ("log", "ablation", "blocks", "capacity", "noise")
"""Pages of results that include what is computed."""


def test_published_tables_follow_from_the_published_figures(
    recompute: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        recompute.main()
    out = capsys.readouterr().out
    assert end.value.code == 0, out
    assert "DIFFERENT" not in out
    results = ROOT / "docs" / "results"
    pages = {path.relative_to(ROOT).as_posix() for path in results.rglob("*.md")}
    told = {f"docs/results/{name}.md" for name in HANDWRITTEN}
    ablations = {page for page in pages if page.startswith("docs/results/ablation/")}
    assert [page for page in pages - told - ablations if f"the same: {page}\n" not in out] == []


def test_a_figure_that_was_changed_is_told(
    recompute: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def changed(path: Path) -> list[dict[str, Any]]:
        rows = recompute.typed_rows(path)
        rows[0]["ratio"] += 0.1
        return list(rows)

    own = (("bootstrap", changed, {"bootstrap.md": "bootstrap.csv"}),)
    monkeypatch.setattr(recompute, "SCRIPTS", own)
    monkeypatch.setattr(recompute, "every", lambda: iter(()))
    with pytest.raises(SystemExit) as end:
        recompute.main()
    assert end.value.code == 1
    assert "DIFFERENT: docs/results/bootstrap.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("there", "same"),
    [
        ("model,mean\na,0.7746078718092888\n", True),
        ("model,mean\na,0.7746078718092889\n", True),
        ("model,mean\na,0.77460788\n", False),
        ("model,mean\nb,0.7746078718092889\n", False),
        ("model,mean\na,\n", False),
        ("model,mean\na,0.7746078718092889\na,0.5\n", False),
        ("model\na\n", False),
    ],
)
def test_processors_may_differ_in_the_last_digits(recompute: Any, there: str, same: bool) -> None:
    assert recompute.agrees(there, "model,mean\na,0.7746078718092888\n") is same


def test_a_study_of_capacity_is_computed_from_its_cells(recompute: Any, tmp_path: Path) -> None:
    """Not from the tables beside them: an AUC that is changed is told in every table."""
    folder = tmp_path / "chest_xray"
    shutil.copytree(ROOT / "docs" / "results" / "capacity" / "chest_xray", folder)
    with np.load(folder / "measured.npz") as file:
        arrays = dict(file)
    arrays["linear/pqc/values"][0, 0] += 0.1
    np.savez(folder / "measured.npz", **arrays)
    found = list(recompute.capacity.recomputed(folder))
    assert [path.name for path, text in found if not recompute.agrees(path.read_text(), text)] == [
        *("capacity.csv", "summary.csv", "comparisons.csv")
    ]
    arrays = {name: one for name, one in arrays.items() if not name.startswith("pca/mlp/")}
    np.savez(folder / "measured.npz", **arrays)
    assert not any(
        recompute.agrees(path.read_text(), text)
        for path, text in recompute.capacity.recomputed(folder)
        if path.name != "roles.csv"
    )


def test_what_is_published_names_no_place(recompute: Any, tmp_path: Path) -> None:
    """Neither the folders of the machine nor its key; the runs keep their names."""
    published = sys.modules["published"]
    study, encoder = tmp_path / "study", tmp_path / "runs" / "20260101-a-s0"
    first = tmp_path / "runs" / "20260101-first-s0"
    for folder in (study / "figures", encoder, first):
        folder.mkdir(parents=True)
    facts = {
        study / "config.json": {
            **{"data": str(tmp_path / "own"), "data_root": str(tmp_path), "runs": str(tmp_path)},
            **{"models": [], "encoder_runs": [str(encoder)], "labels": 50.0, "seed": 3},
            **{"pseudonyms": True, "pseudonym_key": str(tmp_path / "key"), "ray": "ray://own"},
        },
        study / "environment.json": {"git_commit": "abc", "versions": {}, "cwd": str(tmp_path)},
        study / "result.json": {"encoders": 1},
        first / "config.json": {"seed": 7, "encoder": {"weights": "none"}, "batch_size": 32},
        encoder / "config.json": {
            **{"seed": 7, "data": str(tmp_path / "own")},
            "encoder": {"weights": str(first)},
        },
        encoder / "result.json": {
            **{"method": "simclr", "images": 9, "steps": 5, "loss": 1.0, "seconds": 60.0},
            "folder": str(encoder),
        },
        first / "result.json": {"steps": 2, "seconds": 120.0},
    }
    for path, own in facts.items():
        path.write_text(json.dumps(own))
    (study / "summary.csv").write_text("a\n1\n")
    out = tmp_path / "docs" / "own"
    published.publish(study, out, "own", ("summary",))
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "environment.json", "result.json", "encoders.json", "summary.csv")
    }
    for path in out.iterdir():
        assert str(tmp_path) not in path.read_text()
        assert "ray://" not in path.read_text()
    config = json.loads((out / "config.json").read_text())
    assert config["encoder_runs"] == [encoder.name]
    assert published.encoders_text(out, "own") == (
        "Encoders: `hybridq pretrain --data own --seed SEED --steps 2 --batch-size 32`, then "
        "`hybridq pretrain --data own --seed SEED --steps 5 --encoder RUN`, "
        "3 minutes each on one of two cores.\n"
    )
    default = {**dict.fromkeys(config), "labels": 0.5, "seed": 0, "pseudonyms": False}
    assert published.options_words(config, default) == [*("--data own", "--labels 50", "--seed 3")]
    (encoder / "result.json").write_text("{}")
    with pytest.raises(SystemExit, match="Expected runs of `hybridq pretrain`"):
        published.publish(study, out, "own", ("summary",))
    assert (out / "summary.csv").is_file()


@pytest.mark.parametrize(
    ("value", "words"), [(1e-05, "1e-05"), (123456789.5, "123456789.5"), (True, ""), (False, "no")]
)
def test_options_are_those_that_ran(recompute: Any, value: Any, words: str) -> None:
    expected = {"": "--some-name", "no": "--no-some-name"}.get(words, f"--some-name {words}")
    found = sys.modules["published"].options_words({"some_name": value}, {"some_name": None})
    assert found == [expected]
