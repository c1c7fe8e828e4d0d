"""What an evaluation found, as an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridq.data import ImageSplit
from hybridq.errors import InvalidValueError
from hybridq.evaluation.tables import evaluation_table, interval


class Estimate(NamedTuple):
    """A figure and its 95% interval; NaN where it is undefined."""

    value: float
    """The figure."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""

    def __str__(self) -> str:
        """Show it as `0.912 [0.871, 0.950]`."""
        return interval({k: None if np.isnan(v) else v for k, v in self._asdict().items()})


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model on a split, beside those of the baselines.

    It prints as the table of `hybridq evaluate`; `evaluation["auc"]` is an `Estimate`.

    Attributes:
        result: What `result.json` of an evaluation holds.
        split: The images that were evaluated.
        probs: Probabilities of the classes, `(count, num_classes)`.
        recalibrated_probs: Probabilities that were set right on validation; None where none were.
    """

    result: Mapping[str, Any]
    split: ImageSplit
    probs: NDArray[np.float64]
    recalibrated_probs: NDArray[np.float64] | None = None

    @property
    def figures(self) -> dict[str, Estimate]:
        """The figures of the model by name, such as `auc` and `balanced_accuracy`."""
        return _estimates(self.result["model"])

    @property
    def auc(self) -> Estimate:
        """The area under the ROC curve, the mean over the classes where there are several."""
        return self["auc"]

    @property
    def baselines(self) -> dict[str, dict[str, Estimate]]:
        """The figures of each baseline by name, such as `raw_pixels`."""
        return {name: _estimates(row) for name, row in self.result["baselines"].items()}

    @property
    def recalibrated(self) -> dict[str, Estimate] | None:
        """The figures after recalibration on validation; None where it was not asked for."""
        row = self.result.get("recalibrated")
        return None if row is None else _estimates(row)

    @property
    def subgroups(self) -> dict[tuple[str, str], dict[str, Estimate]]:
        """The figures of each group of images, by its column and its value."""
        groups = self.result.get("subgroups", ())
        return {(row["column"], row["value"]): _estimates(row) for row in groups}

    @property
    def labels(self) -> NDArray[np.int64]:
        """The true classes, `(count,)`, or `(count, labels)` of 0 and 1."""
        return self.split.labels

    @property
    def threshold(self) -> float:
        """The threshold on the positive class that the model decides by."""
        return float(self.result["model"]["threshold"])

    def __getitem__(self, name: str) -> Estimate:
        """Get a figure of the model by name.

        Raises:
            InvalidValueError: If there is none of that name.
        """
        figures = self.figures
        if name not in figures:
            raise InvalidValueError(
                f"Expected a figure among {', '.join(figures)}, got {name!r}: give one of these."
            )
        return figures[name]

    def __str__(self) -> str:
        """Show the figures as a table."""
        return evaluation_table(dict(self.result))

    def _repr_html_(self) -> str:
        """Show the figures as a table in a notebook."""
        return f"<pre>{escape(str(self))}</pre>"


def _estimates(row: Mapping[str, Any]) -> dict[str, Estimate]:
    def number(value: float | None) -> float:
        return float("nan") if value is None else float(value)

    line = {f"calibration_{name}": one for name, one in row.get("calibration", {}).items()}
    return {
        name: Estimate(number(one["value"]), number(one["low"]), number(one["high"]))
        for name, one in (row["figures"] | line).items()
    }
