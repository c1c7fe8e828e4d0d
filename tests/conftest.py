"""Tiny data sets, tiny trained runs, and walls between the tests and the machine they run on."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from hybridq.utils.limits import total_memory
from tests.forks import HEAVY

# Seconds are not what the tests are about, and a machine may be busy; the same examples every time.
settings.register_profile("hybridq", deadline=None, derandomize=True)
settings.load_profile("hybridq")

# Ray keeps the first token it reads for the whole process, and tests differ in their home folder.
os.environ["RAY_AUTH_MODE"] = "disabled"

IN_MEMORY = Path("/dev/shm")
ROOM = 16 << 30  # bytes; the tests write 6 GB, and each of their processes takes 2 GB

PHANTOM = "phantom,size=16,count=40"

# So little is added to an encoder's weights that every machine ends with the same, to a millionth:
# a usual rate amplifies the last digit of a sum, in which processors and threads differ.
STILL = 1e-9


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """A cache folder of this session: nothing is read from the user's, and nothing left in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.getbasetemp() / "matplotlib"))
        yield


@pytest.fixture(autouse=True)
def _own_log():
    """Every test begins with hybridq's log as it is on import, whatever a command set before it."""
    logger = logging.getLogger("hybridq")

    def reset():
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True

    reset()
    yield
    reset()


def pytest_configure(config):
    """Write to memory what the tests write, where there is plenty: a disk is often waited for."""
    if config.option.basetemp is None and memory_for_files():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


def memory_for_files() -> bool:
    """Whether `IN_MEMORY` takes files, and the memory holds `ROOM` more."""
    try:
        known = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = min(int(known["MemAvailable"].split()[0]) << 10, shutil.disk_usage(IN_MEMORY).free)
    except (OSError, KeyError, ValueError):
        return False  # another system
    allowed = total_memory() or 0  # a container's own limit is not in that file
    return os.access(IN_MEMORY, os.W_OK) and min(free, allowed) >= ROOM


def pytest_collection_finish():
    """Keep what the libraries are made of out of every search for garbage from now on."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # who runs one test alone may need none of them
        for name in HEAVY:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Show what a test printed of names that are no UTF-8 in other signs, for xdist to hand on."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def data_root():
    """The folder of real data sets; the test is skipped where there is none."""
    given = os.environ.get("HYBRIDQ_DATA")
    path = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not (path / "medmnist").is_dir() and not any(path.glob("*.npz")):
        pytest.skip("no real data: set HYBRIDQ_DATA, or put it at ../shared/data")
    return path.resolve()


@pytest.fixture
def isolated(monkeypatch, tmp_path, tmp_path_factory):
    """An empty working folder and home; no account, profile or data from outside."""
    for name in (
        "HYBRIDQ_DATA",
        "HYBRIDQ_PROFILES",
        "QISKIT_IBM_TOKEN",
        "QISKIT_IBM_INSTANCE",
        "QISKIT_IBM_CHANNEL",
        "QISKIT_IBM_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path_factory.getbasetemp() / "matplotlib"))
    monkeypatch.chdir(work)
    return work


@pytest.fixture(scope="session")
def single_thread():
    """One torch thread, so that sums are taken in the same order in every process.

    `make test-machines` sets another number.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("TEST_THREADS", "1")))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def quick_pictures():
    """PNG pictures are drawn small, once, and without the search for the places of their parts.

    That search takes most of the time of an evaluation or a study of a few images. Tests of the
    pictures themselves use `whole_pictures`.
    """
    from matplotlib.figure import Figure

    original = Figure.savefig

    def savefig(self, target, *, format=None, **options):  # noqa: A002  matplotlib's name
        if format == "png":
            self.set_layout_engine("none")
            options = {"dpi": 40}
        original(self, target, format=format, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        yield original


@pytest.fixture
def whole_pictures(quick_pictures, monkeypatch):
    """Pictures as a user gets them."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", quick_pictures)


@contextmanager
def lively_norms():
    """Let batch norm take the statistics of the last batch, as it does after many steps.

    After the few steps of a test it would still have those that it began with; an encoder that is
    read then gives the same features for all images but for the last digit, and every figure made
    of them is that of rounding.
    """
    from torch import nn

    from hybridq.models.encoders.encoder import Encoder

    original = Encoder.__init__

    def lively(self, *args, **kwargs):
        original(self, *args, **kwargs)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "__init__", lively)
        yield


@pytest.fixture
def lively():
    """Encoders that tell images apart after a step, see `lively_norms`."""
    with lively_norms():
        yield


@pytest.fixture
def tree():
    """A function that lists every file and folder below a path, with the bytes of each file."""

    def listing(root):
        return {
            str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
            for path in sorted(Path(root).rglob("*"))
        }

    return listing


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory, single_thread):
    """The run folder of two epochs of SimCLR on 24 images; the same features on every machine."""
    from hybridq.config import PretrainConfig
    from hybridq.training.pretrain import pretrain

    with lively_norms():
        return pretrain(
            PretrainConfig(
                data=PHANTOM,
                runs=tmp_path_factory.mktemp("runs"),
                epochs=2,
                batch_size=8,
                learning_rate=STILL,
            )
        )


@pytest.fixture(scope="session")
def finetuned(tmp_path_factory, single_thread):
    """The run folder of two epochs of a linear head and the whole encoder."""
    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune

    with lively_norms():
        return finetune(
            FinetuneConfig(
                data=PHANTOM,
                runs=tmp_path_factory.mktemp("runs"),
                head=head_config(name="linear"),
                epochs=2,
                batch_size=8,
                learning_rate=STILL,
            )
        )


@pytest.fixture(scope="session")
def finetuned_pqc(tmp_path_factory, pretrained):
    """The run folder of two epochs of a two-qubit head on the frozen `pretrained` encoder."""
    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune

    return finetune(
        FinetuneConfig(
            data=PHANTOM,
            runs=tmp_path_factory.mktemp("runs"),
            encoder=str(pretrained),
            head=head_config(name="pqc", num_qubits=2, num_layers=1, init_std=0.5),
            freeze_encoder=True,
            head_start="random",  # it errs, and pages show mistakes
            epochs=2,
            batch_size=8,
        )
    )


@pytest.fixture(scope="session")
def finetuned_control(tmp_path_factory, pretrained):
    """The run folder of the classical control of `finetuned_pqc`."""
    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune

    return finetune(
        FinetuneConfig(
            data=PHANTOM,
            runs=tmp_path_factory.mktemp("runs"),
            encoder=str(pretrained),
            head=head_config(name="mlp", num_qubits=2, num_layers=1),
            freeze_encoder=True,
            head_start="random",  # it errs, and pages show mistakes
            epochs=2,
            batch_size=8,
        )
    )


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory, finetuned_pqc, finetuned_control):
    """Evaluations of a quantum head and of its control."""
    from hybridq.config import EvaluateConfig
    from hybridq.evaluation.evaluate import evaluate

    runs = tmp_path_factory.mktemp("evaluations")
    return [
        evaluate(EvaluateConfig(run=run, runs=runs, resamples=100))
        for run in (finetuned_pqc, finetuned_control)
    ]


@pytest.fixture(scope="session")
def noise_study_folder(tmp_path_factory, finetuned_pqc, finetuned_control):
    """A noise study of a quantum head at two noise scales."""
    from hybridq.config import NoiseStudyConfig
    from hybridq.studies.noise.study import noise_study

    return noise_study(
        NoiseStudyConfig(
            models=(finetuned_pqc, finetuned_control),
            device="FakeManilaV2",
            noise_scale="0,1",
            shots="none",
            limit=4,
            workers=1,
            runs=tmp_path_factory.mktemp("noise"),
        )
    )


ARMS = ("linear", "mlp", "pqc")


@contextmanager
def few_arms():
    """Let an ablation have three arms on frozen features, and two settings that it searches.

    All of them in every study would take most of the time of the tests.
    """
    from hybridq.studies.ablation import frozen, grid, tables

    every, two = grid.frozen_arms, grid.SETTINGS[1:3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "arms_on", lambda _, config: {a: every(config)[a] for a in ARMS})
        for module in (frozen, tables):
            patch.setattr(module, "SETTINGS", two)
        yield


@pytest.fixture(scope="session")
def ablation_folder(tmp_path_factory, single_thread):
    """An ablation on frozen features, of a few arms."""
    from hybridq.config import AblationStudyConfig
    from hybridq.studies.ablation.study import ablation_study

    with few_arms():
        return ablation_study(
            AblationStudyConfig(
                data=PHANTOM,
                labels="0.5,1",
                seeds=2,
                subsets=2,
                pretrain_epochs=1,
                num_qubits=2,
                num_layers=1,
                steps=2,
                whole=False,
                workers=1,
                runs=tmp_path_factory.mktemp("ablation"),
            )
        )


@pytest.fixture(scope="session")
def submitted(tmp_path_factory, finetuned_pqc):
    """A rehearsed submission with its results."""
    from hybridq.cli.main import main

    runs = tmp_path_factory.mktemp("submissions")
    backend = "ibm_rehearsal,shots=64,resilience_level=0"
    arguments = ("--backend", backend, "--limit", "4", "--wait", "60", "--layout-seeds", "1")
    assert main(["submit", str(finetuned_pqc), *arguments, "--runs", str(runs)]) == 0
    (folder,) = (path for path in (runs / "submit").iterdir() if path.is_dir())
    return folder


@pytest.fixture
def save_npz(tmp_path):
    """Write an `.npz` in MedMNIST's form; keywords replace arrays, None removes one."""

    def write(name="own.npz", *, size=16, classes=2, labels=None, **changes):
        rng = np.random.default_rng(0)
        arrays = {}
        for split, count in (("train", 24), ("val", 12), ("test", 12)):
            images = rng.integers(0, 256, (count, size, size), dtype=np.uint8)
            arrays[f"{split}_images"] = images
            if labels is None:
                arrays[f"{split}_labels"] = (np.arange(count) % classes).astype(np.uint8)[:, None]
            else:
                drawn = rng.random((count, labels)) < 0.4
                drawn[0], drawn[1] = True, False
                arrays[f"{split}_labels"] = drawn.astype(np.uint8)
        arrays.update(changes)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


@pytest.fixture
def save_folder(tmp_path):
    """Write a folder `split/class/*.png`, classes told apart by their brightness."""

    def write(name="cells", *, classes=("dark", "grey", "light"), size=16, counts=(6, 3, 4)):
        rng = np.random.default_rng(1)
        root = tmp_path / name
        for split, count in zip(("train", "val", "test"), counts, strict=True):
            for level, label in enumerate(classes):
                folder = root / split / label
                folder.mkdir(parents=True)
                for index in range(count):
                    low = 40 + 60 * level
                    pixels = rng.integers(low, low + 60, (size, size), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / f"{index}.png")
        return root

    return write
