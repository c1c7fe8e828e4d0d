"""A kernel head as jobs: each test image beside each support vector."""

from __future__ import annotations

import csv
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridq.cli import main as cli
from hybridq.config import FinetuneConfig
from hybridq.models.checkpoint import load_model
from hybridq.submissions.plan.submission import Images
from hybridq.training.finetune import finetune
from tests.forks import Fork

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=360"
SHOTS = 500
BACKEND = f"ibm,resilience_level=0,shots={SHOTS},mode=job"


def trained():
    head = {"name": "qkernel", "kernels": "angle", "num_qubits": 2, "support": 40}
    return finetune(
        FinetuneConfig(
            data=PHANTOM, image_size=32, head={**head, "bandwidth": 1.0}, freeze_encoder=True
        )
    )


def test_forty_support_vectors_and_fifty_images_survive_a_kill(serve, capsys):
    run = trained()
    with torch.inference_mode():
        model, _ = load_model(run, backend="statevector")
        head = model.head
        assert len(head.support) == 40
        server = serve(ideal=True)
        words = ("submit", str(run), "--backend", BACKEND, "--limit", "50", "--yes")
        assert cli.main([*words, "--dry-run"]) == 0
        plan = capsys.readouterr().out
        assert "40: 2,000 of 2,000 circuits compare an image with one of them" in plan
        assert "--head.support 20` would save 1,000, about " in plan
        assert "2000 circuits to run" in plan
        assert "QPU time" in plan
        options = (*words, "--job-executions", "250000", "--posts-per-minute", "1000")
        process = Fork(*options, "--settle-seconds", "1.5")
        while process.poll() is None and len(server.accepted) < 2:
            time.sleep(0.001)
        assert process.poll() is None, process.communicate(timeout=60)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        (folder,) = Path("runs/submit").iterdir()
        assert cli.main([*options, "--settle-seconds", "1.5", "--wait", "120"]) == 0
        assert [folder] == list(Path("runs/submit").iterdir())
        tags = [job.tags[0] for job in server.accepted]
        assert len(tags) == len(set(tags)) == 4
        with (folder / "predictions" / "device.csv").open(newline="") as file:
            probs = np.array([float(row["prob_1"]) for row in csv.DictReader(file)])
        images = Images.load(folder)
        assert images.ideal.shape == (2000, 1)
        exact = head(torch.from_numpy(images.features))[:, 1].numpy()
        kernel = images.ideal[:, 0].reshape(50, 40)
        spread = np.sqrt((kernel * (1 - kernel)) @ head.alpha.numpy() ** 2 / SHOTS)[:, 0]
        spread *= float(head.slope)
        off = np.log(probs / (1 - probs)) - exact
        assert (np.abs(off) < 5 * spread + 1e-4).all()
        assert off.std() > 0.3 * spread.mean()  # shots, and not the exact values
