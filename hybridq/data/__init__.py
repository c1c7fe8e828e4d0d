"""Medical images from named sets, folders, `.npz` files and a generator.

`load_data` is the way in; `select_labels` chooses the few labels that fine-tuning sees. What needs
torch (`prepare_images`, `channel_statistics`) is in `hybridq.data.transforms`.
"""

from __future__ import annotations

from hybridq.data.catalogue import DataRow, fetch_data, list_data
from hybridq.data.check import Finding, check_data
from hybridq.data.dataset import SPLITS, UNLABELLED, ImageData, ImageSplit, Task
from hybridq.data.provenance import data_record, notes_of
from hybridq.data.source import find_source, load_data
from hybridq.data.sources.medmnist import MEDMNIST, MedMnistSet
from hybridq.data.sources.phantom import make_phantom
from hybridq.data.splits import (
    labelled_data,
    labelled_mask,
    labelled_subset,
    select_labels,
    split_by_group,
)

__all__ = [
    "MEDMNIST",
    "SPLITS",
    "UNLABELLED",
    "DataRow",
    "Finding",
    "ImageData",
    "ImageSplit",
    "MedMnistSet",
    "Task",
    "check_data",
    "data_record",
    "fetch_data",
    "find_source",
    "labelled_data",
    "labelled_mask",
    "labelled_subset",
    "list_data",
    "load_data",
    "make_phantom",
    "notes_of",
    "select_labels",
    "split_by_group",
]
