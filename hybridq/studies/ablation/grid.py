"""What an ablation crosses: labels, encoders, choices of labelled images, and arms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hybridq.config import AblationStudyConfig, HeadConfig, PretrainConfig, head_config, ssl_config
from hybridq.data.source import find_source, is_own, own_name, sources_of
from hybridq.errors import InvalidValueError
from hybridq.evaluation import baselines
from hybridq.models.encoders.file import encoder_file
from hybridq.models.heads import HEADS
from hybridq.models.names import model_name
from hybridq.runs.folder import read_config, read_result
from hybridq.runs.recorded import absolute_source
from hybridq.studies.lists import entries, names_of, numbers
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import percent

PIXELS = "pixels"
"""The kind of input that no encoder makes."""
RANDOM = "random"
"""The kind of encoder that was never trained."""
REGRESSION = "logistic"
"""The arm that is a penalised logistic regression."""
RAW_PIXELS = f"{PIXELS}-{REGRESSION}"
"""The model that is in every table."""
SCRATCH = "scratch"
"""The start of a whole network that no encoder was pretrained for."""
PRETRAINED = "pretrained"
"""The start that is each of the study's encoders."""
STARTS = (SCRATCH, PRETRAINED)
"""Weights that a whole network begins with."""


@dataclass(frozen=True)
class Budget:
    """An amount of labelled images.

    Attributes:
        share: The share of the labels of train, in (0, 1].
        text: What it is called.
    """

    share: float
    text: str


@dataclass(frozen=True)
class Arm:
    """A head on fixed inputs.

    Attributes:
        head: What is built.
        trains_circuit: Whether the circuit's weights are trained; else they stay as drawn.
    """

    head: HeadConfig
    trains_circuit: bool = True


Setting: TypeAlias = Mapping[str, float]
"""A setting of the search: `learning_rate` is the peak of a head's outer parts, and
`block_learning_rate` that of the block: the circuit, or the control in its place."""

SETTINGS: tuple[Setting, ...] = tuple(
    {"learning_rate": outer, "block_learning_rate": block}
    for outer, block in ((1e-3, 1e-2), (1e-3, 1e-1), (1e-2, 1e-2), (1e-2, 1e-1), (1e-5, 1e-3))
)
"""The settings that are searched, for every arm alike, of heads that begin at a regression; with
the last they hardly move from there. The first is taken where nothing can be held out."""
DRAWN = SETTINGS[:-1]
"""The settings of heads with random weights, which all have to move."""


def frozen_arms(config: AblationStudyConfig) -> dict[str, Arm]:
    """List the heads on frozen features, by name."""

    def head(name: str, **changes: Any) -> HeadConfig:
        own = ("num_qubits", "num_layers", "encoding", "ansatz", "entanglement")
        return head_config(name, **({field: getattr(config, field) for field in own} | changes))

    return {
        "linear": Arm(head_config("linear")),
        "mlp": Arm(head("mlp")),
        "pqc": Arm(head("pqc")),
        "mlp_residual": Arm(head("mlp_residual")),
        "pqc_residual": Arm(head("pqc_residual")),
        "pqc_unentangled": Arm(head("pqc", entanglement="none")),
        "pqc_untrained": Arm(head("pqc"), trains_circuit=False),
        "pqc_random": Arm(head("pqc", init_std=math.pi), trains_circuit=False),
        "identity": Arm(head("identity")),
        "rff": Arm(head("rff")),
        "pqc_pca": Arm(head("pqc", reducer="pca")),
        "mlp_pca": Arm(head("mlp", reducer="pca")),
    }


def arm_of(config: AblationStudyConfig, name: str) -> Arm:
    """Find an arm by its name; a head that is none of `frozen_arms` is built as it is usually."""
    found = frozen_arms(config)
    return found[name] if name in found else Arm(head_config(name))


def known_arms(config: AblationStudyConfig) -> tuple[str, ...]:
    """List the names of all arms: of those of a study, and of other trained heads on features."""
    own = frozen_arms(config)
    others = [
        name
        for name, entry in HEADS.items()
        if name not in own and entry.input == "vector" and not entry.fitted
    ]
    return (*own, *others)


READERS = ("linear", "mlp", "pqc", "mlp_residual", "pqc_residual")
"""Heads that read untrained encoders and raw pixels, too; what circuits need is asked elsewhere."""


def arms_on(kind: str, config: AblationStudyConfig) -> dict[str, Arm]:
    """List the heads on one kind of input, by name: on pretrained features all that are asked for.

    Raises:
        InvalidValueError: If `--heads` names one that there is not, or one twice.
    """
    if config.heads == "none":
        return {}
    names = tuple(frozen_arms(config))
    if config.heads is not None:
        names = names_of("heads", config.heads, known_arms(config))
    readers = names
    if kind in (PIXELS, RANDOM):
        readers = READERS if config.control_heads else ()
    return {name: arm_of(config, name) for name in names if name in readers}


def whole_heads(config: AblationStudyConfig) -> tuple[str, ...]:
    """List the heads of the whole network.

    Raises:
        InvalidValueError: If one is no arm that a whole network can have.
    """
    known = [name for name in known_arms(config) if not name.endswith("_pca")]
    return names_of("whole-heads", config.whole_heads, known)


def whole_rates(config: AblationStudyConfig) -> tuple[float, ...]:
    """List the rates of the encoder that are searched, ascending.

    Raises:
        InvalidValueError: If one is no rate.
    """
    expected = "rates above 0 and up to 1: write 3e-4,1e-3"
    return tuple(
        sorted(numbers("whole-rates", config.whole_rates, lambda one: 0 < one <= 1, expected))
    )


def frozen_model(kind: str, arm: str) -> str:
    """Name a model on fixed inputs, in tables and files."""
    return f"{kind}-{arm}"


def whole_model(start: str, head: str) -> str:
    """Name a network trained as a whole, from `scratch` or from a method's encoder."""
    return f"whole-{start}-{head}"


def called(model: str) -> str:
    """Say what a model of the study is called in words."""
    if model == RAW_PIXELS:
        return baselines.NAMES["raw_pixels"]
    encoder, _, head = model.removeprefix("whole-").partition("-")
    if encoder == PIXELS:
        return f"raw pixels, {head}"
    return model_name(encoder, head, frozen=not model.startswith("whole-"))


def seeds(config: AblationStudyConfig) -> tuple[int, ...]:
    """List the seeds of the encoders, which follow one another."""
    return tuple(range(config.seed, config.seed + config.seeds))


def budgets(config: AblationStudyConfig, images: int) -> tuple[Budget, ...]:
    """List the amounts of labelled images, ascending.

    Args:
        config: The config of the study.
        images: Labelled images of train.

    Raises:
        InvalidValueError: If an entry is neither a count nor a fraction, is more than there are,
            or is there twice.
    """
    return tuple(sorted(_budgets("labels", config.labels, images), key=lambda one: one.share))


def _budgets(option: str, text: str, images: int) -> list[Budget]:
    expected = "fractions above 0 and up to 1, or counts of images from 2 on: write 25,100,0.05,1.0"
    found = numbers(
        option,
        text,
        lambda one: 0 < one <= 1 or (one >= 2 and one == int(one)),
        expected,
        most=20,
        name=lambda one: one if one <= 1 else one / images,
    )
    if too_many := [one for one in found if one > images]:
        raise InvalidValueError(
            f"Expected --{option} of at most the {images} labelled images of train, got "
            f"{too_many[0]:g}: lower it, or write 1.0 for all."
        )
    return [_budget(one, images) for one in found]


def _budget(number: float, images: int) -> Budget:
    if number > 1:
        return Budget(number / images, f"{number:g} labels")
    return Budget(number, "all labels" if number == 1 else f"{percent(number)} of the labels")


def whole_budgets(config: AblationStudyConfig, images: int) -> tuple[Budget, ...]:
    """List the amounts for the whole network, ascending: those given, or the first and the last.

    Raises:
        InvalidValueError: If one is not among those of the study.
    """
    every = budgets(config, images)
    if config.whole_labels is None:
        return tuple(dict.fromkeys((every[0], every[-1])))
    chosen = _budgets("whole-labels", config.whole_labels, images)
    if others := [one for one in chosen if one not in every]:
        raise InvalidValueError(
            f"Expected --whole-labels out of --labels {config.labels}, got {others[0].text}: add "
            "it there."
        )
    return tuple(sorted(chosen, key=lambda one: one.share))


def subsets_at(config: AblationStudyConfig, budget: Budget) -> int:
    """Count the choices of labelled images.

    With all labels there is one, and only initial weights are drawn anew, five times at most.
    """
    return min(config.subsets, 5) if budget.share == 1 else config.subsets


def whole_starts(config: AblationStudyConfig) -> tuple[str, ...]:
    """List the weights that whole networks begin with, out of `STARTS`; none without `--whole`.

    Raises:
        InvalidValueError: If there is no such start, or one twice.
    """
    found = names_of("whole-starts", config.whole_starts, STARTS)
    return found if config.whole else ()


def whole_subsets(config: AblationStudyConfig, budget: Budget, start: str) -> int:
    """Count the choices of labelled images for whole networks: the first of the study's.

    A network from scratch has no encoder, so that each choice needs one; pretrained encoders share
    the number of networks.

    Args:
        config: The config of the study.
        budget: The amount of labelled images.
        start: `scratch`, or whatever pretrained weights are called.
    """
    most = subsets_at(config, budget)
    encoders = 1 if start == SCRATCH else config.seeds
    return min(most, max(1, config.whole_networks // encoders))


def first_subsets(config: AblationStudyConfig, images: int) -> dict[float, tuple[int, ...]]:
    """Count the choices of labels on which others are compared with whole networks, by share.

    Args:
        config: The config of the study.
        images: Labelled images of train.
    """
    if not config.whole:
        return {}
    return {
        budget.share: tuple(
            sorted({whole_subsets(config, budget, start) for start in whole_starts(config)})
        )
        for budget in whole_budgets(config, images)
    }


def methods(config: AblationStudyConfig) -> tuple[str, ...]:
    """List the methods of pretraining: those of the runs that are given, or of `--methods`.

    Raises:
        InvalidValueError: If there is no such method, or a run cannot be used.
        MissingFileError: If a run is not there.
    """
    if config.encoder_runs:
        return tuple(dict.fromkeys(method for method, _ in given_encoders(config)))
    return entries("methods", config.methods, lambda word: ssl_config(word).name)


def given_encoders(config: AblationStudyConfig) -> Mapping[tuple[str, int], Path]:
    """Find the runs of `--encoder-runs` by method and seed; empty where none are given.

    Raises:
        MissingFileError: If one is no run folder, or is not finished.
        InvalidValueError: If one is of other data, or a seed has no run or two.
    """
    found: dict[tuple[str, int], Path] = {}
    for run in config.encoder_runs:
        pretrained = read_config(run, PretrainConfig, "pretrain")
        encoder_file(run)
        read_result(run, "pretrain")
        places = [_place(one, config) for one in sources_of(pretrained.data)]
        if _place(config.data, config) not in places:
            raise InvalidValueError(
                f"Expected --encoder-runs on {config.data!r}, got {str(run)!r} on "
                f"{pretrained.data!r}: pretrain on this data."
            )
        key = (pretrained.ssl.name, pretrained.seed)
        if key in found:
            raise InvalidValueError(
                f"Expected one encoder a method and seed, got {str(found[key])!r} and "
                f"{str(run)!r} of {key[0]}, seed {key[1]}: leave one out."
            )
        found[key] = run
    for method in dict.fromkeys(method for method, _ in found):
        missing = [seed for seed in seeds(config) if (method, seed) not in found]
        if missing:
            raise InvalidValueError(
                f"Expected in --encoder-runs a run of {method} of each seed from {config.seed} to "
                f"{config.seed + config.seeds - 1}, got none of {', '.join(map(str, missing))}: "
                "add them, or lower --seeds."
            )
    return found


def _place(data: str, config: AblationStudyConfig) -> str:
    """What tells whether two sources are the same: paths, or pseudonyms of their names."""
    pseudonyms = pseudonyms_of(config)
    if pseudonyms is None or not is_own(data):
        return absolute_source(data)
    path = find_source(data).path
    return pseudonyms.data(own_name(data if path is None else path))
