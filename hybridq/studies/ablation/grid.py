"""What an ablation asks: its arms, fractions, seeds, encoders, and the settings it searches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from hybridq.config import AblationStudyConfig, HeadConfig, PretrainConfig, head_config
from hybridq.data.source import find_source, is_own, own_name
from hybridq.errors import InvalidValueError
from hybridq.evaluation import baselines
from hybridq.models.encoders.file import encoder_file
from hybridq.models.names import model_name
from hybridq.runs.folder import read_config, read_result
from hybridq.runs.recorded import absolute_source
from hybridq.studies.lists import numbers
from hybridq.utils.pseudonyms import pseudonyms_of

RAW_PIXELS = "raw_pixels"
"""The logistic regression that is in every table."""

Inputs = Literal["none", "random", "simclr", "imagenet"]
"""The encoder that makes a model's inputs; `none` for the pixels themselves."""
PIXELS: Inputs = "none"
ENCODERS: tuple[Inputs, ...] = ("random", "simclr", "imagenet")

WHOLE_HEADS = ("linear", "mlp", "pqc")
"""Heads on the network that is trained as a whole."""

Start = Literal["scratch", "simclr"]
STARTS: tuple[Start, ...] = ("scratch", "simclr")
"""Weights that it begins with."""


@dataclass(frozen=True)
class Arm:
    """A head on frozen features.

    Attributes:
        head: What is built.
        trains_circuit: Whether the circuit's weights are trained; else they stay as drawn.
    """

    head: HeadConfig
    trains_circuit: bool = True


Setting: TypeAlias = Mapping[str, float]
"""A setting of the search, as columns of `search.csv` name it.

Of heads it is `learning_rate`, the peak of their outer parts, and `block_learning_rate`, that of
the block: the circuit, or the control in its place, and what it is weighed by. Of a regression on
pixels it is `penalty`, scikit-learn's C.
"""

SETTINGS: tuple[Setting, ...] = tuple(
    {"learning_rate": outer, "block_learning_rate": block}
    for outer in (1e-3, 1e-2)
    for block in (1e-2, 1e-1)
)
"""One of them is chosen for all arms together."""

PENALTIES: tuple[Setting, ...] = tuple({"penalty": penalty} for penalty in baselines.PENALTIES)
"""One of them is chosen for the raw pixels of all seeds together."""


def settings_of(kind: Inputs) -> tuple[Setting, ...]:
    """The settings that are searched on one kind of input."""
    return PENALTIES if kind == PIXELS else SETTINGS


def frozen_arms(config: AblationStudyConfig) -> dict[str, Arm]:
    """The heads on frozen features, by name."""

    def head(name: str, **changes: Any) -> HeadConfig:
        sizes = {"num_qubits": config.num_qubits, "num_layers": config.num_layers}
        return head_config(name, **sizes, **changes)

    return {
        "linear": Arm(head("linear")),
        "mlp": Arm(head("mlp")),
        "pqc": Arm(head("pqc")),
        "mlp_residual": Arm(head("mlp_residual")),
        "pqc_residual": Arm(head("pqc_residual")),
        "pqc_unentangled": Arm(head("pqc", entanglement="none")),
        "pqc_untrained": Arm(head("pqc"), trains_circuit=False),
        "pqc_random": Arm(head("pqc", init_std=math.pi), trains_circuit=False),
    }


def frozen_model(encoder: str, arm: str) -> str:
    """Name of a head on frozen features, in tables and files."""
    return f"{encoder}-{arm}"


def whole_model(start: str, head: str) -> str:
    """Name of a network trained as a whole from `scratch` or `simclr`."""
    return f"whole-{start}-{head}"


def called(model: str) -> str:
    """What a model of the study is called in words."""
    if model == RAW_PIXELS:
        return baselines.NAMES[model]
    encoder, _, head = model.removeprefix("whole-").partition("-")
    return model_name(encoder, head, frozen=not model.startswith("whole-"))


def seeds(config: AblationStudyConfig) -> tuple[int, ...]:
    """The seeds, which follow one another."""
    return tuple(range(config.seed, config.seed + config.seeds))


def fractions(config: AblationStudyConfig) -> tuple[float, ...]:
    """The fractions of the labels, ascending.

    Raises:
        InvalidValueError: If an entry is no fraction, or twice there.
    """
    return _fractions("labels", config.labels)


def _fractions(option: str, words: str) -> tuple[float, ...]:
    expected = "fractions above 0 and up to 1: write 0.05,0.1,1.0"
    name = "{:g}".format
    found = numbers(option, words, lambda one: 0 < one <= 1, expected, most=20, name=name)
    return tuple(sorted(found))


def whole_fractions(config: AblationStudyConfig) -> tuple[float, ...]:
    """Fractions for the whole network, ascending; where none are given, the lowest and highest.

    Raises:
        InvalidValueError: If one is not among the fractions of the study.
    """
    every = fractions(config)
    if config.whole_labels is None:
        return tuple(dict.fromkeys((every[0], every[-1])))
    chosen = _fractions("whole-labels", config.whole_labels)
    if others := [fraction for fraction in chosen if fraction not in every]:
        raise InvalidValueError(
            f"Expected --whole-labels out of --labels {config.labels}, got {others[0]:g}: add it "
            "there."
        )
    return chosen


def given_encoders(config: AblationStudyConfig) -> Mapping[int, Path]:
    """The runs of `--encoder-runs` by their seeds; empty where none are given.

    Raises:
        MissingFileError: If one is no run folder, or is not finished.
        InvalidValueError: If one is of other data, or a seed has no run or two.
    """
    found: dict[int, Path] = {}
    for run in config.encoder_runs:
        pretrained = read_config(run, PretrainConfig, "pretrain")
        encoder_file(run)
        read_result(run, "pretrain")
        if _place(pretrained.data, config) != _place(config.data, config):
            raise InvalidValueError(
                f"Expected --encoder-runs on {config.data!r}, got {str(run)!r} on "
                f"{pretrained.data!r}: pretrain on this data."
            )
        if pretrained.seed in found:
            raise InvalidValueError(
                f"Expected one encoder a seed, got {str(found[pretrained.seed])!r} and "
                f"{str(run)!r} of seed {pretrained.seed}: leave one out."
            )
        found[pretrained.seed] = run
    missing = [seed for seed in seeds(config) if seed not in found]
    if found and missing:
        raise InvalidValueError(
            f"Expected in --encoder-runs a run of each seed from {config.seed} to "
            f"{config.seed + config.seeds - 1}, got none of {', '.join(map(str, missing))}: add "
            "them, or lower --seeds."
        )
    return found


def _place(data: str, config: AblationStudyConfig) -> str:
    """What tells whether two sources are the same: paths, or pseudonyms of their names."""
    pseudonyms = pseudonyms_of(config)
    if pseudonyms is None or not is_own(data):
        return absolute_source(data)
    path = find_source(data).path
    return pseudonyms.data(own_name(data if path is None else path))
