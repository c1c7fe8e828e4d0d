"""What cannot run on this machine is refused in one line, before anything is read or made."""

from __future__ import annotations

import pytest
import torch

from hybridq.config import (
    AblationStudyConfig,
    ComputeConfig,
    FinetuneConfig,
    NoiseStudyConfig,
    PretrainConfig,
    head_config,
)
from hybridq.data import load_data
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.studies.ablation.study import ablation_study
from hybridq.studies.noise.study import noise_study
from hybridq.training import fit as fit_module
from hybridq.training.compute import BYTES_PER_PIXEL, check_compute, kept_per_pixel
from hybridq.training.finetune import finetune
from hybridq.training.pretrain import pretrain
from hybridq.utils import limits
from hybridq.utils.limits import check_memory, total_memory

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

PHANTOM = "phantom,size=16,count=40"


@pytest.fixture
def small(monkeypatch):
    """A machine of 1 GiB."""
    monkeypatch.setattr(limits, "total_memory", lambda: 2**30)


@pytest.fixture
def nothing_made(isolated, tmp_path, tree):
    before = tree(tmp_path)
    yield
    assert tree(tmp_path) == before


def test_memory_is_the_least_of_machine_and_container(tmp_path, monkeypatch):
    machine = total_memory()
    assert machine > 2**28
    quota = tmp_path / "memory.max"
    monkeypatch.setattr(limits, "CGROUP_FILES", (quota, tmp_path / "none"))
    quota.write_text("max\n")
    assert total_memory() >= machine
    quota.write_text(f"{2**27}\n")
    assert total_memory() == 2**27


def test_what_fits_passes_and_what_does_not_is_told(small):
    check_memory(2**30, "a thing", "lower it")
    with pytest.raises(InvalidValueError, match=r"1\.0 GiB .* got a thing, .* 2\.0 GiB .*: lower"):
        check_memory(2**31, "a thing", "lower it")


def test_what_takes_half_of_the_memory_is_told(small, caplog):
    for share, lines in ((0.4, 0), (0.6, 1)):
        caplog.clear()
        check_memory(int(share * 2**30), "a thing", "lower it", tell=True)
        assert caplog.text.count("a thing takes at least 0.6 GiB of the 1.0 GiB") == lines


@pytest.mark.parametrize(
    "spec", [{}, {"stem": "stride1"}, {"architecture": "resnet18"}], ids=lambda spec: str(spec)
)
def test_the_estimate_is_below_what_the_network_keeps(spec):
    side, kept, seen = 96, 0, set()

    def pack(tensor):
        nonlocal kept
        if tensor.data_ptr() not in seen and not isinstance(tensor, torch.nn.Parameter):
            seen.add(tensor.data_ptr())
            kept += tensor.nbytes
        return tensor

    encoder = Encoder(EncoderSpec(**spec, image_size=side)).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    per_pixel = kept_per_pixel(encoder)
    assert encoder.training
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        encoder(torch.zeros(2, 3, side, side))
    assert 0.7 * kept < 2 * side**2 * per_pixel < kept
    if "architecture" not in spec:  # what is assumed where there is no network yet
        estimate = 2 * side**2 * BYTES_PER_PIXEL * (4 if spec else 1)
        assert 0.8 * kept < estimate < kept


@pytest.mark.usefixtures("small", "nothing_made")
@pytest.mark.parametrize("train", [pretrain, finetune])
def test_steps_that_cannot_fit(train):
    config = PretrainConfig if train is pretrain else FinetuneConfig
    compute = ComputeConfig(accelerator="cpu")
    with pytest.raises(InvalidValueError, match=r"images of 800 pixels.*--batch-size"):
        train(config(data=PHANTOM, image_size=800, compute=compute))


@pytest.mark.usefixtures("small", "nothing_made")
def test_a_whole_network_that_cannot_fit():
    with pytest.raises(InvalidValueError, match="images of 2048 pixels"):
        ablation_study(AblationStudyConfig(data=PHANTOM, labels="1", image_size=2048))


@pytest.mark.usefixtures("small")
def test_data_that_cannot_fit():
    with pytest.raises(InvalidValueError, match="1000000 phantom images of 512 pixels"):
        load_data("phantom,count=1000000,size=512")


@pytest.mark.usefixtures("small", "nothing_made")
def test_workers_that_cannot_fit():
    for study, config in (
        (noise_study, NoiseStudyConfig(workers=200)),
        (ablation_study, AblationStudyConfig(data=PHANTOM, workers=200)),
    ):
        with pytest.raises(InvalidValueError, match="--workers 200"):
            study(config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"devices": "1000000"}, "1000000"),
        ({"devices": "5000"}, "at most .* --devices"),
        ({"devices": "0,"}, "Lightning can use"),
        ({"num_nodes": 1000}, "MASTER_ADDR"),
        ({"precision": "16-true"}, "16-true"),
        ({"precision": "64-true"}, "64-true"),
        ({"strategy": "ddp_spawn"}, "ddp_spawn"),
        ({"strategy": "ddp_fork"}, "ddp_fork"),
        ({"strategy": "fsdp"}, "fsdp"),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("nothing_made")
def test_settings_under_which_no_training_starts(changes, words):
    compute = ComputeConfig(**{"accelerator": "cpu", **changes})
    for train, config in (pretrain, PretrainConfig), (finetune, FinetuneConfig):
        with pytest.raises(InvalidValueError, match=words) as error:
            train(config(data="no such data", compute=compute))
        assert "\n" not in str(error.value)


def test_settings_under_which_trainings_start(monkeypatch):
    for precision in ("32-true", "bf16-mixed", "16-mixed"):
        check_compute(ComputeConfig(accelerator="cpu", precision=precision))
    check_compute(ComputeConfig(accelerator="cpu", devices="2", strategy="ddp"))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    check_compute(ComputeConfig(accelerator="cpu", num_nodes=2))


def test_a_wait_for_other_machines_says_so(monkeypatch, caplog, tmp_path, tree):
    monkeypatch.setenv("MASTER_ADDR", "node-0.example")
    before = tree(tmp_path)

    def never_come(self, *_, **__):
        assert "all 3 machines have come to node-0.example" in caplog.text
        raise torch.distributed.DistStoreError("Timed out after 1 seconds")

    monkeypatch.setattr(fit_module.Trainer, "fit", never_come)
    compute = ComputeConfig(accelerator="cpu", num_nodes=3)
    with caplog.at_level("INFO"), pytest.raises(UnavailableError, match="MASTER_PORT"):
        finetune(FinetuneConfig(data=PHANTOM, head=head_config(name="linear"), compute=compute))
    assert not any(path.endswith(".json") for path in tree(tmp_path).keys() - before.keys())


@pytest.mark.usefixtures("nothing_made")
def test_lists_that_are_too_long():
    many = ",".join(str(entry / 200) for entry in range(1, 150))
    with pytest.raises(InvalidValueError, match="at most 100 entries of --noise-scale, got 149"):
        noise_study(NoiseStudyConfig(noise_scale=many))
    shots = ",".join(map(str, range(1, 101)))
    with pytest.raises(InvalidValueError, match="at most 100000 settings"):
        noise_study(NoiseStudyConfig(shots=shots, repeats=1000))
    with pytest.raises(InvalidValueError, match="at most 20 entries of --labels, got 149"):
        ablation_study(AblationStudyConfig(data=PHANTOM, labels=many))
