"""The plain loop for a head against Lightning's, and near-duplicates against known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridq.config import FinetuneConfig, head_config
from hybridq.data import ImageSplit, load_data
from hybridq.data.duplicates import near_duplicates
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import load_model
from hybridq.models.heads import build_head
from hybridq.training.finetune import finetune
from hybridq.training.heads.head import head_probs, train_head
from hybridq.training.seeding import derive_seed
from hybridq_backends import open_backend

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=120"


@pytest.mark.parametrize("name", ["linear", "mlp_residual", "pqc"])
def test_loop_is_that_of_finetune(pretrained, name):
    """Same start, order, loss, optimiser and schedule: the weights of a frozen-encoder run."""
    wanted_head = head_config(name=name, num_qubits=2, num_layers=1, init_std=0.3)
    run = finetune(
        FinetuneConfig(
            data=PHANTOM,
            encoder=str(pretrained),
            freeze_encoder=True,
            head_start="random",
            head=wanted_head,
            epochs=3,
            batch_size=32,
            seed=5,
        )
    )
    data = load_data(PHANTOM, splits=("train",))
    train = data.splits["train"]
    assert len(train) == 72  # 2 batches an epoch
    with open_backend("statevector") as backend:
        wanted, _ = load_model(run, backend=backend)
        with torch.inference_mode():
            features = wanted.features(wanted.encoder.prepare(train.images)).clone()
        head = build_head(
            1280,
            2,
            wanted_head,
            backend=backend,
            generator=torch.Generator().manual_seed(derive_seed(5, 1)),
        )
        train_head(
            head,
            features.clone(),
            torch.from_numpy(train.labels),
            num_classes=2,
            steps=6,
            learning_rate=5e-3,
            block_learning_rate=1e-2,
            weight_decay=1e-2,
            seed=5,
        )
        assert not head.training
        for key, value in wanted.head.state_dict().items():
            torch.testing.assert_close(head.state_dict()[key], value, atol=2e-5, rtol=1e-4)
        probs = head_probs(head, features, multilabel=False)
        assert probs.shape == (72, 2)
        assert np.allclose(probs.sum(axis=1), 1)


def test_principal_components_are_those_of_all_train_images(pretrained, caplog):
    """Also of images whose labels are not used; a bottleneck of one value for two is told."""
    config = FinetuneConfig(
        data=PHANTOM,
        encoder=str(pretrained),
        freeze_encoder=True,
        head=head_config(name="identity", num_qubits=1, reducer="pca"),
        labels=0.2,
        epochs=1,
    )
    model, spec = load_model(finetune(config), backend=None)
    assert spec.head.reducer == "pca"
    assert "the bottleneck has 1 value for 2 classes" in caplog.text
    train = load_data(PHANTOM, splits=("train",)).splits["train"]
    with torch.inference_mode():
        features = model.features(model.encoder.prepare(train.images)).double()
    wanted = torch.linalg.svd(features - features.mean(dim=0), full_matrices=False).Vh[0]
    assert abs(float(model.head.reducer.linear.weight[0].double() @ wanted)) > 0.999
    with pytest.raises(InvalidValueError, match="Expected --freeze-encoder with"):
        finetune(config.model_copy(update={"freeze_encoder": False}))


def test_near_duplicates():
    """Brightness and contrast do not matter, a shift does, and one grey is near to nothing."""
    rng = np.random.default_rng(0)
    known = rng.integers(60, 180, (4, 12, 12, 1)).astype(np.uint8)
    same = known[2].copy()
    brighter = (known[1] * 1.2 + 10).astype(np.uint8)
    touched = known[0].copy()
    touched[0, 0] = 255 - touched[0, 0]
    shifted = np.roll(known[3], 1, axis=0)
    grey = np.full((12, 12, 1), 90, dtype=np.uint8)
    asked = np.stack([same, brighter, touched, shifted, grey])

    def split(images):
        return ImageSplit(
            images=images,
            labels=np.zeros(len(images), dtype=np.int64),
            ids=tuple(map(str, range(len(images)))),
        )

    found = near_duplicates(split(asked), split(known), correlation=0.98)
    assert found.tolist() == [True, True, True, False, False]
    assert near_duplicates(split(asked), split(known), correlation=1.0).tolist()[0]
    assert not near_duplicates(split(asked), split(known[:, :10])).any()


def test_near_duplicates_of_breastmnist(data_root):
    """As many as are known: 28 of 156, and none in PneumoniaMNIST."""
    for name, count in (("breastmnist", 28), ("pneumoniamnist", 0)):
        data = load_data(name, data_root=data_root, splits=("train", "test"))
        assert near_duplicates(data.splits["test"], data.splits["train"]).sum() == count
