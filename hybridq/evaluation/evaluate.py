"""Figures of a trained run on a split it was not trained on, on any backend."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hybridq.config import EvaluateConfig, FinetuneConfig
from hybridq.config.handed import handed_label
from hybridq.data import (
    ImageData,
    ImageSplit,
    data_record,
    labelled_subset,
    notes_of,
)
from hybridq.data.provenance import other_splits
from hybridq.errors import HybridqError
from hybridq.evaluation.baseline_cache import cached_baselines
from hybridq.evaluation.baselines import baseline_probs, shaped_like
from hybridq.evaluation.cautions import cautions
from hybridq.evaluation.evaluation import Evaluation
from hybridq.evaluation.findings import evaluation_findings
from hybridq.evaluation.locked.asked_data import (
    ALL,
    can_fit,
    check_unseen,
    data_of_baselines,
    data_to_evaluate,
    with_all,
)
from hybridq.evaluation.locked.checklist import checklist
from hybridq.evaluation.locked.measured import Measure
from hybridq.evaluation.locked.recalibrated import Extras, recalibrated
from hybridq.evaluation.locked.rule import rule_of
from hybridq.evaluation.locked.rule import threshold_for as threshold_for
from hybridq.evaluation.locked.subgroups import subgroups_of
from hybridq.evaluation.metrics.scores import (
    AllMetrics,
    all_metrics,
)
from hybridq.evaluation.plots import save_figures
from hybridq.models.checkpoint import ModelSpec, load_model, read_spec
from hybridq.models.classifier import HybridClassifier, head_summary
from hybridq.models.classify import BATCH as BATCH
from hybridq.models.classify import classify as classify
from hybridq.models.views import Views
from hybridq.records.findings import write_findings
from hybridq.runs.environment import write_environment
from hybridq.runs.folder import create_run, discard_if_empty, log_to_file, read_config, write_config
from hybridq.runs.recorded import check_hidden, recorded
from hybridq.utils.files import without_nan, write_csv, write_json, write_text
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq_backends import Executable, open_backend, parse_backend
from hybridq_backends.jobs.budget import without_budget
from hybridq_backends.jobs.ledger.storage import FILE as LEDGER

logger = logging.getLogger("hybridq")

Floats = NDArray[np.float64]

_DATA_OF_RUN = {True: "same", False: "other", None: "unknown"}
"""Whether the splits that the run has read as well are equal, pixel by pixel."""


def evaluate(config: EvaluateConfig) -> Path:
    """Evaluate a run; return the folder of the evaluation, with `result.json` in it.

    Raises:
        HybridqError: if run, data or backend cannot be used; nothing is written then.
    """
    run = read_config(config.run, FinetuneConfig, "finetune")
    spec = read_spec(config.run)
    pseudonyms = pseudonyms_of(config, run, folder=config.runs)
    check_hidden(run, pseudonyms)
    data = data_to_evaluate(config, run, spec, pseudonyms)
    own = None
    if config.baselines and not can_fit(data, config.split):
        own = data_of_baselines(run, spec)
    extras = extras_of(config)
    extras.check(spec, data, config.split)
    config = recorded(config, data, pseudonyms)
    backend_name = config.backend or run.backend
    with open_backend(backend_name) as backend:
        begun = _begun(config, backend_name) if backend.takes_jobs else None
        if begun is not None:
            backend.keep_jobs(begun)
        model, spec = load_model(config.run, backend=backend)
        folder = begun or create_run(
            config.runs,
            "evaluate",
            config.name or f"{config.run.name}-{backend_name.split(',')[0]}",
        )
        with log_to_file(folder):
            try:
                write_config(folder, config)
                record = data_record(data)
                check_unseen(config.split, spec, record)
                write_environment(folder, seed=config.seed, data=record, backend=backend.describe())
                if begun is None:
                    backend.keep_jobs(folder)
                logger.info("%s %s", "going on with" if begun else "run folder", folder)
                found = evaluate_model(
                    model,
                    spec,
                    data,
                    backend,
                    split=config.split,
                    limit=config.limit,
                    views=config.views,
                    fitted_on=own,
                    extras=extras,
                    baselines=config.baselines,
                    baseline_cache=config.baseline_cache,
                    resamples=config.resamples,
                    seed=config.seed,
                    run=str(config.run),
                    backend_name=backend_name,
                    record=record,
                )
                if config.checklist:
                    text = checklist(without_nan(found.result), spec, run, found.split)
                    write_text(folder / "checklist.md", text)
                _write(folder, found, data)
            except BaseException:
                discard_if_empty(folder)
                raise
    return folder


def _write(folder: Path, found: Evaluation, data: ImageData) -> None:
    """Write predictions, figures, and last of all the result."""
    split, names = found.result["split"], data.class_names
    write_predictions(folder / "predictions" / f"{split}.csv", found.split, found.probs, names)
    if found.recalibrated_probs is not None:
        path = folder / "predictions" / f"{split}-recalibrated.csv"
        write_predictions(path, found.split, found.recalibrated_probs, names)
    threshold = found.result["model"]["threshold"]
    save_figures(
        folder / "figures", found.split.labels, found.probs, names, threshold, data.positive
    )
    result = without_nan(found.result)
    write_findings(folder, evaluation_findings(result))
    write_json(folder / "result.json", result)


def extras_of(config: EvaluateConfig) -> Extras:
    """What a config asks for besides the figures at the model's own threshold."""
    return Extras(**{field.name: getattr(config, field.name) for field in fields(Extras)})


def _begun(config: EvaluateConfig, backend: str) -> Path | None:
    """The newest evaluation like this one that has posted jobs and was not finished.

    It may have had another budget.
    """
    wanted = config.model_copy(update={"backend": None})
    spec = without_budget(parse_backend(backend))
    for ledger in sorted(config.runs.glob(f"evaluate/*/{LEDGER}"), reverse=True):
        folder = ledger.parent
        if (folder / "result.json").exists():
            continue
        try:
            kept = read_config(folder, EvaluateConfig, "evaluate")
            same = kept.model_copy(update={"backend": None}) == wanted
            if same and without_budget(parse_backend(kept.backend or backend)) == spec:
                return folder
        except HybridqError as error:
            logger.warning("%s may be of the same images and cannot be read (%s)", folder, error)
    return None


def _trained_on_others(splits: Sequence[str]) -> str:
    return (
        f"The run was trained on other data than these: its {' and '.join(splits)} had other "
        "images or labels"
    )


def evaluate_model(
    model: HybridClassifier,
    spec: ModelSpec,
    data: ImageData,
    backend: Executable,
    *,
    split: Literal["val", "test", "all"] = "test",
    limit: int | None = None,
    views: Views | None = None,
    fitted_on: ImageData | None = None,
    extras: Extras = Extras(),  # noqa: B008 (it is frozen)
    baselines: bool = True,
    baseline_cache: bool = True,
    resamples: int = 2000,
    seed: int = 0,
    run: str | None = None,
    backend_name: str | None = None,
    record: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Compute the figures of a model, and of the baselines, on a split.

    Args:
        model: A model in evaluation mode, on `backend`.
        spec: What it is.
        data: Data with the split that is evaluated, and train and validation where baselines are
            fitted on them; validation also gives the threshold of a model that has none.
        backend: Where its circuits run.
        split: The split whose figures are computed.
        limit: So many images of it alone, drawn stratified.
        views: Views of an image whose probabilities are averaged; the model's own if None.
        fitted_on: Data whose train and validation the baselines are fitted on, where `data` does
            not have them.
        extras: What is told besides the figures at the model's own threshold.
        baselines: Whether to fit the majority class and two logistic regressions, too.
        baseline_cache: Whether to take those of the same data and labels from the user's cache.
        resamples: Bootstrap resamples behind each interval.
        seed: The seed of the draw, the bootstrap, and the baseline of an untrained encoder.
        run: The run folder of the model, for the record.
        backend_name: What the backend was called by who asked, for the record.
        record: What `data_record` gave of the data; None to hash them here.
    """
    started = time.perf_counter()
    data = with_all(data) if split == ALL else data
    test = limited_split(data, split, limit, seed=seed)
    val, several = data.splits.get("val"), data.task == "multilabel"
    rule = rule_of(spec, views)
    probs = classify(model, test, multilabel=several, views=rule.views)
    on_val = None
    if val is not None and (rule.needs_validation or extras.needs_validation):
        is_same = test is val
        on_val = probs if is_same else classify(model, val, multilabel=several, views=rule.views)
    rule = rule.completed(data, on_val)
    measure = Measure(data, resamples, seed, extras.at_specificity, extras.prevalence)
    own = measure(test.labels, probs, rule.threshold)
    beware = cautions(
        measure.metrics(rule.threshold).predicted(probs), own["figures"], data.class_names
    )
    for caution in (*rule.notes, *beware):
        logger.warning("%s", caution)
    changed, changed_probs = None, None
    if on_val is not None and extras.needs_validation:
        changed, changed_probs = recalibrated(measure, rule, extras, on_val, test, probs)
    groups = [
        {
            "column": one.column,
            "value": one.value,
            "images": len(one.indices),
            "small": one.small,
            **measure(test.labels[one.indices], probs[one.indices], rule.threshold),
        }
        for one in subgroups_of(extras.subgroups or "", data, test)
    ]
    notes = [*notes_of(data), *rule.notes]
    rows: dict[str, dict[str, Any]] = {}
    if baselines:
        fit_on = data if can_fit(data, split) else fitted_on
        if fit_on is None:
            notes.append(f"Baselines are left out: {data.name} has no train and validation apart.")
        elif fit_on is not data:
            notes.append("The baselines are fitted on the data that the model was trained on.")
        if fit_on is not None:
            train = labelled_subset(fit_on, "train", spec.labels, seed=spec.seed)
            fit = cached_baselines if baseline_cache else baseline_probs
            seen = shaped_like(test, train)
            fitted = fit(train, fit_on.splits["val"], seen, model.encoder, data.num_classes, seed)
            for name, (of_val, on_test) in fitted.items():
                # Class frequencies are equal for all images: no threshold could be chosen on them.
                threshold = 0.5 if name == "majority" else threshold_for(fit_on, of_val)
                rows[name] = measure(test.labels, on_test, threshold)
    others = other_splits(spec.data_hashes, record or data_record(data))
    if others:
        logger.warning("%s", _trained_on_others(others))
        notes.append(f"{_trained_on_others(others)}.")
    result = {
        "run": run,
        "data": data.name,
        "split": split,
        "images": len(test),
        "views": rule.views,
        "threshold_from": rule.origin,
        "labels": spec.labels,
        "train_seed": spec.seed,
        "head": handed_label(spec.head.name),
        "head_parameters": head_summary(model.head),
        "encoder_weights": spec.encoder.weights,
        "class_names": list(spec.class_names),
        "positive": None if data.positive is None else data.class_names[data.positive],
        "interval": f"stratified bootstrap, 95%, {resamples} resamples of the images",
        "model": own,
        "recalibrated": changed,
        "baselines": rows,
        "subgroups": groups,
        "at_specificity": extras.at_specificity,
        "prevalence": extras.prevalence,
        "notes": notes,
        "cautions": beware,
        "circuit_jobs": backend.num_jobs,
        "data_of_run": _DATA_OF_RUN[None if others is None else not others],
        "backend": {"name": backend_name or backend.profile, **backend.describe()},
        "seconds": round(time.perf_counter() - started, 1),
    }
    return Evaluation(result, test, probs, changed_probs)


def limited_split(data: ImageData, split: str, limit: int | None, *, seed: int) -> ImageSplit:
    """A split, or exactly so many of its images.

    They are spread over the classes as the split is, with one of each class at the least where
    there are as many.
    """
    whole = data.splits[split]
    if limit is None or limit >= len(whole):
        return whole
    order = np.random.default_rng(seed).permutation(len(whole))
    labels = whole.labels[order] if whole.labels.ndim == 1 else np.zeros(len(whole))
    classes, sizes = np.unique(labels, return_counts=True)
    least = np.ones_like(sizes) if limit >= len(classes) else np.zeros_like(sizes)
    shares = (limit - least.sum()) * (sizes - least) / max(1, len(whole) - least.sum())
    counts = least + shares.astype(int)
    rest = np.argsort(-(shares % 1), kind="stable")[: limit - counts.sum()]
    counts[rest] += 1
    chosen = [order[labels == one][:count] for one, count in zip(classes, counts, strict=True)]
    return whole.take(np.sort(np.concatenate(chosen)))


def metrics_for(data: ImageData, threshold: float, *, by_class: bool = False) -> AllMetrics:
    """Make the function that computes every figure of the task of some data.

    Args:
        data: The data set.
        threshold: What the positive class's probability, or each label's, must reach.
        by_class: Whether sensitivity and specificity of each class are among the figures.
    """
    return all_metrics(
        multilabel=data.task == "multilabel",
        positive=data.positive,
        threshold=threshold,
        num_classes=data.num_classes,
        by_class=by_class,
    )


def write_predictions(
    path: Path, split: ImageSplit, probs: Floats, class_names: tuple[str, ...]
) -> None:
    """Write `id,label,prob_0,...`; the label of several is written as a string of 0 and 1.

    Probabilities are written in full, so that every figure can be computed again from the file.
    """
    header = ["id", "label", *(f"prob_{index}" for index in range(len(class_names)))]
    labels = [
        "".join(str(value) for value in label) if np.ndim(label) else str(label)
        for label in split.labels
    ]
    rows = [
        [name, label, *(repr(float(value)) for value in row)]
        for name, label, row in zip(split.ids, labels, probs, strict=True)
    ]
    write_csv(path, header, rows)
