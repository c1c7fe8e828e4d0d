"""The tables of docs/results are those that their published figures give."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

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
    told = {f"docs/results/{name}.md" for name in ("log", "ablation", "capacity", "noise")}
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
