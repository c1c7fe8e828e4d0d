"""What an ablation found, at a glance: a sentence for each topic, and all verdicts in a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hybridq.reports.ablation.files import Ablation, Row, measure
from hybridq.reports.ablation.measures import FIGURES, Measure, number, over_seeds
from hybridq.reports.page.elements import Cell, Part, Table, Text
from hybridq.reports.sources.naming import study_model_name
from hybridq.studies.summary import seed_interval
from hybridq.utils.text import counted, percent

OPERATING = ("sensitivity", "specificity")


def summary_parts(ablations: Sequence[Ablation]) -> list[Part]:
    """What was asked and what the answers are, at a glance."""
    parts: list[Part] = []
    for ablation in ablations:
        result = ablation.source.result
        text = (
            f"{counted(result['images'], 'test image')}, "
            f"{counted(result['seeds'], 'training seed')}. Differences in AUC below "
            f"{result['margin']:g} do not matter (the stated margin)."
        )
        parts.append(Text(text, ablation.title))
        for topic, items in topics(ablation).items():
            parts.append(Text(_topic(ablation, items), topic[0].upper() + topic[1:]))
        if ablation.comparisons:
            parts.append(_verdict_table(ablation))
    return parts


def topics(ablation: Ablation) -> dict[str, list[Row]]:
    """The comparisons by topic."""
    found: dict[str, list[Row]] = defaultdict(list)
    for item in ablation.comparisons:
        found[item["topic"]].append(item)
    return found


def pair(item: Row, between: str) -> str:
    """Both models of a comparison."""
    return f"{study_model_name(item['a'])} {between} {study_model_name(item['b'])}"


def question(item: Row) -> str:
    """What a comparison asks."""
    text: str = item["question"]
    return f"{text[0].upper()}{text[1:]}?"


def ends(item: Row) -> str:
    """The interval of a difference."""
    return f"[{number(item['low']):+.3f}, {number(item['high']):+.3f}]"


def family_words(items: Sequence[Row]) -> str:
    """For how many comparisons together a verdict holds, by family where there are several."""
    sizes = {item.get("family", "the study"): item["family_size"] for item in items}
    if len(sizes) == 1:
        return f"all {next(iter(sizes.values()))} comparisons of the study together"
    several = ", ".join(f"{family}: {size}" for family, size in sizes.items())
    return f"all comparisons of its family together ({several})"


def compared_fractions(ablation: Ablation) -> list[float]:
    """Shares of the labels at which models are compared, ascending."""
    return sorted({item["labels"] for item in ablation.comparisons})


def _topic(ablation: Ablation, items: Sequence[Row]) -> str:
    """The best model at the largest share, the first comparison of each training, and counts."""
    largest = max(item["labels"] for item in items)
    last = [item for item in items if item["labels"] == largest]
    means = {item[m]: item[f"value_{m}"] for item in last for m in ("a", "b")}
    best = max(means, key=lambda model: means[model])
    rates = rates_at(ablation, largest, best)
    told = ", ".join(f"{name} {rate.value:.2f}" for name, rate in rates.items())
    first: dict[bool, Row] = {}
    for item in last:
        first.setdefault("whole-" in item["a"] + item["b"], item)
    asked = " ".join(
        f"{question(item)} {pair(item, 'less')}: {item['difference']:+.3f} {ends(item)}, "
        f"{item['verdict']}."
        for item in first.values()
    )
    return (
        f"With {percent(largest)} of the labels the highest mean AUC among the models compared is "
        f"{means[best]:.3f}, of {study_model_name(best)}{f' ({told})' if told else ''}. {asked} "
        f"{_counts(items)}"
    )


def _counts(items: Sequence[Row]) -> str:
    counts = {
        kind: sum(item["verdict"] == kind for item in items)
        for kind in ("better", "equivalent", "worse", "undecided")
    }
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    shares = len({item["labels"] for item in items})
    where = f"{counted(shares, 'share')} of the labels"
    return f"{counted(len(items), 'comparison')} at {where}: {told}."


def _verdict_table(ablation: Ablation) -> Table:
    """A row for each question, a column for each share of the labels."""
    answers: dict[tuple[str, str], dict[float, Cell]] = defaultdict(dict)
    for item in ablation.comparisons:
        answers[question(item), pair(item, "against")][item["labels"]] = Cell(
            item["verdict"],
            item["difference"],
            f"{item['difference']:+.3f} {ends(item)}",
            item["verdict"],
        )
    columns = compared_fractions(ablation)
    rows = tuple(
        (Cell(asked, None, models), *(own.get(column, Cell("not run")) for column in columns))
        for (asked, models), own in answers.items()
    )
    return Table(
        "Verdicts, with the difference in AUC and its 95% interval over training seeds and test "
        "images together. An interval is of its comparison alone; a verdict holds for "
        f"{family_words(ablation.comparisons)} (Holm's correction). So an interval can leave out "
        "0 while the verdict is undecided. Undecided means that these images and seeds cannot "
        "tell, not that there is no difference.",
        ("question", *(f"{percent(column)} of the labels" for column in columns)),
        rows,
        ((ablation.source,),),
    )


def headline(ablation: Ablation) -> list[Table]:
    """Mean AUC at every share of the labels, and more figures at the largest."""
    cells: dict[str, dict[float, Cell]] = defaultdict(dict)
    for row in ablation.summary:
        if row["figure"] == "auc":
            cells[row["model"]][float(row["labels"])] = measure(row).cell
    rows = tuple(
        (
            Cell(study_model_name(model)),
            *(own.get(fraction, Cell("not run")) for fraction in ablation.fractions),
        )
        for model, own in cells.items()
    )
    result = ablation.source.result
    everywhere = Table(
        f"Mean AUC on the {counted(result['images'], 'test image')} of {ablation.title} over "
        f"{counted(result['seeds'], 'seed')}, with 95% intervals over seeds and test images "
        "together.",
        ("model", *(f"{percent(fraction)} of the labels" for fraction in ablation.fractions)),
        rows,
        ((ablation.source,),),
    )
    return [everywhere, _largest(ablation)]


def _largest(ablation: Ablation) -> Table:
    fraction = ablation.fractions[-1]
    own: dict[str, dict[str, Measure]] = defaultdict(dict)
    for row in ablation.summary:
        if float(row["labels"]) == fraction:
            own[row["model"]][row["figure"]] = measure(row)
    for model in own:
        own[model] |= rates_at(ablation, fraction, model)
    columns = [
        name
        for name in ("auc", "balanced_accuracy", *OPERATING, "calibration_error")
        if any(name in figures for figures in own.values())
    ]
    rows = tuple(
        (
            Cell(study_model_name(model)),
            *(figures[name].cell if name in figures else Cell("none") for name in columns),
        )
        for model, figures in own.items()
    )
    val = {int(row["val_images"]) for row in ablation.of(fraction)}
    return Table(
        f"{ablation.title} with {percent(fraction)} of the labels: means over the seeds. Intervals "
        "of AUC are over seeds and test images, those of other figures Student's t over the seeds "
        f"alone. Thresholds were chosen by balanced accuracy on {_several(val)} validation images.",
        ("model", *(FIGURES[name] for name in columns)),
        rows,
        ((ablation.source,),),
    )


def _several(values: set[int]) -> str:
    return " to ".join(f"{value:,}" for value in sorted({min(values), max(values)}))


def rates_at(ablation: Ablation, fraction: float, model: str) -> dict[str, Measure]:
    """Sensitivity and specificity of a model at the thresholds that validation chose.

    Empty where there is no positive class, or it is not known.
    """
    facet = ablation.facet("rates", fraction, [model], "")
    if facet is None or facet.positive is None:
        return {}
    (arm,) = facet.arms
    actual, found = facet.labels == facet.positive, facet.predicted(arm) == facet.positive
    shares: dict[str, Any] = {
        "sensitivity": found[:, actual].mean(axis=1),
        "specificity": (~found[:, ~actual]).mean(axis=1),
    }
    return {
        name: over_seeds(
            seed_interval(
                [{"seed": s, name: v} for s, v in zip(arm.seeds, share.tolist(), strict=True)],
                name,
            )
        )
        for name, share in shares.items()
    }
