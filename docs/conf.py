"""Configuration of the documentation: `sphinx-build -W -b html docs docs/_build/html`."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

# autodoc writes on the annotations of BaseModel, after which pydantic makes no more classes of it:
# all of ours are made before.
import hybridq.cli.main
import hybridq.reports.build
import hybridq.submissions.submit  # noqa: F401
from hybridq import __version__

project = "hybridq"
author = "The hybridq authors"
copyright = "the hybridq authors, Apache-2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
# The generated tables in results are included by other pages; these seven are pages themselves.
PAGES = {
    f"{name}.md"
    for name in ("ablation", "bccd_cells", "blocks", "breastmnist", "capacity", "log", "noise")
}
RESULTS = Path(__file__).parent / "results"
exclude_patterns = [
    "_build",
    *(f"results/{path.name}" for path in RESULTS.glob("*.md") if path.name not in PAGES),
    "gallery/table.md",
    "results/ablation/*",
    "results/blocks/*",
    "results/capacity/*",
    "results/noise/*",
]

nb_execution_mode = "off"  # the notebooks are shown with the outputs they are stored with
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # generated tables may begin at any level of heading

html_theme = "furo"
html_title = f"hybridq {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["hybridq.css"]
html_js_files = ["tables.js"]

autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "no-value": True,
    "exclude-members": "model_config, model_post_init",
}
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False  # types such as `numpy.str_` would be read as references

logging.getLogger("qiskit").setLevel(logging.WARNING)


def literals(*event: Any) -> None:
    """Make `code` of our docstrings a literal, and bars no substitution, before napoleon reads."""
    what: str = event[1]
    lines: list[str] = event[-1]
    for index, line in enumerate(lines):
        line = re.sub(r"(?<![`:\w])`([^`\n]+)`(?![`_])", r"``\1``", line)
        parts = re.split(r"(``.*?``)", line)
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        lines[index] = "".join(parts)
    if what in ("attribute", "data", "property"):
        # Behind an empty comment, or napoleon takes what stands before a colon for a type.
        lines[:0] = ["..", ""]


def no_model_signature(*event: Any) -> tuple[str, None] | None:
    """Leave the constructor of a pydantic model out: its fields follow one by one."""
    _, what, _, obj, *_ = event
    return ("", None) if what == "class" and issubclass(obj, BaseModel) else None


def setup(app: Any) -> None:
    """Connect the two hooks."""
    app.connect("autodoc-process-docstring", literals, priority=100)
    app.connect("autodoc-process-signature", no_model_signature)
