"""What a reader needs to know beforehand: the images, the labels, and what the models are."""

from __future__ import annotations

from collections.abc import Sequence

from hybridq.data import ImageData
from hybridq.reports.ablation.files import Ablation
from hybridq.reports.page.elements import Cell, Part, Section, Table, Terms, Text
from hybridq.reports.sources.naming import data_name
from hybridq.reports.sources.predictions import Facet
from hybridq.reports.sources.sources import Source, Sources
from hybridq.utils.text import counted, percent

TITLE = "About the data and the models"
FEW_VALIDATION = 50
"""Validation images below which a threshold is said to rest on few."""
GLOSSARY = (
    ("linear", "A head of one linear layer on the encoder's features."),
    ("pqc", "A head with a parametrised quantum circuit between two linear layers; simulated."),
    (
        "mlp (control)",
        "The same head with a small classical layer in the circuit's place, and as nearly as "
        "possible as many parameters: what a quantum head has to beat.",
    ),
    (
        "pqc_residual, mlp_residual",
        "The circuit, or its control, is added to a linear head instead of standing in its way.",
    ),
    ("pqc_unentangled", "The circuit without the gates that entangle its qubits."),
    ("pqc_untrained, pqc_random", "The circuit's weights stay as drawn: near 0, or anywhere."),
    ("random encoder", "The encoder's weights stay as drawn; only the head is trained."),
    ("from scratch", "The whole network is trained with the labels alone, from random weights."),
    (
        "SimCLR, BYOL, VICReg",
        "The encoder was pretrained on the train images without their labels.",
    ),
    ("frozen", "The encoder stays as pretraining left it; only the head sees labels."),
    ("fine-tuned, whole network", "Encoder and head are trained together with the labels."),
    ("raw pixels", "A logistic regression on the grey values, without any encoder."),
    ("seed", "One repetition of the training with other random numbers and labels drawn anew."),
)


def about(
    facets: Sequence[Facet],
    ablations: Sequence[Ablation],
    sources: Sources,
    data: ImageData | None,
) -> Section:
    """Test images by class, labelled images by share, how thresholds were chosen, and terms.

    Args:
        facets: of evaluations.
        ablations: of the report.
        sources: of the report.
        data: of the model that pictures are made of, with val; None if it is not at hand.
    """
    if not facets and not ablations:
        return Section("about", TITLE, missing="evaluations, or `hybridq study ablation`")
    parts: list[Part] = [_images(facets, ablations)]
    labelled = _labelled(facets, ablations, sources, data)
    if labelled.rows:
        parts.append(labelled)
    parts += [*_thresholds(facets, ablations), *_unknown(ablations), Terms(GLOSSARY)]
    return Section("about", TITLE, tuple(parts))


def _images(facets: Sequence[Facet], ablations: Sequence[Ablation]) -> Table:
    """Images by class, a row for each set of test images and class."""
    found: dict[tuple[str, str, tuple[str, ...]], Facet] = {}
    for facet in facets:
        found.setdefault((facet.data, facet.split, facet.ids), facet)
    for ablation in ablations:
        own = ablation.facet("images", ablation.fractions[-1], ablation.models, "")
        if own is not None:
            found.setdefault((own.data, own.split, own.ids), own)
    rows, made = [], []
    for facet in found.values():
        for k, name in enumerate(facet.class_names):
            hot = facet.labels[:, k] == 1 if facet.multilabel else facet.labels == k
            images, share = int(hot.sum()), float(hot.mean())
            role = "positive" if k == facet.positive else ""
            rows.append(
                (
                    Cell(facet.data),
                    Cell(facet.split),
                    Cell(name, None, role),
                    Cell(f"{images:,}", images),
                    Cell(f"{len(facet.ids):,}", len(facet.ids)),
                    Cell(f"{100 * share:.1f}%", share),
                )
            )
            made.append(facet.arms[0].sources[:1])
    return Table(
        "Images that the figures are of. Prevalence is the share of the class in them; predictive "
        "values and net benefit hold at this prevalence only. Sensitivity is the share of the "
        "positive class that is found, specificity that of the rest that is left alone.",
        ("data", "split", "class", "images", "of", "prevalence"),
        tuple(rows),
        tuple(made),
    )


def _labelled(
    facets: Sequence[Facet],
    ablations: Sequence[Ablation],
    sources: Sources,
    data: ImageData | None,
) -> Table:
    """Labelled images in use, a row for each data set and share."""
    found: dict[tuple[str, float], tuple[set[int], set[int], Source]] = {}

    def add(name: str, fraction: float, train: int, val: int | None, source: Source) -> None:
        entry = found.setdefault((name, fraction), (set(), set(), source))
        entry[0].add(train)
        entry[1].update([] if val is None else [val])

    for ablation in ablations:
        for row in ablation.rows:
            add(
                ablation.title,
                float(row["labels"]),
                int(row["train_images"]),
                int(row["val_images"]),
                ablation.source,
            )
    for facet in facets:
        val = None
        if data is not None and data.name == facet.data and "val" in data.splits:
            val = len(data.splits["val"])
        for source in (source for arm in facet.arms for source in arm.sources):
            run = sources.named_by(source, "run")
            if run is None or not isinstance(images := run.result.get("labelled_images"), int):
                continue
            elsewhere = source.config.get("data") is not None
            name = data_name(run.config["data"]) if elsewhere else facet.data
            add(name, facet.fraction, images, None if elsewhere else val, source)
    rows = tuple(
        (
            Cell(name),
            Cell(percent(fraction), fraction),
            _count(train),
            _count(val) if val else Cell("not here"),
        )
        for (name, fraction), (train, val, _) in sorted(found.items(), key=lambda one: one[0])
    )
    made = tuple((source,) for _, (_, _, source) in sorted(found.items(), key=lambda one: one[0]))
    return Table(
        "Labelled images: those a model is trained with, and those its threshold is chosen on. An "
        "ablation takes the same share of validation, an evaluation all of it.",
        ("data", "labels", "train images", "validation images"),
        rows,
        made,
    )


def _count(values: set[int]) -> Cell:
    low, high = min(values), max(values)
    return Cell(f"{low:,}" if low == high else f"{low:,} to {high:,}", low)


def _thresholds(facets: Sequence[Facet], ablations: Sequence[Ablation]) -> list[Text]:
    positives = [*(facet.positive for facet in facets), *(one.positive for one in ablations)]
    if all(positive is None for positive in positives):
        return []
    few = [int(row["val_images"]) for one in ablations for row in one.rows]
    text = (
        "The positive class is predicted from a threshold on, the one with the best balanced "
        "accuracy on validation images, chosen for each model and seed by itself; the test images "
        "had no part in it."
    )
    if any(facet.split.endswith("val split") for facet in facets):
        text += (
            " Where the validation split itself is read, the threshold was chosen on the very "
            "images shown, and figures that need it are optimistic."
        )
    if few and min(few) < FEW_VALIDATION:
        text += (
            f" With few labels it rests on as few as {counted(min(few), 'image')}: sensitivity "
            "and specificity then change much from seed to seed."
        )
    return [Text(text, "Thresholds")]


def _unknown(ablations: Sequence[Ablation]) -> list[Text]:
    """What is left out where the positive class is not known."""
    return [
        Text(
            f"{one.title}: its files do not name it, and the data are not on this machine "
            "(`--data-root`). Left out are therefore its confusion matrices, decision curves, "
            "sensitivity and specificity; curves are drawn for each class.",
            "Positive class unknown",
        )
        for one in ablations
        if not one.knows_positive
    ]
