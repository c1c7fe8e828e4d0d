"""The reporting checklists TRIPOD+AI and CLAIM, filled from an evaluation as far as it can be.

TRIPOD+AI: Collins et al., BMJ 385 (2024) e078378. CLAIM, the update of 2024: Tejani et al., Radiol.
Artif. Intell. 6 (2024) e240300. Items are named by their numbers, in our own words; the published
lists say what belongs into each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hybridq.config import FinetuneConfig
from hybridq.config.handed import handed_label
from hybridq.data import ImageSplit
from hybridq.evaluation.summaries import figures_of
from hybridq.evaluation.tables import about_decision, figure_words, split_words
from hybridq.models.checkpoint import ModelSpec, decides_by
from hybridq.utils.text import counted, listed, percent
from hybridq.version import __version__

YOURS = "to be filled by you"
FROM_RUN = "from the run"

BALANCED = {
    "none": "classes are not weighed",
    "weights": "classes weighed by the inverse of their frequency in the loss",
    "sampler": "batches in which all classes come as often",
    "smote": "features of rare classes oversampled by SMOTE",
    "qi-smote": "features of rare classes oversampled by QI-SMOTE, by points moved in a circuit",
}
"""What was done about rare classes, by `balance` of a training."""

Item = tuple[str, str, str]
"""Number, what it asks for, and the fact that answers it; empty where no run can know it."""

TRIPOD: tuple[Item, ...] = (
    ("1", "title", ""),
    ("2", "abstract", ""),
    ("3a to 3c", "background, intended use, known inequalities", ""),
    ("4", "objectives", ""),
    ("5a", "sources of the data for training and for evaluation", "sources"),
    ("5b", "dates of the data", ""),
    ("6a to 6c", "setting, eligibility, treatments", ""),
    ("7", "preparation of the data", "preparation"),
    ("8a", "outcome", "classes"),
    ("8b, 8c", "who assessed the outcome, and blind to what", ""),
    ("9a to 9c", "predictors", "predictors"),
    ("10", "sample size", "sizes"),
    ("11", "missing data", ""),
    ("12a", "how the data were divided", "division"),
    ("12b", "handling of predictors", "preparation"),
    ("12c", "type of model, how it was trained and chosen", "training"),
    ("12d", "differences between clusters of the data", "subgroups"),
    ("12e", "measures of performance", "measures"),
    ("12f", "updating of the model", "updating"),
    ("12g", "how predictions are computed", "model"),
    ("13", "imbalance of the classes", "imbalance"),
    ("14", "fairness", "subgroups"),
    ("15", "output of the model, and its threshold", "output"),
    ("16", "differences between data of training and evaluation", "difference"),
    ("17", "ethical approval", ""),
    ("18a to 18d", "funding, interests, protocol, registration", ""),
    ("18e", "availability of the data", ""),
    ("18f", "availability of the code", "code"),
    ("19", "involvement of patients and the public", ""),
    ("20a to 20c", "participants: flow and characteristics", ""),
    ("21", "participants and outcomes in each analysis", "sizes"),
    ("22", "full specification of the model", "model"),
    ("23a", "performance with intervals", "performance"),
    ("23b", "performance in clusters of the data", "subgroups"),
    ("24", "results of updating", "updating"),
    ("25", "interpretation", ""),
    ("26", "limitations", "cautions"),
    ("27a to 27c", "use: inputs of poor quality, users, next steps", ""),
)
CLAIM: tuple[Item, ...] = (
    ("1, 2", "title and abstract", ""),
    ("3, 4", "background, intended use, aims", ""),
    ("5, 6", "design and goal of the study", ""),
    ("7", "sources of the data", "sources"),
    ("8", "inclusion and exclusion", ""),
    ("9", "preprocessing", "preparation"),
    ("10", "selection of parts of the data", "division"),
    ("11", "de-identification", ""),
    ("12", "missing data", ""),
    ("13", "acquisition of the images", ""),
    ("14", "reference standard", "classes"),
    ("15 to 18", "its rationale, sources of annotation, variability of readers", ""),
    ("19", "how images were assigned to partitions", "division"),
    ("20", "level at which partitions are disjoint", "level"),
    ("21", "sample size", "sizes"),
    ("22", "description of the model", "model"),
    ("23", "software", "code"),
    ("24", "initial weights", "initial"),
    ("25", "training", "training"),
    ("26", "choice of the final model", "choice"),
    ("27", "ensembles", "ensembles"),
    ("28", "measures of performance", "measures"),
    ("29", "uncertainty and significance", "uncertainty"),
    ("30", "robustness", "robustness"),
    ("31", "explanations", ""),
    ("32", "evaluation on internal data", "internal"),
    ("33", "evaluation on external data", "external"),
    ("34", "registration of a trial", ""),
    ("35, 36", "flow of participants, characteristics of each partition", ""),
    ("37, 38", "performance with its precision", "performance"),
    ("39", "analysis of failures", ""),
    ("40", "limitations", "cautions"),
    ("41", "implications for practice", ""),
    ("42", "protocol", ""),
    ("43", "availability of software, model and data", "code"),
    ("44", "funding", ""),
)


def checklist(
    result: Mapping[str, Any], spec: ModelSpec, run: FinetuneConfig, split: ImageSplit
) -> str:
    """Write both checklists in Markdown.

    Args:
        result: What `result.json` of the evaluation says.
        spec: The spec of the model.
        run: The config of its run.
        split: The evaluated images.
    """
    known = facts(result, spec, run, split)
    parts = [
        f"# Checklists for {result['head']} on {result['data']}",
        "**Not a medical device.** What the run knows is filled in; all else is marked, and is for "
        "you to fill. A row that is filled says what was done, not that it was enough.",
    ]
    for title, items in (("TRIPOD+AI", TRIPOD), ("CLAIM (2024)", CLAIM)):
        filled = sum(bool(known.get(key)) for _, _, key in items)
        parts.append(f"## {title}\n\n{filled} of {len(items)} rows are filled from the run.")
        parts.append(_table(items, known))
    return "\n\n".join(parts) + "\n"


def _table(items: Sequence[Item], known: Mapping[str, str]) -> str:
    lines = ["| item | asks for | state | answer |", "|---|---|---|---|"]
    for number, words, key in items:
        fact = known.get(key, "").replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {number} | {words} | {FROM_RUN if fact else YOURS} | {fact} |")
    return "\n".join(lines)


def facts(
    result: Mapping[str, Any], spec: ModelSpec, run: FinetuneConfig, split: ImageSplit
) -> dict[str, str]:
    """Collect what an evaluation and its run know, by the names that the items use.

    Args:
        result: What `result.json` of the evaluation says.
        spec: The spec of the model.
        run: The config of its run.
        split: The evaluated images.
    """
    encoder, own = spec.encoder, result["model"]
    counts = split.labels.sum(axis=0) if split.labels.ndim == 2 else _counts(split, spec)
    per_class = listed([f"{n} {name}" for name, n in zip(spec.class_names, counts, strict=True)])
    is_same = result["data_of_run"] == "same"
    evaluated = (
        f"{counted(result['images'], 'image')} of {result['data']}, {split_words(result['split'])}"
    )
    groups = sorted({row["column"] for row in result["subgroups"]})
    changed = result["recalibrated"]
    measured = {**own["figures"], **own.get("calibration", {})}
    shown = figures_of({"figures": measured})
    return {
        "sources": f"trained on {spec.data} (licence: {spec.data_licence}), evaluated on "
        f"{result['data']}",
        "preparation": f"8-bit images resized as a whole; the central {percent(encoder.crop_pct)} "
        f"of each side at {encoder.image_size} px, each channel normalised",
        "classes": f"{spec.task}: {listed(spec.class_names)}"
        + (f"; positive: {result['positive']}" if result["positive"] else ""),
        "predictors": "the pixels of one image, and nothing else",
        "sizes": f"evaluated: {evaluated} ({per_class}); trained with {percent(spec.labels)} of "
        "the labels",
        "division": f"splits of the data, with {percent(spec.labels)} of the labels of train drawn "
        f"with seed {spec.seed}, stratified by class",
        "level": "groups (patients, slides) stay in one split: the data name "
        f"{'them' if split.groups is not None else 'none, so that each image stands alone'}",
        "training": f"{counted(run.epochs, 'epoch')} of AdamW, batches of {run.batch_size}, "
        f"encoder {'frozen' if run.freeze_encoder else 'trained'}, on {handed_label(spec.backend)}",
        "choice": f"the {run.keep} epoch"
        + (" by validation AUC" if run.keep == "best" else "")
        + f"; {decides_by(spec)}",
        "initial": f"encoder weights: {encoder.weights}; head drawn with seed {spec.seed}",
        "model": f"{encoder.label}, then {result['head']} ({result['head_parameters']}); weights "
        "and settings in `model/` of the run",
        "ensembles": f"one model; views averaged: {result['views']}",
        "measures": listed([figure_words(name, result) for name in measured]),
        "uncertainty": result["interval"],
        "performance": "; ".join(
            f"{figure_words(name, result)} {one.text}" for name, one in shown.items()
        ),
        "subgroups": f"figures by {listed(groups)} in `result.json`" if groups else "",
        "updating": "; ".join(about_decision(result)[-1:]) if changed else "none",
        "imbalance": BALANCED[run.balance],
        "output": "; ".join(["probabilities of the classes", *about_decision(result)]),
        "difference": "" if is_same else f"trained on {spec.data}, evaluated on {result['data']}",
        "internal": f"this evaluation: {evaluated}" if is_same else "",
        "external": f"this evaluation: {evaluated}" if result["data_of_run"] == "other" else "",
        "robustness": f"circuits ran on {result['backend']['name']}, trained on "
        f"{handed_label(spec.backend)}",
        "code": f"hybridq {__version__}; versions of all libraries in `environment.json`",
        "cautions": " ".join([*result["cautions"], *result["notes"]]),
    }


def _counts(split: ImageSplit, spec: ModelSpec) -> Any:
    return np.bincount(split.labels, minlength=len(spec.class_names))
