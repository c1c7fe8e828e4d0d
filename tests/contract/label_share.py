"""A study of one's own: how far raw pixels come with a share of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import Any

from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hybridq.config import StudyConfig
from hybridq.data import labelled_subset, load_data
from hybridq.records.findings import Findings, ResultTable
from hybridq.studies.engine.of_units import study_of_units

SHARES = (0.5, 1.0)


class LabelShareConfig(StudyConfig):
    """Raw pixels and a logistic regression, at several shares of the labels."""

    data: str = "phantom,size=16,count=80"
    """A data set of two classes."""
    seeds: int = Field(2, ge=1, le=100)
    """Number of seeds; each chooses the labels anew."""


@dataclass(frozen=True)
class PixelUnit:
    """One fit: a share of the labels, chosen with a seed."""

    data: str
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Unique in the study."""
        return f"l{self.share:g}-s{self.seed}"

    def compute(self) -> dict[str, Any]:
        """Fit on the share, and read the AUC of validation."""
        data = load_data(self.data, splits=("train", "val"))
        train = labelled_subset(data, "train", self.share, seed=self.seed)
        val = data.splits["val"]
        flat = [split.images.reshape(len(split), -1) / 255 for split in (train, val)]
        model = LogisticRegression(max_iter=2000).fit(flat[0], train.labels)
        scores = model.predict_proba(flat[1])[:, 1]
        return {"share": self.share, "auc": float(roc_auc_score(val.labels, scores))}


def units(config: LabelShareConfig) -> list[PixelUnit]:
    """A unit for each share and seed."""
    load_data(config.data, splits=("train", "val"))  # is refused here if it cannot be used
    seeds = range(config.seed, config.seed + config.seeds)
    return [PixelUnit(config.data, share, seed) for share in SHARES for seed in seeds]


def findings(config: LabelShareConfig, found: list[dict[str, Any]]) -> Findings:
    """The mean AUC at each share."""
    means = [mean(one["auc"] for one in found if one["share"] == share) for share in SHARES]
    table = ResultTable(
        title=f"AUC of validation, mean over {config.seeds} seeds",
        columns=["share of the labels", "AUC"],
        rows=[[f"{share:.0%}", value] for share, value in zip(SHARES, means, strict=True)],
    )
    gain = means[-1] - means[0]
    sentence = f"All labels in place of half of them change the AUC by {gain:+.3f}."
    return Findings(data=config.data, sentences=[sentence], tables=[table])


LABEL_SHARE = study_of_units("label-share", LabelShareConfig, units, findings)
