"""What a reader needs to know beforehand: the images, the labels, and what the models are."""

from __future__ import annotations

from collections.abc import Sequence

from hybridq.data import ImageData
from hybridq.reports.page.elements import Cell, Part, Section, Table, Terms, Text
from hybridq.reports.page.parts import Value, table
from hybridq.reports.sources.predictions import Facet
from hybridq.reports.sources.recipes import data_name
from hybridq.reports.sources.sources import Source, Sources
from hybridq.utils.text import percent

TITLE = "About the data and the models"
THRESHOLDS = (
    "The positive class is predicted from a threshold on, the one with the best balanced accuracy "
    "on validation images, or in an ablation on labelled images that were held out, chosen for "
    "each model and seed by itself; the test images had no part in it. On few such images "
    "sensitivity and specificity change much from seed to seed."
)
OPTIMISTIC = (
    " Where the validation split itself is read, the threshold was chosen on the very images "
    "shown, and figures that need it are optimistic."
)
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


def about(facets: Sequence[Facet], sources: Sources, data: ImageData | None) -> Section:
    """Images by class, labelled images by share, how thresholds were chosen, and terms.

    Args:
        facets: of evaluations and studies.
        sources: of the report.
        data: of the model that pictures are made of, with val; None if it is not at hand.
    """
    if not facets:
        return Section(
            "about", TITLE, missing="`hybridq evaluate RUN`, or a study with predictions"
        )
    parts: list[Part] = [_images(facets)]
    labelled = _labelled(facets, sources, data)
    if labelled.rows:
        parts.append(labelled)
    if any(facet.positive is not None for facet in facets):
        text = THRESHOLDS
        if any(facet.split.endswith("val split") for facet in facets):
            text += OPTIMISTIC
        parts.append(Text(text, "Thresholds"))
    return Section("about", TITLE, (*parts, Terms(GLOSSARY)))


def _images(facets: Sequence[Facet]) -> Table:
    """Images by class, a row for each set of images and class."""
    found: dict[tuple[str, str, tuple[str, ...]], Facet] = {}
    for facet in facets:
        found.setdefault((facet.data, facet.split, facet.ids), facet)
    rows: list[list[Value]] = []
    for facet in found.values():
        for k, name in enumerate(facet.class_names):
            has = facet.has(k)
            called = Cell(name, None, "positive" if k == facet.positive else "")
            share = Cell(f"{100 * has.mean():.1f}%", float(has.mean()))
            rows.append([facet.data, facet.split, called, int(has.sum()), len(facet.ids), share])
    return table(
        "Images that the figures are of. Prevalence is the share of the class in them; predictive "
        "values and net benefit hold at this prevalence only. Sensitivity is the share of the "
        "positive class that is found, specificity that of the rest that is left alone.",
        ("data", "split", "class", "images", "of", "prevalence"),
        rows,
        [facet.arms[0].sources[:1] for facet in found.values() for _ in facet.class_names],
    )


def _labelled(facets: Sequence[Facet], sources: Sources, data: ImageData | None) -> Table:
    """Labelled images that evaluated models were trained with, a row for each data and share."""
    found: dict[tuple[str, float], tuple[set[int], set[int], Source]] = {}
    for facet in facets:
        for source in (source for arm in facet.arms for source in arm.sources):
            run = sources.named_by(source, "run")
            if run is None or not isinstance(images := run.result.get("labelled_images"), int):
                continue
            elsewhere = source.config.get("data") is not None
            name = data_name(run.config["data"]) if elsewhere else facet.data
            train, val, _ = found.setdefault((name, facet.fraction), (set(), set(), source))
            train.add(images)
            if data is not None and data.name == name and "val" in data.splits:
                val.add(len(data.splits["val"]))
    ordered = sorted(found.items(), key=lambda one: one[0])
    return table(
        "Labelled images: those a model is trained with, and those its threshold is chosen on.",
        ("data", "labels", "train images", "validation images"),
        [
            [name, Cell(percent(share), share), _range(train), _range(val) if val else "not here"]
            for (name, share), (train, val, _) in ordered
        ],
        [(source,) for _, (_, _, source) in ordered],
    )


def _range(values: set[int]) -> Cell:
    low, high = min(values), max(values)
    return Cell(f"{low:,}" if low == high else f"{low:,} to {high:,}", low)
