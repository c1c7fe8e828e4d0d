"""The whole job in a few minutes, on generated images: what `make demo` runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Any

from hybridq.config import (
    DemoConfig,
    EncoderConfig,
    EvaluateConfig,
    FinetuneConfig,
    PretrainConfig,
    head_config,
)
from hybridq.evaluation.evaluate import evaluate
from hybridq.evaluation.tables import interval, table
from hybridq.runs.folder import read_result
from hybridq.training.finetune import finetune
from hybridq.training.pretrain import pretrain
from hybridq.utils.text import percent

logger = logging.getLogger("hybridq")

SOURCE = "phantom,finding=texture,size=32,count=900"
"""The images; of the 540 to train on, `LABELS` have a label for training."""
LABELS = 0.02
FEW = percent(LABELS)
NETWORK = "resnet18"
SIDE = 32
"""The network, and the side of its input in pixels, so that all takes a few minutes."""
BACKENDS = ("statevector", "fake_torino", "ibm_rehearsal")
NAMES = {
    "statevector": "exact simulation",
    "fake_torino": "noise of a device",
    "ibm_rehearsal": "IBM's code path, rehearsed",
}
HEADS = ("linear", "mlp", "pqc")


def demo(config: DemoConfig) -> str:
    """Pretrain, train each head on few labels, evaluate on three backends; return a table."""
    data = f"{SOURCE},seed={config.seed}"
    logger.info("step 1 of 3: SimCLR on all training images, without their labels")
    pretrained = pretrain(
        PretrainConfig(
            data=data,
            runs=config.runs,
            name="demo",
            seed=config.seed,
            encoder=EncoderConfig(name=NETWORK),
            image_size=SIDE,
            epochs=config.pretrain_epochs,
            batch_size=32,
        )
    )
    logger.info("step 2 of 3: a network from scratch, and three heads, on %s of the labels", FEW)
    whole = FinetuneConfig(
        data=data,
        runs=config.runs,
        name="demo-scratch",
        seed=config.seed,
        encoder=EncoderConfig(name=NETWORK),
        image_size=SIDE,
        labels=LABELS,
        epochs=config.epochs,
        batch_size=32,
        head=head_config("linear"),
    )
    scratch = finetune(whole)
    frozen = {"encoder": EncoderConfig(weights=str(pretrained)), "freeze_encoder": True}
    trained = {
        head: finetune(
            whole.model_copy(update={**frozen, "name": f"demo-{head}", "head": head_config(head)})
        )
        for head in HEADS
    }
    logger.info("step 3 of 3: figures on the test images, with three backends for the circuit")
    rows = list(_rows(config, scratch, trained))
    header = ["model", "circuit", "AUC", "balanced accuracy"]
    return "\n".join(
        [
            table(header, rows),
            "",
            f"All are trained on {FEW} of the labels; SimCLR has seen the other training images,",
            "too, without labels. In brackets are 95% stratified-bootstrap intervals over the test",
            "images of one seed. The images are generated: the table shows what the package does,",
            "and is no evidence for or against a quantum layer, whose control is mlp.",
            "",
            "Next, the same as a page with curves, circuits and a model card, and your own images:",
            f"  hybridq report {quote(str(trained['pqc']))} --out report.html",
            "  hybridq finetune --data FOLDER --head pqc   # FOLDER/CLASS/*.png",
        ]
    )


def _rows(config: DemoConfig, scratch: Path, trained: dict[str, Path]) -> Iterator[list[str]]:
    """The rows of the table."""

    def result(run: Path, backend: str = "statevector", *, baselines: bool = False) -> Any:
        asked = EvaluateConfig(
            run=run, runs=config.runs, backend=backend, seed=config.seed, baselines=baselines
        )
        return read_result(evaluate(asked))

    first = result(scratch, baselines=True)
    yield _row("logistic regression on raw pixels", "", first["baselines"]["raw_pixels"])
    yield _row("network from scratch, linear", "", first["model"])
    for head, run in trained.items():
        if head == "pqc":
            for backend in BACKENDS:
                yield _row("SimCLR, pqc", NAMES[backend], result(run, backend)["model"])
        else:
            yield _row(f"SimCLR, {head}", "", result(run)["model"])


def _row(model: str, circuit: str, measured: dict[str, Any]) -> list[str]:
    figures = measured["figures"]
    return [model, circuit, *(interval(figures[name]) for name in ("auc", "balanced_accuracy"))]
