"""What studies can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from tyro.conf import Positional

from hybridq.config.base import (
    MAX_EPOCHS,
    MAX_IMAGE_SIZE,
    MAX_LAYERS,
    MAX_LIMIT,
    MAX_RANK,
    MAX_RUNS,
    MAX_SEEDS,
    MAX_STEPS,
    MAX_WORKERS,
    Config,
    PseudonymsConfig,
    RunConfig,
)


class StudyConfig(Config):
    """Base of the configs of studies."""

    resume: Path | None = None
    """A study's folder to go on with; its own config counts, and other flags are refused."""
    workers: int = Field(2, ge=1, le=MAX_WORKERS)
    """Processes on this machine, one thread each."""
    ray: str | None = None
    """Address of a Ray cluster to run on (`auto`, `ray://...`), or `local`; extra `ray`."""
    runs: Path = Path("runs")
    """Folder in which the study's folder is made."""
    name: str | None = None
    """Name of the study's folder; that of the study or of its data where it is not given."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the study."""


class NoiseStudyConfig(StudyConfig, PseudonymsConfig):
    """Trained models under noise: devices, noise scales, shots, mitigation, and their controls."""

    models: Positional[tuple[Path, ...]] = Field((), max_length=MAX_RUNS)
    """Run folders of `hybridq finetune`: quantum heads, and a classical control for each."""
    device: str = "FakeTorino"
    """Fake devices or saved calibrations (.json), joined by commas."""
    noise_scale: str = "0,0.5,1,2,3"
    """Strengths of the noise, factors joined by commas: 0 is none, 1 the device."""
    shots: str = "none,4096"
    """Shots for one circuit, counts joined by commas; `none` is exact."""
    mitigation: str = "none"
    """Joined by commas: `none`, `trex`, `zne`, `dd`, `trex+zne`, `zne_by_scale`; see the guide."""
    repeats: int = Field(1, ge=1, le=1000)
    """Draws of the shots for each setting."""
    data: str | None = None
    """Other data of the same classes; that of the runs where it is not given."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    split: Literal["val", "test"] = "test"
    """The split whose figures are reported; the threshold always comes from `val`."""
    limit: int | None = Field(None, ge=2, le=MAX_LIMIT)
    """This many images only, drawn stratified."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the transpiler and of the shots."""


class AblationStudyConfig(StudyConfig, RunConfig):
    """What self-supervision and the quantum layer each add: encoders, heads, labels and seeds."""

    labels: str = "25,50,100,0.05,1.0"
    """Labelled images of train, joined by commas: counts from 2, or fractions up to 1."""
    seeds: int = Field(5, ge=1, le=MAX_SEEDS)
    """Encoders of each method, every one pretrained from a seed of its own."""
    subsets: int = Field(50, ge=1, le=MAX_SEEDS)
    """Choices of labelled images; each is combined with every encoder."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The first of the seeds of encoders, which follow one another; subsets follow from it too."""
    methods: str = "simclr"
    """Methods of pretraining, joined by commas; of `--encoder-runs` where these are given."""
    encoder_runs: tuple[Path, ...] = Field((), max_length=MAX_SEEDS)
    """Finished runs of `hybridq pretrain` on this data, one for each method and seed."""
    pretrain_steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    """Steps of pretraining, where no runs are given; as many as `hybridq pretrain` takes."""
    pretrain_epochs: int | None = Field(None, ge=1, le=MAX_EPOCHS)
    """Epochs of pretraining, in place of `--pretrain-steps`."""
    image_size: int | None = Field(None, ge=8, le=MAX_IMAGE_SIZE)
    """Input height and width of all networks in pixels, of pretraining too unless its runs are
    given; that of the runs or the data."""
    views: Literal["one", "flip", "shift", "zoom"] = "one"
    """Views of an image, over which features, or a whole network's probabilities, are averaged."""
    heads: str | None = None
    """Arms on frozen features beside the regression, joined by commas, or `none`; else all. Any
    other head that takes features may be named, too."""
    control_heads: bool = True
    """Also train heads on untrained encoders and on raw pixels, which the regression reads too."""
    num_qubits: int = Field(4, ge=1, le=20)
    """Qubits of the circuits, which is also the size of the controls' bottleneck."""
    num_layers: int = Field(2, ge=1, le=MAX_LAYERS)
    """Repetitions of the circuits' trainable layer."""
    encoding: str = "angle"
    """How angles enter the circuits: `angle`, `zz` or `reupload`."""
    ansatz: str = "ry_cz"
    """Trainable part: `ry_cz`, `real_amplitudes`, `efficient_su2`, `strongly_entangling`."""
    entanglement: str = "ring"
    """Which qubits are entangled in a layer: `linear`, `ring`, `full` or `none`."""
    steps: int = Field(200, ge=2, le=MAX_STEPS)
    """Optimiser steps of every head on frozen features, whatever the labels."""
    head_start: Literal["regression", "random"] = "regression"
    """Where heads on frozen features begin: at the regression on their labels, or as drawn."""
    whole: bool = True
    """Also train the whole network."""
    whole_labels: str | None = None
    """The ones of `--labels` for the whole network; the first and the last where not given."""
    whole_heads: str = "linear"
    """Heads of the whole network, joined by commas; the first answers for pretraining."""
    whole_starts: str = "scratch,pretrained"
    """Weights that whole networks begin with: `scratch`, `pretrained`, or both."""
    whole_networks: int = Field(20, ge=1, le=MAX_SEEDS)
    """Whole networks of each start, head and amount of labels: from scratch each on a choice of
    labels of its own, from pretrained encoders every one of these on as many as make that number;
    at most all `--subsets`."""
    whole_rates: str = "3e-4,1e-3,3e-3"
    """Peak rates of the encoder, joined by commas; one is chosen by cross-validation."""
    whole_steps: int = Field(480, ge=2, le=MAX_STEPS)
    """Optimiser steps of the whole network, at least; whole epochs are made of them."""
    whole_probe_steps: int = Field(0, ge=0, le=MAX_STEPS)
    """Steps of the head alone before a pretrained network is trained as a whole (LP-FT)."""
    whole_layer_decay: float = Field(1.0, gt=0, le=1)
    """Factor of the rate from one stage of a pretrained encoder to the one below; 1 is none."""
    margin: float = Field(0.02, gt=0, lt=0.5)
    """Largest difference in AUC that does not matter."""
    primary: str = "pixels,scratch,circuit"
    """The questions that the study is made for, declared before anything is read."""
    plan: bool = False
    """Print what the study could decide and what it would cost, and stop."""


class EncodersStudyConfig(StudyConfig, PseudonymsConfig):
    """Base of the studies of what stands on finished encoders, with few labels."""

    models: Positional[tuple[Path, ...]] = Field((), max_length=MAX_RUNS)
    """Finished runs of `pretrain`, `finetune` or `study ablation`, whose encoders are taken."""
    encoder_runs: tuple[Path, ...] = Field((), max_length=MAX_SEEDS)
    """More of them, as the ablation calls them."""
    data: str | None = None
    """The images; those of the runs where it is not given."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    subsets: int = Field(20, ge=1, le=MAX_SEEDS)
    """Label subsets, which every encoder meets."""
    margin: float = Field(0.02, gt=0, lt=0.5)
    """Largest difference in AUC that does not matter."""


class FrozenStudyConfig(EncodersStudyConfig):
    """Base of the studies of heads that are trained on the features of finished encoders."""

    num_layers: int | None = Field(None, ge=1, le=MAX_LAYERS)
    """Repetitions of the circuit's trainable layer; as the runs have it, or 2."""
    encoding: str | None = None
    """`angle`, `zz` or `reupload`; as the runs have it, or `angle`."""
    ansatz: str | None = None
    """The circuit's trainable part; as the runs have it, or `ry_cz`."""
    entanglement: str | None = None
    """Which qubits are entangled; as the runs have it, or `ring`."""
    steps: int = Field(200, ge=2, le=MAX_STEPS)
    """Optimiser steps of every head."""


class CapacityStudyConfig(FrozenStudyConfig):
    """What the circuit adds to models: it against classical blocks, and its parts taken away."""

    labels: float = Field(50, gt=0, le=MAX_LIMIT)
    """Labelled train images of a subset: a share up to 1, or a number above it."""
    reducers: str = "linear,pca,random"
    """How features become angles, joined by commas: by a trained map, or one that is frozen."""
    num_qubits: int | None = Field(None, ge=1, le=20)
    """Qubits of the circuit, also the width of the classical blocks; as the runs have it, or 4."""


class BlocksStudyConfig(FrozenStudyConfig):
    """What each block of models is worth: encoders, reducers, heads, qubits, and their errors."""

    labels: str = "50"
    """Labelled train images of a subset, joined by commas: shares up to 1, or numbers above it."""
    encoders: str = "pretrained,random,pixels"
    """What heads stand on, joined by commas: the runs' encoders (`pretrained`), untrained ones
    (`random`), ImageNet's where its weights are on this machine (`imagenet`), or raw pixels
    (`pixels`)."""
    reducers: str = "linear,pca,random,tt"
    """How features become angles, joined by commas."""
    heads: str = "pqc,mlp"
    """Heads, joined by commas; a quantum one is compared with its control where both are there.
    Heads of related papers have circuits of their own where the study describes none."""
    qubits: str = "2,4,6,8"
    """Qubits of the circuits, which is also the width of their controls, joined by commas."""
    tt_rank: int = Field(3, ge=1, le=MAX_RANK)
    """Largest rank of the reducer `tt`."""
    noise: tuple[str, ...] = Field((), max_length=20)
    """Backends on which trained circuits are also read, without shots: each a profile, then fields,
    as `fake_torino,engine=torch`."""
    split_error: bool = True
    """Also split the log loss into approximation, estimation and optimisation, by longer trainings
    on the same labels and on all."""


class KernelsStudyConfig(EncodersStudyConfig):
    """What models with quantum kernels and reservoirs are worth beside tuned classical ones."""

    labels: str = "25,50,100"
    """Labelled train images of a subset, joined by commas: shares up to 1, or numbers above it."""
    qubits: str = "4,8"
    """Principal components, which are qubits where there are any, joined by commas."""
    kernels: str = "angle,zz,bsp,projected-zz,rbf,linear,cubic"
    """Kernels, joined by commas, each by itself and with its bandwidth searched; the quantum ones
    also together, weighed by alignment, beside the classical ones together."""
    bandwidths: str = "0.25,0.5,1,2"
    """Radians for a standard deviation of a component, at which kernels are described."""
    heads: str = "reservoir,random_fourier,random_tanh,cubic,components"
    """Other heads that are fitted in closed form, joined by commas, or `none`."""
    boosting: bool = True
    """Also boost trees on the same components."""
