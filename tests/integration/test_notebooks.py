"""The notebooks run, are committed with clean outputs, and are what their Python files say."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
SCRIPTS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
SECONDS = 90
LARGEST = 400_000  # bytes of a notebook with its outputs
LIBRARIES = {"hybridq", "hybridq_backends", "numpy", "matplotlib", "torch"}
STANDARD = {"csv", "json", "math", "os", "pathlib", "subprocess", "sys", "tempfile", "time"}
CLOSING = "## What this shows, and what it does not"

by_name = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def tool():
    """The module that `make notebooks` runs, from its file."""
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def committed(script: Path) -> nbformat.NotebookNode:
    """The notebook beside a script."""
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shows(source: str) -> bool:
    """Whether a cell prints or shows a figure when it runs, outside the functions it defines."""
    definitions = (ast.FunctionDef, ast.ClassDef)
    statements = [node for node in ast.parse(source).body if not isinstance(node, definitions)]
    calls = [
        node.func for top in statements for node in ast.walk(top) if isinstance(node, ast.Call)
    ]
    return any(ast.unparse(function) in ("print", "plt.show") for function in calls)


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """Everything in the outputs of a cell that is text."""
    found = []
    for output in cell.outputs:
        found.append(output.get("text", ""))
        data = output.get("data", {})
        found += [str(value) for kind, value in data.items() if not kind.startswith("image/")]
    return found


def test_there_are_pairs_and_nothing_else():
    assert len(SCRIPTS) >= 4
    expected = {path.with_suffix(".ipynb").name for path in SCRIPTS}
    assert {path.name for path in FOLDER.glob("*.ipynb")} == expected


@by_name
def test_notebook_runs_from_top_to_bottom(script, isolated, monkeypatch, tree):
    monkeypatch.setenv("HYBRIDQ_FAST", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = set(tree(FOLDER))
    execute = tool()
    notebook = execute.read_script(script)
    execute.execute(notebook, isolated, seconds=SECONDS)  # fails with the cell and its traceback
    for cell in code_cells(notebook):
        assert not shows(cell.source) or cell.outputs, cell.source
        for output in cell.outputs:
            assert output.get("name") != "stderr", output.text
    assert not list(isolated.iterdir())  # all of it went to folders of its own
    assert {name for name in tree(FOLDER) if "__pycache__" not in name} <= before


@by_name
def test_pair_is_in_step(script):
    def cells(notebook):
        return [(cell.cell_type, cell.source) for cell in notebook.cells]

    assert cells(committed(script)) == cells(jupytext.read(script, fmt="py:percent")), (
        f"run `make notebooks`, or `jupytext --sync notebooks/{script.name}`"
    )


@by_name
def test_outputs_are_committed_and_clean(script):
    notebook = committed(script)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    images = 0
    for cell in cells:
        assert "execution" not in cell.metadata  # times of this machine
        assert not shows(cell.source) or cell.outputs, cell.source
        for output in cell.outputs:
            assert output.output_type != "error", output
            assert output.get("name") != "stderr", output.text
            images += "image/png" in output.get("data", {})
        for text in texts(cell):
            assert "\x1b" not in text, text
            assert not re.search(r"(?<![\w.:/])/(?:[\w.-]+/)+[\w.-]+|[A-Z]:\\", text), text
    assert images >= 2
    assert script.with_suffix(".ipynb").stat().st_size < LARGEST


@by_name
def test_imports_are_public(script):
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            assert node.level == 0
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), node.attr
            continue
        else:
            continue
        for name in names:
            assert not any(part.startswith("_") for part in name.split(".")), name
            assert name.split(".")[0] in LIBRARIES | STANDARD, name


@by_name
def test_story_has_a_title_and_an_honest_end(script):
    cells = jupytext.read(script, fmt="py:percent").cells
    assert cells[0].cell_type == cells[-1].cell_type == "markdown"
    assert re.match(r"# \w.*\n\nYou will see ", cells[0].source)
    assert cells[-1].source.startswith(CLOSING)
    assert "evidence" in cells[-1].source
    assert "control" in "".join(cell.source for cell in cells)
    assert sum('os.environ.get("HYBRIDQ_FAST") == "1"' in cell.source for cell in cells) == 1


def test_docs_name_every_notebook():
    text = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    for script in SCRIPTS:
        assert f"<notebooks/{script.stem}>`" in text, script.stem
        shown = ROOT / "docs" / "notebooks" / f"{script.stem}.ipynb"
        assert shown.resolve() == script.with_suffix(".ipynb")
