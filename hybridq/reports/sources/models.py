"""The trained models behind a report, and the test images they are shown on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hybridq.config import FinetuneConfig, ReportConfig
from hybridq.data import ImageData
from hybridq.errors import HybridqError
from hybridq.evaluation.locked.asked_data import data_for
from hybridq.models.checkpoint import ModelSpec, load_model
from hybridq.models.classifier import HybridClassifier
from hybridq.quantum.modules import quantum_modules
from hybridq.reports.sources.sources import Source, Sources
from hybridq.utils.pseudonyms import is_pseudonym, pseudonyms_of
from hybridq_backends import open_backend

logger = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Trained:
    """A fine-tuned model on the exact engine.

    Attributes:
        source: its run.
        model: in evaluation mode.
        spec: what it is.
        run: the config of its run.
    """

    source: Source
    model: HybridClassifier
    spec: ModelSpec
    run: FinetuneConfig


@contextmanager
def open_models(sources: Sources, names: Mapping[Source, str]) -> Iterator[list[Trained]]:
    """Inside, one model of each recipe and data set: of its seeds and shares of labels the first.

    A model that was not named and cannot be read is left out, with a line in the log.

    Raises:
        HybridqError: if a named run's model cannot be read.
    """
    with open_backend("statevector") as exact:
        found: dict[tuple[str, str], Trained] = {}
        for source in sources.of("finetune"):
            run = FinetuneConfig.model_validate(source.config)
            kind = (names[source], run.data)
            if kind in found:
                continue
            try:
                model, spec = load_model(source.folder, backend=exact)
            except HybridqError as error:
                if source.followed is None:
                    raise
                logger.warning("without the model of %s: %s", source.folder, error)
            else:
                found[kind] = Trained(source, model, spec, run)
        yield list(found.values())


def lead_model(models: Sequence[Trained], sources: Sources) -> Trained | None:
    """The model that pictures are made of.

    That of the first evaluation or submission; else, of a study, one with a pretrained encoder and
    a quantum head; else the first.
    """
    by_source = {trained.source: trained for trained in models}
    wanted = [sources.named_by(source, "run") for source in sources.of("evaluate", "submit")]
    named = [by_source[source] for source in wanted if source in by_source]
    study = [
        trained
        for trained in models
        if trained.source.followed
        and quantum_modules(trained.model.head)
        and trained.run.encoder.weights != "none"
    ]
    return next(iter([*named, *study, *models]), None)


def images_of(trained: Trained, config: ReportConfig, *splits: str) -> ImageData | None:
    """The data of a run with some splits; None, and a line in the log, where it is not here."""
    try:
        return data_for(
            trained.run,
            trained.spec,
            data=config.data if is_pseudonym(trained.run.data) else None,
            data_root=config.data_root,
            splits=splits,
            download=False,
            pseudonyms=pseudonyms_of(config, trained.run),
        )
    except HybridqError as error:
        logger.warning("no pictures of %s: %s", trained.source.folder, error)
        return None
