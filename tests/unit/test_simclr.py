"""NT-Xent against Algorithm 1 of arXiv:2002.05709, and over two processes against one."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from hybridq.models.ssl.simclr import SimCLR


def algorithm_1(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """The loss of the paper, written out: z_{2k-1}, z_{2k} are the views of image k."""
    count = len(first)
    z = np.empty((2 * count, first.shape[1]))
    z[0::2], z[1::2] = first, second
    s = [
        [zi @ zj / (np.linalg.norm(zi) * np.linalg.norm(zj)) for j, zj in enumerate(z)]
        for i, zi in enumerate(z)
    ]

    def ell(i: int, j: int) -> float:
        below = sum(math.exp(s[i][k] / temperature) for k in range(2 * count) if k != i)
        return -math.log(math.exp(s[i][j] / temperature) / below)

    total = sum(ell(2 * k, 2 * k + 1) + ell(2 * k + 1, 2 * k) for k in range(count))
    return total / (2 * count)


class Vectors(nn.Module):
    """A backbone that hands on the first pixels of its images, and counts its calls."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.batches: list[int] = []

    def forward(self, images):
        self.batches.append(len(images))
        return images.flatten(1)[:, : self.size]


def plain(temperature: float, size: int) -> SimCLR:
    """SimCLR whose projection is the identity."""
    model = SimCLR(
        Vectors(size),
        in_features=size,
        hidden_dim=size,
        projection_dim=size,
        temperature=temperature,
        batch_norm=False,
    )
    model.projection = nn.Identity()
    return model


def as_images(vectors: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(vectors)[:, :, None, None]


@pytest.mark.parametrize("temperature", [0.1, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_loss_is_that_of_algorithm_1(count, temperature):
    rng = np.random.default_rng(count)
    first, second = rng.standard_normal((2, count, 5)) * [[[3.0]], [[0.2]]]
    loss = plain(temperature, 5)((as_images(first), as_images(second)))
    assert loss.item() == pytest.approx(algorithm_1(first, second, temperature), abs=1e-9)


@pytest.mark.parametrize("count", [2, 5, 16])
def test_identical_embeddings_give_the_log_of_the_number_of_others(count):
    """Every similarity is 1, so each of the 2n - 1 others is as likely: log(2n - 1)."""
    ones = as_images(np.ones((count, 4)))
    method = plain(0.2, 4)
    loss = method((ones, ones))
    assert loss.item() == pytest.approx(math.log(2 * count - 1), abs=1e-9)
    assert method.chance(count) == pytest.approx(loss.item(), abs=1e-9)


def test_orthogonal_images_reach_the_closed_form():
    """Positives at similarity 1, all 2n - 2 negatives at 0."""
    count, temperature = 4, 0.5
    basis = as_images(np.eye(count))
    expected = -1 / temperature + math.log(math.exp(1 / temperature) + 2 * count - 2)
    assert plain(temperature, count)((basis, basis)).item() == pytest.approx(expected, abs=1e-9)


def test_the_loss_does_not_see_the_length_of_embeddings():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 4, 5))
    model = plain(0.2, 5)
    short = model((as_images(first), as_images(second)))
    long = model((as_images(7 * first), as_images(0.1 * second)))
    assert short.item() == pytest.approx(long.item(), abs=1e-9)


def test_both_views_pass_in_one_forward():
    """Batch norm has to see both views, so the backbone is called once with 2n images."""
    model = SimCLR(Vectors(6), in_features=6, hidden_dim=8, projection_dim=4, temperature=0.2)
    projected: list[int] = []
    model.projection.register_forward_hook(lambda _m, args, _out: projected.append(len(args[0])))
    views = (torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4))
    model(views).backward()
    assert model.backbone.batches == [10]
    assert projected == [10]


def test_the_projection_head_is_that_of_the_paper():
    """Two layers with a ReLU between (section 4.2), 128 wide at its end."""
    model = SimCLR(Vectors(6), in_features=6, hidden_dim=8, projection_dim=4, temperature=0.2)
    linear = [m for m in model.projection.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(6, 8), (8, 4)]
    assert any(isinstance(m, nn.BatchNorm1d) for m in model.projection.modules())
    assert any(isinstance(m, nn.ReLU) for m in model.projection.modules())


# Two processes.


class Small(nn.Module):
    """A backbone without batch norm, in double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4 * 36, 6)
        )

    def forward(self, images):
        return self.layers(images)


def small_model() -> SimCLR:
    torch.manual_seed(0)
    return SimCLR(
        Small(), in_features=6, hidden_dim=8, projection_dim=5, temperature=0.2, batch_norm=False
    ).double()


def two_views() -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.randn(
        2, 6, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    return first, second


def flat_gradient(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


WORKER = """
import importlib.util, sys, torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

source, folder, rank = sys.argv[1], sys.argv[2], int(sys.argv[3])
spec = importlib.util.spec_from_file_location("oracle", source)
oracle = importlib.util.module_from_spec(spec)
spec.loader.exec_module(oracle)
torch.set_num_threads(1)
init = f"file://{folder}/store"
distributed.init_process_group("gloo", init_method=init, rank=rank, world_size=2)
own = slice(rank * 3, rank * 3 + 3)
found = {}
for name in ("apart", "gathered"):
    model = oracle.small_model()
    if name == "gathered":
        model.gather_views()
    parallel = DistributedDataParallel(model)
    loss = parallel(tuple(view[own] for view in oracle.two_views()))
    loss.backward()
    found[name] = {"loss": loss.detach(), "gradient": oracle.flat_gradient(model)}
torch.save(found, f"{folder}/{rank}.pt")
distributed.barrier()
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What each of two processes computes on its half of the batch."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "worker.py").write_text(WORKER)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    workers = [
        subprocess.Popen(
            [sys.executable, folder / "worker.py", __file__, folder, str(rank)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [worker.communicate(timeout=240)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(errors)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_give_the_loss_and_gradient_of_one(two_processes):
    model = small_model()
    loss = model(two_views())
    loss.backward()
    expected = flat_gradient(model)
    assert expected.norm() > 1e-3
    ranks = [rank["gathered"] for rank in two_processes]
    mean = torch.stack([rank["loss"] for rank in ranks]).mean()
    assert mean.item() == pytest.approx(loss.item(), abs=1e-6)
    for rank in ranks:  # DDP has averaged the gradients already
        torch.testing.assert_close(rank["gradient"], expected, rtol=0, atol=1e-6)


def test_without_gathering_two_processes_differ_from_one(two_processes):
    """The test above can fail: fewer negatives give another loss."""
    mean = torch.stack([rank["apart"]["loss"] for rank in two_processes]).mean()
    assert abs(mean.item() - small_model()(two_views()).item()) > 1e-3
