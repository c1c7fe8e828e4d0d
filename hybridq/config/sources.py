"""What the commands about data and backends can be told."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from hybridq.config.base import Config, PseudonymsConfig


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


class DataCheckConfig(PseudonymsConfig):
    """What is in a data set, and what is wrong with it."""

    data: Positional[str]
    """A MedMNIST name, a folder, a `.npz` in MedMNIST's format, or `phantom`."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""


class DataEmbedConfig(PseudonymsConfig):
    """Features of images in a file for other programs."""

    encoder: Positional[Path]
    """A run of `hybridq pretrain` or `hybridq finetune`, or an `encoder.safetensors`."""
    data: str
    """A MedMNIST name, a folder, a `.npz` in MedMNIST's format, or `phantom`."""
    out: Path
    """File to write, of NumPy's: `features`, `labels`, `ids`, `split`, `class_names`, `about`."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    force: bool = False
    """Replace the file if it exists."""


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
