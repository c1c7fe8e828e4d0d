"""Model cards, and where everything in the report comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hybridq.reports.page.elements import Cell, Document, Fold, Part, Section, Text
from hybridq.reports.page.parts import Value, table
from hybridq.reports.sources.checks import read_card
from hybridq.reports.sources.models import Trained
from hybridq.reports.sources.sources import Source, Sources

if TYPE_CHECKING:
    from markdown_it.token import Token
    from markupsafe import Markup


def model_cards(models: Sequence[Trained], names: Mapping[Source, str]) -> Section:
    """The card of each kind of model; folded where there are several."""
    parts: list[Part] = []
    for trained in models:
        path = trained.source.folder / "model" / "MODEL_CARD.md"
        if path.is_file():
            named = f"{names[trained.source]} ({trained.source.name})"
            card = Document(f"Model card: {named}", markdown(read_card(trained.source.folder)))
            parts.append(card if len(models) == 1 else Fold(named, (card,)))
    return Section("card", "Model card", tuple(parts), "a run of `hybridq finetune`")


def markdown(text: str) -> Markup:
    """Markdown with tables as HTML, without raw HTML, pictures or links, headings from h3 on."""
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["image", "link", "autolink", "reference"])
    tokens = parser.parse(text)
    kept: list[Token] = []
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
        if token.type == "th_open":
            token.attrSet("scope", "col")
        if token.type == "inline" and not token.content and kept[-1].type == "th_open":
            kept[-1].tag, kept[-1].attrs = "td", {}  # an empty head is none
        if token.type == "th_close":
            token.tag = kept[-2].tag
        kept.append(token)
        if token.type == "thead_close":
            start = next(k for k in reversed(range(len(kept))) if kept[k].type == "thead_open")
            if not any(t.content for t in kept[start:] if t.type == "inline"):
                del kept[start:]  # a header without a word
    return Markup(parser.renderer.render(kept, parser.options, {}))


def provenance(sources: Sources) -> Section:
    """Every folder behind the report, and the command that makes it again."""
    places = table(
        "Folders this report was made from; runs that a folder recorded are read, too. "
        "`hybridq COMMAND --config FOLDER/config.json` makes such a folder again. A folder that "
        "begins with a key lies in the folder of that key.",
        ("key", "command", "folder", "made", "data", "training seed", "commit", "named by"),
        [_row(source, sources.study_of(source)) for source in sources.all],
        (),
        anchors=True,
    )
    parts: list[Part] = [places, *(Text(why, "Left out") for why in sources.left_out)]
    versions: dict[str, str] = next(
        (s.environment["versions"] for s in sources.all if "versions" in s.environment), {}
    )
    if versions:
        text = ", ".join(f"{name} {version}" for name, version in versions.items())
        parts.append(Text(f"{text}.", f"Versions ({sources.all[0].key})"))
    return Section("sources", "Sources", tuple(parts))


def _seed(source: Source) -> Value:
    """The seed of the training, or the first and last of several."""
    seeds = source.findings.seeds
    if seeds:
        return Cell(str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}", seeds[0])
    if source.kind == "submit":
        return "of its runs"
    seed = source.result.get("train_seed", source.config.get("seed"))
    return Cell(str(seed), seed) if isinstance(seed, int) else "not recorded"


def _row(source: Source, study: Source | None) -> list[Value]:
    environment = source.environment
    folder = str(source.folder)
    if study is not None:
        inside = source.folder.resolve().relative_to(study.folder.resolve())
        folder = f"{study.key}/{inside.as_posix()}"
    return [
        Cell(source.key, float(source.key[1:])),
        f"`hybridq {source.kind}`",
        folder,
        str(environment.get("time", "not recorded"))[:16].replace("T", " "),
        str(source.result.get("data") or source.config.get("data") or "of the run"),
        _seed(source),
        str(environment.get("git_commit") or "not recorded"),
        source.followed or "the user",
    ]
