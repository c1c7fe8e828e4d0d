"""Run the notebooks from top to bottom and write their outputs: what `make notebooks` does.

Each `NAME.py` is read, run in an empty temporary folder, and written to `NAME.ipynb`. Give names to
run only those: `python notebooks/execute.py 01_quickstart`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent


def scripts() -> list[Path]:
    """The notebooks as Python files, in their order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))


def read_script(path: Path) -> nbformat.NotebookNode:
    """A notebook without outputs from its Python file, the same each time."""
    notebook = jupytext.read(path, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook["metadata"] = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return notebook


def execute(notebook: nbformat.NotebookNode, folder: Path, *, seconds: float | None = None) -> None:
    """Run a notebook in `folder`; its outputs are put into it.

    Args:
        notebook: from `read_script`.
        folder: where its kernel runs.
        seconds: what all cells together may take; no limit if None.

    Raises:
        CellExecutionError: if a cell fails.
        CellTimeoutError: if time is up; the kernel is killed.
    """
    metadata = dict(notebook["metadata"])
    deadline = None if seconds is None else time.monotonic() + seconds
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout_func=lambda cell: (
            None if deadline is None else max(1, int(deadline - time.monotonic()))
        ),
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, python_path()))})
    notebook["metadata"] = metadata


def python_path() -> list[str]:
    """Where a kernel finds the package of this checkout, whatever its folder."""
    return [
        str(NOTEBOOKS.parent),
        str(NOTEBOOKS.parent / "backends"),
        os.environ.get("PYTHONPATH", ""),
    ]


def main(arguments: list[str]) -> None:
    """Run the notebooks named, or all, and write them in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="such as 01_quickstart; all if none is given")
    names = parser.parse_args(arguments).names
    known = {path.stem: path for path in scripts()}
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"Expected names of {', '.join(known)}, got {', '.join(unknown)}.")
    for name in names or known:
        started = time.perf_counter()
        notebook = read_script(known[name])
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
        target = known[name].with_suffix(".ipynb")
        nbformat.write(notebook, target)
        size = target.stat().st_size / 1000
        print(f"{name}: {time.perf_counter() - started:.0f} s, {size:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
