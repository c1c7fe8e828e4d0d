"""Reports from Python."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from hybridq.api.model import Model
from hybridq.api.study import Study
from hybridq.api.submit import Submission
from hybridq.config import ReportConfig
from hybridq.config.complaints import config_of
from hybridq.errors import InvalidValueError
from hybridq.utils.files import check_out, write_text


@dataclass(frozen=True)
class Report:
    """An HTML page about runs and studies.

    Attributes:
        html: The page; it needs nothing from a network.
    """

    html: str

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the page to a file.

        Raises:
            InvalidValueError: If the file exists and is not to be replaced.
        """
        check_out(Path(path), force=force)
        write_text(Path(path), self.html)
        return Path(path)

    def _repr_html_(self) -> str:
        """Show the page in a notebook."""
        return (
            '<iframe style="width:100%;height:40rem;border:0" '
            f'srcdoc="{escape(self.html, quote=True)}"></iframe>'
        )


def report(*sources: Model | Study | Submission | str | Path, **options: Any) -> Report:
    """Make one page about runs, evaluations, submissions and studies.

    Args:
        *sources: Models and studies that are kept in folders, or folders of runs.
        **options: Any other field of `hybridq.config.ReportConfig`, such as `title` or `gallery`.

    Returns:
        The page; `save(path)` writes it.

    Raises:
        HybridqError: If a folder cannot be used.

    Example:
        >>> import tempfile
        >>> import hybridq as hq
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     model = hq.finetune(
        ...         None, "phantom,size=16,count=40", epochs=1, freeze_encoder=True, runs=runs
        ...     )
        ...     page = hq.report(model, title="A first model", gallery=0, embedding="none")
        >>> "<h1>A first model" in page.html
        True
    """
    from hybridq.reports.build import report as run_report

    with tempfile.TemporaryDirectory(prefix="hybridq-") as place:
        config = config_of(
            ReportConfig,
            folders=tuple(_folder(source) for source in sources),
            out=Path(place) / "report.html",
            **options,
        )
        return Report(run_report(config).read_text(encoding="utf-8"))


def _folder(source: Model | Study | Submission | str | Path) -> Path:
    if isinstance(source, str | Path):
        return Path(source)
    if source.folder is None:
        raise InvalidValueError(
            f"Expected a {type(source).__name__.lower()} in a folder, got one that is kept "
            "nowhere: save it, or give `runs` when it is made."
        )
    return source.folder
