"""Comparisons with verdicts: at a glance, drawn, as a table, and in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from hybridq.evaluation.summaries import forests
from hybridq.records.findings import Compared, ComparedModels, Estimate
from hybridq.reports.page.elements import Cell, Fold, Part, Table, Text, Verdict
from hybridq.reports.page.parts import Value, table
from hybridq.reports.sections.drawings import forest
from hybridq.reports.sources.sources import Source
from hybridq.utils.text import counted

COLUMNS = (
    "comparison",
    "setting",
    "verdict",
    "difference",
    "p, different",
    "p, equivalent",
    "Hedges' g",
    "what would decide it",
)


def comparisons(source: Source, compared: ComparedModels) -> Iterator[Part]:
    """A sentence for each topic, all verdicts in a table, drawings, and what is behind them."""
    topics: dict[str, list[Compared]] = defaultdict(list)
    for item in compared.items:
        topics[item.topic].append(item)
    for topic, items in topics.items():
        yield Text(_topic(items, compared), _capital(topic))
    yield _verdicts(source, compared)
    shown = forests(compared)
    for k, one in enumerate(shown, start=1):
        name, about = f"differences-{source.key.lower()}-{k}", source.findings.data or ""
        yield forest(name, one, [source], about, shown)
    yield _numbers(source, compared)
    for topic, items in topics.items():
        words = tuple(Verdict(_words(item), item.verdict, (source,)) for item in items)
        yield Fold(f"Verdicts in words: {topic}", words)


def _topic(items: Sequence[Compared], compared: ComparedModels) -> str:
    """The best model in the last setting, the first comparison of each family, and counts."""
    last = [item for item in items if item.setting == items[-1].setting]
    means = {model: mean for i in last for model, mean in ((i.a, i.value_a), (i.b, i.value_b))}
    best = max(means, key=lambda model: means[model])
    first = {item.family: item for item in reversed(last)}
    asked = " ".join(
        f"{_capital(item.question)}? {item.a} less {item.b}: {_difference(item).text}, "
        f"{item.verdict}."
        for item in reversed(first.values())
    )
    settings = counted(len({item.setting for item in items}), "setting")
    counts = {kind: sum(i.verdict == kind for i in items) for kind in (i.verdict for i in items)}
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return (
        f"With {items[-1].setting} the highest mean {compared.figure} among the models compared is "
        f"{means[best]:.3f}, of {best}. {asked} {counted(len(items), 'comparison')} in {settings}: "
        f"{told}."
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _difference(item: Compared) -> Estimate:
    return Estimate(value=item.difference, low=item.low, high=item.high, is_signed=True)


def _words(item: Compared) -> str:
    words = item.words.removeprefix(item.verdict).lstrip(", ")
    return f"{_capital(item.question)}? {item.setting}, {item.a} against {item.b}: {words}."


def _held(compared: ComparedModels) -> str:
    """Say for how many comparisons together a verdict holds, by family where there are several."""
    sizes = {item.family: item.family_size for item in compared.items}
    if len(sizes) == 1:
        return f"all {next(iter(sizes.values()))} comparisons together"
    several = ", ".join(f"{family}: {size}" for family, size in sizes.items())
    return f"all comparisons of its family together ({several})"


def _verdicts(source: Source, compared: ComparedModels) -> Table:
    """A row for each question, a column for each setting."""
    settings = list(dict.fromkeys(item.setting for item in compared.items))
    answers: dict[tuple[str, str], dict[str, Cell]] = defaultdict(dict)
    for item in compared.items:
        asked = f"{_capital(item.question)}?", f"{item.a} against {item.b}"
        answers[asked][item.setting] = Cell(
            item.verdict, item.difference, _difference(item).text, item.verdict
        )
    return table(
        f"Verdicts, with the difference in {compared.figure} and its 95% interval over trainings "
        "and test images together. An interval is of its comparison alone; a verdict holds "
        f"for {_held(compared)} (Holm's correction). So an interval can leave out 0 while the "
        "verdict is undecided. Undecided means that these images and trainings cannot tell, not "
        f"that there is no difference. Differences below {compared.margin:g} do not matter (the "
        "stated margin).",
        ("question", *settings),
        [
            [Cell(asked, None, models), *(own.get(one, Cell("not run")) for one in settings)]
            for (asked, models), own in answers.items()
        ],
        [source],
    )


def _numbers(source: Source, compared: ComparedModels) -> Table:
    rows: list[list[Value]] = [
        [
            f"{item.a} against {item.b}",
            item.setting,
            item.verdict,
            _difference(item),
            _p_value(item.p_holm),
            _p_value(item.p_equivalence_holm),
            None if item.hedges_g is None else Cell(f"{item.hedges_g:+.2f}", item.hedges_g),
            _remedy(item),
        ]
        for item in compared.items
    ]
    return table(
        f"Comparisons: the difference is the mean {compared.figure} of the first model less that "
        "of the second, with the 95% interval of that comparison alone. p values are after Holm's "
        f"correction, so that verdicts hold for {_held(compared)}. Hedges' g is the difference in "
        "units of its standard deviation over the seeds. What would decide an undecided one is an "
        "estimate, with a chance of 80% if the difference seen is the true one.",
        COLUMNS,
        rows,
        [source],
    )


def _p_value(value: float | None) -> Value:
    return Cell("<0.001", value) if value is not None and value < 0.001 else value


def _remedy(item: Compared) -> str:
    """More images, more seeds, or both; the study's own words where it gives no number."""
    if item.verdict != "undecided":
        return "it is decided"
    if item.images_needed is not None:
        return f"about {item.images_needed:,.0f} test images"
    if item.seeds_needed is not None:
        what = "encoders" if "label subsets" in item.words else "training seeds"
        return f"about {item.seeds_needed:,.0f} {what}"
    words = item.words.partition(" (")[0].removeprefix("undecided").lstrip(", ")
    return words.removesuffix(" are needed").replace("training ", "").replace("test ", "")
