"""Make the file of folders: everything is read, then written once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

from hybridq.config import ReportConfig
from hybridq.data.source import is_own
from hybridq.errors import InvalidValueError
from hybridq.models.views import Views
from hybridq.reports.page.elements import Section
from hybridq.reports.page.page import render
from hybridq.reports.sections.card import model_cards, provenance
from hybridq.reports.sections.circuit import circuits
from hybridq.reports.sections.confusion import confusion
from hybridq.reports.sections.features import features
from hybridq.reports.sections.found import found
from hybridq.reports.sections.gallery import gallery
from hybridq.reports.sections.introduction import about
from hybridq.reports.sections.labels import label_curve
from hybridq.reports.sections.performance import (
    Resampling,
    calibration,
    decision,
    discrimination,
)
from hybridq.reports.sections.resources import resources
from hybridq.reports.sections.results import results
from hybridq.reports.sections.summary import summary
from hybridq.reports.sections.training import training_curves
from hybridq.reports.sources.models import Trained, images_of, lead_model, open_models
from hybridq.reports.sources.predictions import evaluation_facets, study_facets
from hybridq.reports.sources.recipes import data_name, source_names
from hybridq.reports.sources.sources import Source, Sources, read_sources
from hybridq.threads import one_thread
from hybridq.utils.files import check_out, write_text
from hybridq.utils.pseudonyms import pseudonyms_of, tell_names
from hybridq.utils.text import counted

logger = logging.getLogger("hybridq")

METHODS: tuple[Literal["tsne", "umap"], ...] = ("tsne", "umap")


def report(config: ReportConfig) -> Path:
    """Write one HTML file about runs and studies; return its path.

    The same folders and options give the same file, byte for byte, whatever the number of threads:
    it is computed on one.

    Raises:
        HybridqError: if a folder cannot be used or the file exists; nothing is written then.
    """
    check_out(config.out, force=config.force)
    sources = read_sources(config.folders)
    if pseudonyms_of(config) is not None:
        _check_hidden(sources)
    names = source_names(sources)
    load_libraries()
    with one_thread(), open_models(sources, names) as models:
        sections = _sections(config, sources, names, models)
    tell_names()
    write_text(config.out, render(config.title or _title(sources), sections))
    return config.out


def load_libraries() -> None:
    """Load the libraries with threads of their own, which are held to one from then on."""
    import sklearn.cluster
    import sklearn.linear_model
    import sklearn.manifold  # noqa: F401


def _check_hidden(sources: Sources) -> None:
    """Refuse runs and studies that record names.

    Raises:
        InvalidValueError: If one does.
    """
    for source in sources.all:
        named = [source.config.get("data"), source.result.get("data")]
        if source.config.get("pseudonyms") is not True and any(map(is_own, filter(None, named))):
            raise InvalidValueError(
                "Expected runs and studies that were made with --pseudonyms, got "
                f"{source.folder}, which records names of files: leave it out, or make it again."
            )


def _sections(
    config: ReportConfig, sources: Sources, names: Mapping[Source, str], models: Sequence[Trained]
) -> list[Section]:
    evaluated = evaluation_facets(sources, names)
    facets = [*study_facets(sources), *evaluated]
    how = Resampling(config.resamples, config.seed)
    lead = lead_model(models, sources)
    data = images_of(lead, config, "val", "test") if lead is not None else None
    began = None if lead is None else sources.named_by(lead.source, "encoder")
    split = None if data is None else data.splits["test"]
    methods = [one for one in METHODS if config.embedding in (one, "both")]
    logger.info("%s, %s", counted(len(sources.all), "folder"), counted(len(models), "model"))
    return [
        summary(sources, evaluated),
        about(facets, sources, data),
        *found(sources),
        results(evaluated, names),
        discrimination(facets, how),
        confusion(facets),
        calibration(facets),
        decision(facets, how),
        label_curve(evaluated),
        training_curves(sources, names),
        features(lead, began, split, methods, names, seed=config.seed),
        gallery(lead, data, _reading(lead, sources), names, count=config.gallery),
        resources(models, sources, names, config.watts),
        circuits(models, seed=config.seed),
        model_cards(models, names),
        provenance(sources),
    ]


def _reading(lead: Trained | None, sources: Sources) -> Views | None:
    """The views by which an evaluation, or its study, read a model; None for its own."""
    if lead is None:
        return "one"
    for source in sources.of("evaluate"):
        if sources.named_by(source, "run") is lead.source:
            return cast(Views, source.result.get("views", "one"))
    study = sources.study_of(lead.source)
    return None if study is None else cast(Views, study.config.get("views", "one"))


def _title(sources: Sources) -> str:
    names = dict.fromkeys(
        str(source.result.get("data") or source.config.get("data") or "") for source in sources.all
    )
    found = dict.fromkeys(data_name(name) for name in names if name)
    return f"Report on {', '.join(found) or 'runs'}"
