"""What each command can be told: frozen pydantic models, one for each command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from tyro.conf import OmitArgPrefixes, Positional, arg


class Config(BaseModel):
    """Base of all configs: frozen; an unknown field is an error, and so is an infinite number."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class HeadConfig(Config):
    """The classifier on top of the encoder's features."""

    name: Annotated[str, arg(name="head", prefix_name=False)] = "pqc"
    """One of `linear`, `mlp`, `mlp_residual`, `pqc`, `pqc_residual`."""
    num_qubits: int = Field(4, ge=1, le=20)
    """Qubits of the circuit, which is also the size of the reduced feature vector."""
    num_layers: int = Field(2, ge=1)
    """Repetitions of the trainable layer."""
    encoding: str = "angle"
    """How angles enter the circuit: `angle`, `zz` or `reupload`."""
    ansatz: str = "ry_cz"
    """The trainable part: `ry_cz`, `real_amplitudes`, `efficient_su2`, `strongly_entangling`."""
    entanglement: str = "ring"
    """Which qubits are entangled in a layer: `linear`, `ring`, `full` or `none`."""
    init_std: float = Field(0.01, ge=0)
    """Standard deviation of the initial circuit weights, in radians."""


class AugmentConfig(Config):
    """Random changes to a training image."""

    crop_min: float = Field(0.5, gt=0, le=1)
    """Smallest part of the image's area that a crop keeps."""
    horizontal_flip: bool = True
    """Mirror left and right, for half of the images."""
    vertical_flip: bool = False
    """Mirror up and down, for half of the images."""
    rotation: float = Field(10.0, ge=0, le=180)
    """Largest rotation to either side, in degrees."""
    jitter: float = Field(0.2, ge=0, lt=1)
    """Largest relative change of brightness and contrast (and saturation of colour images)."""
    blur: float = Field(0.3, ge=0, le=1)
    """Share of images that are blurred; images below 64 pixels never are."""
    noise: float = Field(0.0, ge=0)
    """Standard deviation of Gaussian noise, on a scale of 0 to 1, for half of the images."""
    erase: float = Field(0.0, ge=0, le=1)
    """Share of images in which a small rectangle is erased."""


class RunConfig(Config):
    """What every command that makes a run folder can be told."""

    data: str = "phantom"
    """A MedMNIST name, a folder, a `.npz` in MedMNIST's format, or `phantom`."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    positive: str | None = None
    """The class that sensitivity speaks of, by name; only for two classes."""
    runs: Path = Path("runs")
    """Folder in which the run folder is made."""
    name: str | None = None
    """Name of the run, part of its folder's name; the data set's where it is not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of everything that is random in this run."""


class ComputeConfig(Config):
    """Where training runs."""

    accelerator: str = "auto"
    """Lightning's `accelerator`: `auto`, `cpu`, `gpu`, ..."""
    devices: str = "1"
    """Lightning's `devices`: how many, or which as `0,1`, or `auto`."""
    num_nodes: int = Field(1, ge=1)
    """Number of machines."""
    strategy: str = "auto"
    """Lightning's `strategy`: `auto`, `ddp`, ..."""
    precision: str = "32-true"
    """Lightning's `precision`, such as `32-true` or `bf16-mixed`; circuits stay in double."""


class PretrainConfig(RunConfig):
    """SimCLR pretraining of MobileNetV2 on the train split, without its labels."""

    resume: Path | None = None
    """A run folder to go on with; its own config counts, and other flags are refused."""
    encoder: str = "none"
    """Initial weights: `none`, `imagenet`, a run of `hybridq pretrain`, or its file."""
    image_size: int | None = Field(None, ge=8)
    """Input height and width in pixels; that of the data, or twice that below 64 pixels."""
    stem: Literal["auto", "stride1", "stride2"] = "auto"
    """Stride of the first convolution; `auto` is stride2, or that of the initial weights."""
    epochs: int = Field(200, ge=1)
    """Passes over the train split."""
    batch_size: int = Field(128, ge=2)
    """Images of a step (each gives two views), on each device."""
    temperature: float = Field(0.2, gt=0)
    """Temperature of NT-Xent, arXiv:2002.05709 equation 1."""
    learning_rate: float = Field(1e-3, gt=0)
    """Peak learning rate of AdamW."""
    weight_decay: float = Field(1e-4, ge=0)
    """Weight decay of AdamW."""
    warmup_epochs: int = Field(10, ge=0)
    """Epochs in which the learning rate grows linearly; cosine decay follows."""
    hidden_dim: int = Field(512, ge=1)
    """Width of the projection head's hidden layer."""
    projection_dim: int = Field(128, ge=1)
    """Length of the projected vectors that NT-Xent compares."""
    checkpoint_every: int = Field(5, ge=1)
    """Epochs between two checkpoints for `--resume`."""
    augment: AugmentConfig = AugmentConfig()
    """The random views."""
    compute: OmitArgPrefixes[ComputeConfig] = ComputeConfig()
    """Where it runs."""


class FinetuneConfig(RunConfig):
    """Supervised training of encoder and head on a fraction of the labels."""

    resume: Path | None = None
    """A run folder to go on with; its own config counts, and other flags are refused."""
    encoder: str = "none"
    """Initial weights: `none`, `imagenet`, a run of `hybridq pretrain`, or its file."""
    image_size: int | None = Field(None, ge=8)
    """Input size for `none` and `imagenet`; a pretrained encoder carries its own."""
    stem: Literal["auto", "stride1", "stride2"] = "auto"
    """Stride of the first convolution for `none` and `imagenet`; `auto` as in pretraining."""
    freeze_encoder: bool = False
    """Train the head alone, on features computed once and without augmentation."""
    labels: float = Field(1.0, gt=0, le=1)
    """Fraction of the train split's labels in use: stratified, whole groups."""
    head: HeadConfig = HeadConfig()
    """The classifier."""
    backend: str = "statevector"
    """Backend of the quantum layer: a profile, then fields, as `aer_noisy,device=FakeTorino`."""
    gradient: Literal["exact", "spsa"] = "exact"
    """Derivatives of circuits that run as jobs: parameter shift, or SPSA, which is cheap."""
    spsa_repeats: int = Field(1, ge=1)
    """Random directions of SPSA for each image, each two more circuits."""
    spsa_step: float = Field(0.3, gt=0, le=1.6)
    """Step of SPSA to either side, in radians."""
    start: Path | None = None
    """A run of `hybridq finetune` with the same head, whose weights training begins with."""
    noise_curriculum: str | None = None
    """Noise scales of as many equal stages of training, as `0,0.5,1`; needs a noisy backend."""
    epochs: int = Field(60, ge=1)
    """Passes over the labelled images."""
    keep: Literal["last", "best"] = "last"
    """The epoch whose model is kept: the last, or the best by validation AUC."""
    batch_size: int = Field(64, ge=2)
    """Images of a step."""
    learning_rate: float = Field(3e-3, gt=0)
    """Peak learning rate of the encoder, in a one-cycle schedule."""
    head_learning_rate: float = Field(5e-3, gt=0)
    """Peak learning rate of the head's classical part."""
    quantum_learning_rate: float = Field(1e-2, gt=0)
    """Peak learning rate of the circuit's weights."""
    weight_decay: float = Field(1e-2, ge=0)
    """Weight decay of AdamW; circuit weights have none."""
    class_weights: bool = True
    """Weigh classes by the inverse of their frequency."""
    patience: int = Field(0, ge=0)
    """With `--keep best`: epochs without a better validation AUC before it stops; 0: never."""
    checkpoint_every: int = Field(5, ge=1)
    """Epochs between two checkpoints for `--resume`."""
    augment: AugmentConfig = AugmentConfig(crop_min=0.7, jitter=0.1, blur=0.0)
    """Random changes to the training images."""
    compute: OmitArgPrefixes[ComputeConfig] = ComputeConfig()
    """Where it runs."""


class EvaluateConfig(Config):
    """Figures of a fine-tuned run on a split it was not trained on."""

    run: Positional[Path]
    """The run folder of `hybridq finetune`."""
    data: str | None = None
    """Other data of the same classes; that of the run where it is not given."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    backend: str | None = None
    """Another backend for the same weights; that of the run where it is not given."""
    split: Literal["val", "test"] = "test"
    """The split whose figures are reported; the threshold always comes from `val`."""
    limit: int | None = Field(None, ge=2)
    """Evaluate this many images only, drawn stratified; for slow backends."""
    baselines: bool = True
    """Also fit the majority class and two logistic regressions on the same labels."""
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples behind each 95% interval."""
    runs: Path = Path("runs")
    """Folder in which the run folder is made."""
    name: str | None = None
    """Name of the evaluation; the run's own name where it is not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the bootstrap and of the random-encoder baseline."""


class PredictConfig(Config):
    """Class probabilities for image files."""

    run: Positional[Path]
    """The run folder of `hybridq finetune`."""
    images: Positional[tuple[Path, ...]]
    """Image files, or folders of them."""
    backend: str | None = None
    """Another backend for the same weights; that of the run where it is not given."""
    out: Path | None = None
    """CSV file to write; standard output where it is not given."""
    force: bool = False
    """Replace the file if it exists."""
    batch_size: int = Field(128, ge=1)
    """Images at a time."""


class NoiseStudyConfig(Config):
    """Trained models under noise: devices, noise scales, shots, mitigation, and their controls."""

    models: Positional[tuple[Path, ...]] = ()
    """Run folders of `hybridq finetune`: quantum heads, and a classical control for each."""
    resume: Path | None = None
    """A study's folder to go on with; its own config counts, and other flags are refused."""
    device: str = "FakeTorino"
    """Fake devices or saved calibrations (.json), joined by commas."""
    noise_scale: str = "0,0.5,1,2,3"
    """Strengths of the noise, factors joined by commas: 0 is none, 1 the device."""
    shots: str = "none,4096"
    """Shots for one circuit, counts joined by commas; `none` is exact."""
    mitigation: str = "none"
    """Joined by commas: `none`, `trex`, `zne`, `dd`, `trex+zne`, `zne_by_scale`; see the guide."""
    repeats: int = Field(1, ge=1)
    """Draws of the shots for each setting."""
    data: str | None = None
    """Other data of the same classes; that of the runs where it is not given."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    split: Literal["val", "test"] = "test"
    """The split whose figures are reported; the threshold always comes from `val`."""
    limit: int | None = Field(None, ge=2)
    """This many images only, drawn stratified."""
    workers: int = Field(2, ge=1)
    """Processes on this machine, one thread each."""
    ray: str | None = None
    """Address of a Ray cluster to run on (`auto`, `ray://...`), or `local`; extra `ray`."""
    runs: Path = Path("runs")
    """Folder in which the study's folder is made."""
    name: str | None = None
    """Name of the study; the data's name where it is not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the transpiler and of the shots."""


class SubmitConfig(Config):
    """Send a trained run's images to IBM hardware as jobs; the same command again goes on."""

    run: Positional[Path]
    """The run folder of `hybridq finetune`, with a quantum head."""
    images: Positional[tuple[Path, ...]] = ()
    """Image files or folders; without any, the images of `--split`."""
    backend: str = "ibm"
    """Where: `ibm,device=ibm_fez,mode=batch,...`, or `ibm_rehearsal`, which needs no account."""
    data: str | None = None
    """Other data of the same classes; that of the run where it is not given."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    split: Literal["val", "test"] = "test"
    """The split whose images are sent; the threshold always comes from `val`."""
    limit: int | None = Field(None, ge=2)
    """Send this many images of the split only, drawn stratified."""
    dry_run: bool = False
    """Print device, layout, cost and upload, and post nothing."""
    max_qpu_seconds: float | None = Field(None, gt=0)
    """Most QPU time that all jobs may take together, in seconds; kept by the service, too."""
    yes: bool = False
    """Agree to an estimate above 60 QPU seconds without a budget."""
    wait: float = Field(0.0, ge=0)
    """Go on collecting for this long after posting, in seconds."""
    repost: bool = False
    """Post chunks again that may or may not have been accepted; both may then be charged."""
    retry_failed: bool = False
    """Post chunks again whose jobs failed or were cancelled."""
    again: bool = False
    """Make a new submission although there is one of the same images."""
    layout_seeds: int = Field(8, ge=1, le=100)
    """Seeds of the transpiler whose layouts are compared by expected error."""
    job_executions: int = Field(5_000_000, ge=1)
    """Most executions of one job (circuits times shots, mitigation included)."""
    job_bytes: int = Field(4_000_000, ge=1000)
    """Most bytes of the request that posts one job."""
    posts_per_minute: int = Field(5, ge=1)
    """Most jobs posted in a minute; IBM allows a user 5."""
    settle_seconds: float = Field(60.0, ge=0)
    """How long to wait before a job that is not listed is looked up again, in seconds."""
    runs: Path = Path("runs")
    """Folder in which the submission's folder is made."""
    name: str | None = None
    """Name of the submission; the run's own name where it is not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the draw of `--limit` and of the intervals."""


class JobsListConfig(Config):
    """The submissions in a folder of runs, and how far each has come."""

    runs: Path = Path("runs")
    """Folder of runs."""


class JobsStatusConfig(Config):
    """Where each chunk of a submission stands; asks the service nothing."""

    submission: Positional[Path]
    """The folder that `hybridq submit` printed."""


class JobsCollectConfig(Config):
    """Fetch the results of a submission; what is missing stays for another day."""

    submission: Positional[Path]
    """The folder that `hybridq submit` printed."""
    wait: float = Field(0.0, ge=0)
    """Go on asking for this long, in seconds; 0 asks once."""
    settle_seconds: float = Field(60.0, ge=0)
    """How long to wait before a job that is not listed is looked up again, in seconds."""


class JobsCancelConfig(Config):
    """Cancel the jobs of a submission that have not ended; time used so far is charged."""

    submission: Positional[Path]
    """The folder that `hybridq submit` printed."""


class DataListConfig(Config):
    """The data sets that are known by name."""

    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` or a cache folder where it is not given."""


class DataFetchConfig(Config):
    """Download a named data set, unless it is there already."""

    name: Positional[str]
    """A MedMNIST name, as `breastmnist` or `breastmnist,size=64`."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` or a cache folder where it is not given."""


class DataCheckConfig(Config):
    """What is in a data set, and what is wrong with it."""

    data: Positional[str]
    """A MedMNIST name, a folder, a `.npz` in MedMNIST's format, or `phantom`."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""


class BackendsListConfig(Config):
    """The backend profiles that are known by name."""


class BackendsShowConfig(Config):
    """Every field of a backend profile."""

    backend: Positional[str]
    """A profile, then fields, as `aer_noisy,device=FakeTorino,shots=1024`."""


class BackendsCheckConfig(Config):
    """Prove by probe circuits what a backend profile claims."""

    backend: Positional[str]
    """A profile, then fields, as `aer_noisy,device=FakeTorino,shots=1024`."""


class BackendsSaveConfig(Config):
    """Save the calibration of the device behind a backend."""

    backend: Positional[str]
    """A backend with a device, as `ibm,device=ibm_fez` or `fake_torino`."""
    out: Path
    """JSON file to write, for `device=FILE.json` and `rehearse=FILE.json`."""
    force: bool = False
    """Replace the file if it exists."""


class DemoConfig(Config):
    """The whole job on generated images: pretrain, fine-tune, evaluate, switch backends."""

    runs: Path = Path("runs")
    """Folder in which the run folders are made."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of images and training."""
    pretrain_epochs: int = Field(20, ge=1)
    """Epochs of SimCLR."""
    epochs: int = Field(30, ge=1)
    """Epochs of fine-tuning."""
