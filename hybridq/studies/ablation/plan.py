"""What an ablation could decide and what it would cost, told before anything is made."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hybridq.config import AblationStudyConfig, FinetuneConfig, PretrainConfig
from hybridq.data import ImageData
from hybridq.evaluation.statistics import (
    Design,
    chance_of_equivalence,
    class_counts,
    smallest_difference,
)
from hybridq.evaluation.tables import table
from hybridq.models.encoders.file import load_encoder
from hybridq.models.encoders.initial import encoder_for
from hybridq.models.heads import build_head
from hybridq.models.views import PART, views_of
from hybridq.studies.ablation import grid
from hybridq.studies.ablation.frozen import FOLDS
from hybridq.studies.ablation.labels import labelled_rows
from hybridq.studies.ablation.study import checked, labelled_images
from hybridq.studies.ablation.verdicts import primary
from hybridq.studies.ablation.whole import FOLDS as WHOLE_FOLDS
from hybridq.studies.ablation.whole import SEARCHED
from hybridq.threads import one_thread
from hybridq.training.heads.many_heads import train_heads
from hybridq.training.pretraining.budget import epochs_of
from hybridq.utils.pace import in_words
from hybridq_backends import open_backend

FEATURES = 1280
"""Length of the features that the cost of heads is measured with, MobileNetV2's."""
ROUND = 16
"""Heads and images that the costs are measured with."""
WHOLE = {grid.SCRATCH: "from scratch", grid.PRETRAINED: "fine-tuned"}
"""What whole networks are called, by their start."""
EXPECTED = 0.8
"""AUC at which the smallest difference is computed."""


def ablation_plan(config: AblationStudyConfig) -> str:
    """Say what an ablation with these settings could decide, and what it would cost.

    A study decides from the difference on that a primary question would call better or worse with
    a chance of 80%, at an AUC of 0.8 and the usual spreads of `Design`; the last column is the
    chance to call two models equivalent that are. Costs are measured on this machine for a few
    seconds. Nothing is written, and no label of the test split is read but for its counts.

    Raises:
        HybridqError: If data, runs or settings cannot be used.
    """
    data, budgets = checked(config)
    labels = data.splits["test"].labels
    counts = tuple(class_counts(labels, data.num_classes).tolist())
    lines = []
    for budget in budgets:
        rows = labelled_rows(data, config, budget)
        for what, subsets in _designs(config, data, budget):
            design = Design(config.seeds, subsets, len(labels), counts, EXPECTED)
            primaries = len(budgets)
            smallest = smallest_difference(design, primaries=primaries)
            chance = chance_of_equivalence(design, config.margin, primaries=primaries)
            lines.append(
                [
                    budget.text,
                    f"{np.mean([len(one) for one in rows]):.0f}",
                    what,
                    f"{config.seeds} x {subsets}",
                    f"{smallest:.3f}",
                    f"{100 * chance:.0f}%",
                ]
            )
    columns = ["budget", "images", "models", "encoders x subsets", "decides from", "equivalence"]
    with one_thread():
        costs = _costs(config, data, budgets)
    total = sum(seconds for _, seconds in costs)
    return "\n".join(
        [
            f"Primary questions: {', '.join(primary(config))}; margin {config.margin:g}; "
            f"{len(labels)} test images of {data.name}.",
            "",
            table(columns, lines),
            "",
            table(
                ["stage", "units", "about"], [[*map(str, what), in_words(s)] for what, s in costs]
            ),
            "",
            f"In all about {in_words(total)} of one core; --workers {config.workers} shares it.",
        ]
    )


def _designs(
    config: AblationStudyConfig, data: ImageData, budget: grid.Budget
) -> list[tuple[str, int]]:
    """List what is compared at a budget, and over how many subsets."""
    subsets = grid.subsets_at(config, budget)
    found = [("frozen features", subsets)]
    if config.whole and budget in grid.whole_budgets(config, labelled_images(data)):
        found += [
            (WHOLE[start], grid.whole_subsets(config, budget, start))
            for start in grid.whole_starts(config)
        ]
    return found


def _costs(
    config: AblationStudyConfig, data: ImageData, budgets: tuple[grid.Budget, ...]
) -> list[tuple[list[Any], float]]:
    """Count the units of each stage and measure what they take, in seconds of one core."""
    methods, images = grid.methods(config), len(data.splits["train"])
    both = images + len(data.splits["test"])
    train, forward = _seconds_an_image(config, data)
    kinds = len(methods) + 1
    views = len(list(views_of(torch.zeros(1, 3, PART, PART), config.views)))
    stages: list[tuple[list[Any], float]] = []
    pretrained = len(methods) * config.seeds
    if not config.encoder_runs:
        recipe = PretrainConfig(steps=config.pretrain_steps, epochs=config.pretrain_epochs)
        epochs, _ = epochs_of(recipe, images)
        # Each image gives two views, and each epoch reads all.
        seconds = pretrained * epochs * images * 2 * train
        stages.append((["encoders", pretrained], seconds))
    encoders = kinds * config.seeds
    stages.append((["features", encoders], encoders * both * views * forward))
    trainings = sum(
        grid.subsets_at(config, budget) * (FOLDS * len(grid.SETTINGS) + 1) for budget in budgets
    )
    readers, every = (len(grid.arms_on(kind, config)) for kind in (grid.RANDOM, methods[0]))
    of_input = len(methods) * config.seeds * every + (config.seeds + 1) * readers
    heads = of_input * trainings
    units = (encoders + 1) * len(budgets)
    stages.append((["frozen", units], heads * _seconds_a_head(config, data)))
    if config.whole:
        stages += _whole_costs(config, labelled_images(data), len(methods), train)
    return stages


def _whole_costs(
    config: AblationStudyConfig, labelled: int, methods: int, train: float
) -> list[tuple[list[Any], float]]:
    """Count whole networks and their searches, and what they take.

    Args:
        config: The config of the study.
        labelled: Labelled images of train.
        methods: Number of the methods of pretraining.
        train: Seconds of an image in a training step.
    """
    rates, heads = len(grid.whole_rates(config)), len(grid.whole_heads(config))
    seeds = min(config.seeds, SEARCHED) if rates > 1 else 0
    searches = networks = 0
    of_searches = of_networks = 0.0
    for budget in grid.whole_budgets(config, labelled):
        images = budget.share * labelled
        fitted = images * (1 - 1 / WHOLE_FOLDS)
        for start in grid.whole_starts(config):
            alike, encoders = (1, 1) if start == grid.SCRATCH else (methods, config.seeds)
            cells = heads * alike * encoders * grid.whole_subsets(config, budget, start)
            searches, networks = searches + alike * seeds, networks + cells
            of_searches += alike * seeds * rates * WHOLE_FOLDS * _batch(fitted)
            of_networks += cells * _batch(images)
    of_an_image = train * config.whole_steps
    return [
        (["rates", searches], of_searches * of_an_image),
        (["whole", networks], of_networks * of_an_image),
    ]


def _batch(labelled: float) -> float:
    """Count the images of a whole network's step."""
    return min(labelled, FinetuneConfig().batch_size)


def _seconds_an_image(config: AblationStudyConfig, data: ImageData) -> tuple[float, float]:
    """Measure an encoder's training step and its forward pass, for each image."""
    images = data.splits["train"].images
    given = list(grid.given_encoders(config).values())
    encoder = (
        load_encoder(given[0])
        if given
        else encoder_for(
            images,
            PretrainConfig().encoder,
            image_size=config.image_size,
            stem="auto",
            seed=config.seed,
        )
    )
    batch = encoder.prepare(np.resize(images[:ROUND], (2 * ROUND, *images.shape[1:])))

    def step() -> None:
        encoder(batch).square().mean().backward()

    training = _best_of(step) / len(batch)
    with torch.inference_mode():
        return training, _best_of(lambda: encoder.eval()(batch)) / len(batch)


def _seconds_a_head(config: AblationStudyConfig, data: ImageData) -> float:
    """Measure the training of a circuit's head among others, for all steps."""
    arm = grid.frozen_arms(config)["pqc"].head
    labels = torch.arange(2 * data.num_classes) % data.num_classes
    features = torch.randn(len(labels), FEATURES, generator=torch.Generator().manual_seed(0))
    steps = 10
    with open_backend("statevector") as backend:
        heads = [build_head(FEATURES, data.num_classes, arm, backend=backend) for _ in range(ROUND)]
        seconds = _best_of(
            lambda: train_heads(
                heads,
                features,
                labels,
                [np.arange(len(labels))] * ROUND,
                num_classes=data.num_classes,
                steps=steps,
                learning_rate=1e-3,
                block_learning_rate=1e-2,
                weight_decay=1e-2,
                seeds=range(ROUND),
            )
        )
    return seconds / ROUND / steps * config.steps


def _best_of(function: Callable[[], Any], times: int = 2) -> float:
    """Measure the seconds of a call, the shortest of a few."""
    found = []
    for _ in range(times + 1):
        begun = time.perf_counter()
        function()
        found.append(time.perf_counter() - begun)
    return min(found)
