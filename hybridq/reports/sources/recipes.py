"""How a model was trained: which runs are seeds of one model, and what tells models apart.

Two runs are of one recipe if their configs are alike but for the seed, the share of the labels, and
what follows from these: where files lie. The encoder a run begins with counts by its own recipe.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridq.data.source import JOINT, sources_of
from hybridq.models.checkpoint import read_spec
from hybridq.models.names import model_name
from hybridq.models.ssl import ssl_label
from hybridq.reports.sources.sources import Source, Sources

IGNORED = (
    "seed",
    "runs",
    "name",
    "resume",
    "data_root",
    "checkpoint_every",
    "logger",
    "views",
    "pseudonyms",
    "pseudonym_key",
)
"""Fields of a config that change no figure, make another seed of the same recipe, or are told by
each evaluation itself."""
STARTS = {"none": "", "pretrained": "continued", "imagenet": "from ImageNet's weights"}
"""Phrases for what weights a run begins with."""
WORDS = {
    "epochs": "{} epochs",
    "steps": "{} steps",
    "image_size": "{} px",
    "backend": "trained on {}",
    "noise_curriculum": "noise curriculum {}",
    "batch_size": "batches of {}",
}
"""Phrases for values that differ; of other fields the name and the value."""
LENGTHS = ("epochs", "steps")
"""Fields of a pretraining of which one is given."""


@dataclass(frozen=True)
class Recipe:
    """How a model was trained.

    Attributes:
        base: its name as long as there is no other of that name.
        fields: `(field, value)` pairs of its config, nested fields with dots; equal recipes have
            equal fields.
    """

    base: str
    fields: tuple[tuple[str, str], ...]


def recipe_of(source: Source, sources: Sources) -> Recipe:
    """The recipe of a run of `pretrain` or `finetune`, or of the run that an evaluation is of.

    The settings of a run that is gone are unknown, so an evaluation of it is like no other.
    """
    if source.kind != "evaluate":
        return Recipe(_base(source), tuple(sorted(_fields(source, sources).items())))
    result = source.result
    run = sources.named_by(source, "run")
    views = ("views", str(result.get("views", "one")))
    if run is None:
        base = f"{result['encoder_weights']}, {result['head']}"
        return Recipe(f"{base} (run not here, {source.name})", (views,))
    own = recipe_of(run, sources)
    return Recipe(own.base, (*own.fields, views))


def source_names(sources: Sources) -> dict[Source, str]:
    """A name for each run and evaluation; two are the same only for one recipe.

    Among models of one base name on the same data a name says what differs, and nothing else.
    """
    groups: dict[tuple[str, str], dict[Source, Recipe]] = defaultdict(dict)
    for source in sources.of("finetune", "evaluate", "pretrain"):
        recipe = recipe_of(source, sources)
        data = source.result.get("data") or source.config["data"]
        groups[recipe.base, data_name(data)][source] = recipe
    return {source: name for group in groups.values() for source, name in _names(group).items()}


def _names(recipes: Mapping[Source, Recipe]) -> dict[Source, str]:
    values: dict[str, set[str]] = defaultdict(set)
    for recipe in recipes.values():
        for field, value in recipe.fields:
            values[field].add(value)
    apart = [field for field, found in values.items() if len(found) > 1]
    return {
        source: ", ".join(
            [recipe.base, *_phrases((f, v) for f, v in recipe.fields if f in apart)],
        )
        for source, recipe in recipes.items()
    }


def _phrases(pairs: Iterable[tuple[str, str]]) -> list[str]:
    found = []
    for field, value in pairs:
        *outer, name = field.split(".")
        if name in LENGTHS and value == "None":  # the other one says it
            continue
        words = WORDS.get(name, name.replace("_", " ") + " {}")
        phrase = STARTS.get(value, value) if name == "encoder" else words.format(value)
        if phrase:
            found.append(" ".join([*outer, phrase]))
    return found


def _base(source: Source) -> str:
    config = source.config
    if source.kind == "pretrain":
        method = ssl_label(config.get("ssl", {}).get("name", "simclr"))
        return f"{method} on {data_name(config['data'])}"
    if config.get("start") is not None:
        return f"trained on from a run, {config['head']['name']}"
    spec = read_spec(source.folder).encoder
    return model_name(
        spec.weights,
        config["head"]["name"],
        frozen=config["freeze_encoder"],
        network=spec.architecture,
    )


def _fields(source: Source, sources: Sources) -> dict[str, str]:
    config = {k: v for k, v in source.config.items() if k not in (*IGNORED, "labels")}
    if source.kind == "finetune" and sources.study_of(source):
        # Its networks take equal steps, so that epochs follow from the share of the labels.
        del config["val_every"]
        config["epochs"] = "the study's"
    return _flat(config, source, sources)


def _flat(config: Mapping[str, Any], source: Source, sources: Sources) -> dict[str, str]:
    """Fields of a source's config; a run that it begins with, by the fields of that run's own."""
    found = {}
    for field, value in config.items():
        if field == "encoder":
            if value["name"] is not None:
                found["encoder.name"] = value["name"]
            value = value["weights"]
        run = sources.named_by(source, field) if field in ("encoder", "start") else None
        if run is not None:
            found[field] = "pretrained"
            own = {k: v for k, v in run.config.items() if k not in IGNORED}
            inner = _flat(own, run, sources)
        elif isinstance(value, dict):
            inner = _flat(value, source, sources)
        else:
            found[field] = str(value)
            continue
        found |= {f"{field}.{name}": text for name, text in inner.items()}
    return found


def data_name(source: str) -> str:
    """A data source without its folder and its options; of several sets the names of all."""
    return JOINT.join(Path(one.split(",")[0]).name for one in sources_of(source))
