"""Studies from Python."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from hybridq.api.model import Model
from hybridq.config.choices import find_entry
from hybridq.config.complaints import config_of
from hybridq.data import ImageData
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.studies import StudyEntry
from hybridq.utils.processes import stop_if_run_again
from hybridq_backends.utils.by_name import by_name


@dataclass(frozen=True)
class Study:
    """A finished study.

    Attributes:
        name: The name of the study.
        folder: Its folder, with tables, figures and what each unit of work gave.
    """

    name: str
    folder: Path

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of its tables."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.csv")))

    def table(self, name: str) -> list[dict[str, str]]:
        """Read a table, a dictionary for each row.

        Raises:
            MissingFileError: If there is no such table.
        """
        if name not in self.tables:
            raise MissingFileError(
                f"Expected a table among {', '.join(self.tables)}, got {name!r}: give one of these."
            )
        with (self.folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def __str__(self) -> str:
        """Show what the study says of itself."""
        entry: StudyEntry = find_entry("study", self.name)
        show: Callable[[Path], str] = by_name(entry.show)
        return show(self.folder)

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        return f"<pre>{escape(str(self))}</pre>"


def study(name: str, *models: Model | str | Path, **options: Any) -> Study:
    """Run a study, or go on with one; it is kept in a folder and can be resumed.

    Args:
        name: `noise`, `ablation`, `capacity`, `blocks`, `kernels`, one of another distribution, or
            `package.module:entry`.
        *models: Models, or folders of runs, where the study is one of trained models. A model has
            to be kept in a folder, by `finetune(..., runs=...)` or `Model.save`.
        **options: What the study can be told, as `hybridq study NAME --help` lists it; where that
            is several values, also a list of them, with None for `none`. `resume` goes on with the
            study in a folder. It computes in this process unless `workers` asks for several; these
            import the calling script again, so that its calls have to stand below
            `if __name__ == "__main__":` then.

    Returns:
        The finished study; it prints as its table.

    Raises:
        HybridqError: If models, data or options cannot be used; nothing is written then.
        SystemExit: In a process that imports the calling script again; nothing is done then.

    Example:
        >>> import tempfile
        >>> import hybridq as hq
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     settings = dict(epochs=1, freeze_encoder=True, runs=runs)
        ...     data = hq.load_data("phantom,size=16,count=40")
        ...     pair = [hq.finetune(None, data, head=head, **settings) for head in ("pqc", "mlp")]
        ...     found = hq.study(
        ...         "noise", *pair, device="FakeManilaV2", noise_scale=[0, 1], shots=None, runs=runs
        ...     )
        ...     found.tables
        ('flips', 'seconds', 'study', 'summary')
    """
    stop_if_run_again("study")
    entry: StudyEntry = find_entry("study", name)
    if options.get("resume") is None and "workers" in entry.config.model_fields:
        options = {"workers": 1, **options}
    if isinstance(options.get("data"), Path):
        options["data"] = str(options["data"])
    texts = {key for key, field in entry.config.model_fields.items() if field.annotation is str}
    options |= {key: _listed(options[key]) for key in texts & options.keys() - {"data"}}
    if models:
        if "models" not in entry.config.model_fields:
            raise InvalidValueError(
                f"Expected options alone for the study {name}, got models: it trains its own."
            )
        options["models"] = tuple(_folder(one) for one in models)
    _check_named(options.get("data"))
    config = config_of(entry.config, **options)
    run: Callable[[Any], Path] = by_name(entry.run)
    return Study(name, run(config))


def _listed(values: Any) -> Any:
    """Write numbers, names, None, or a sequence of them as the command line has them."""
    if isinstance(values, list | tuple):
        return ",".join(str(_listed(value)) for value in values)
    if values is None:
        return "none"
    return f"{values:g}" if isinstance(values, int | float) else values


def _check_named(data: object) -> None:
    """Refuse data in memory, which a study could not go on with.

    Raises:
        InvalidValueError: If they are no name and no path.
    """
    if isinstance(data, str | Path | None):
        return
    named = None if not isinstance(data, ImageData) else data.source
    remedy = "keep them: data=images.save('images.npz'), of ImageData."
    raise InvalidValueError(
        "Expected data that a study can read again, a name, a folder or an .npz file, got a "
        f"{type(data).__name__}: {remedy if named is None else f'give their name, {named!r}.'}"
    )


def _folder(model: Model | str | Path) -> Path:
    if not isinstance(model, Model):
        return Path(model)
    if model.folder is None:
        raise InvalidValueError(
            "Expected a model in a folder, got one that is kept nowhere: save it with "
            "model.save(folder), or train it with runs=..."
        )
    return model.folder
