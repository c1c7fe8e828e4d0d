"""What a model asks for in two passes is what it asks for at once, bit for bit, for every head."""

from __future__ import annotations

import time

import pytest
import torch

from hybridq.config import FinetuneConfig, head_config
from hybridq.data import load_data
from hybridq.models.heads import HEADS, quantum_heads
from hybridq.quantum.modules import quantum_modules
from hybridq.training.initial import initial_model
from hybridq_backends import Deferred, open_backend
from hybridq_backends.jobs.rate_limit import Clock
from tests.contract.swap_attention import SWAP

PHANTOM = "phantom,size=16,count=20"
IBM = "ibm,device=ibm_loopback,resilience_level=1,shots=64,max_qpu_seconds=10000"


@pytest.fixture(params=[*quantum_heads(), "swap"])
def make(request, monkeypatch, isolated):
    """A function that makes the same model anew, and images."""
    monkeypatch.setitem(HEADS, "swap", SWAP)
    config = FinetuneConfig(
        data=PHANTOM, head=head_config(name=request.param), freeze_encoder=True, image_size=32
    )
    data = load_data(PHANTOM, splits=("train", "val"))

    def made():
        model = initial_model(config, data).eval()
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            for parameter in model.head.parameters():
                parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
        return model, model.encoder.prepare(data.splits["val"].images)

    return made


@pytest.fixture
def hurry(monkeypatch):
    """Let waiting be short, and posts come as fast as they like."""
    monkeypatch.setattr(
        "hybridq_backends.jobs.queue.Clock",
        lambda: Clock(time.time, lambda seconds: time.sleep(min(seconds, 0.05))),
    )
    monkeypatch.setattr("hybridq_backends.jobs.queue.POSTS_PER_MINUTE", None)


def both(make, backend, fresh):
    """The logits at once, and those of a replay whose circuits are run in the same order."""
    found = []
    for _ in range(2):
        fresh()
        model, images = make()
        assert quantum_modules(model.head)
        with open_backend(backend) as opened, torch.inference_mode():
            if not found:
                model.use_backend(opened)
                found.append(model(images))
                continue
            later = Deferred(opened)
            with model.running_on(later):
                model(images)
            later.answer([opened.run(one.prepared, one.rows) for one in later.requests])
            with model.running_on(later):
                found.append(model(images))
    return found


@pytest.mark.parametrize(
    "backend", ["ibm_rehearsal,rehearse=fake_manila,shots=64,seed=3", "fake_manila,shots=64,seed=5"]
)
def test_on_this_machine(make, backend):
    direct, replayed = both(make, backend, lambda: None)
    assert torch.equal(direct, replayed)
    assert direct.isfinite().all()


def test_through_the_client(make, serve, hurry):
    """A server with the same seed each time draws the same shots for the same jobs."""
    direct, replayed = both(make, IBM, lambda: serve(seed=7))
    assert torch.equal(direct, replayed)
