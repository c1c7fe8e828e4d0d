"""Folders of runs and of an ablation as their commands write them, without any training."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from hybridq.config import FinetuneConfig, PretrainConfig
from hybridq.models.checkpoint import ModelSpec
from hybridq.models.encoders.encoder import EncoderSpec
from hybridq.records.findings import Findings
from hybridq.reports.sources.sources import Source, Sources
from hybridq.studies.ablation.findings import findings
from hybridq.submissions.findings import submission_findings
from hybridq.utils.files import write_json

CLASSES = ["malignant", "benign"]
BUDGETS = {0.1: "10% of the labels", 1.0: "all labels"}


@pytest.fixture
def make_source(tmp_path):
    """A function that makes a source; training runs have the defaults of what is not given."""
    made = []

    def make(kind, *, name=None, result=None, findings=None, **config):
        folder = tmp_path / (name or f"{kind.replace(' ', '-')}-{len(made)}")
        folder.mkdir(exist_ok=True)
        if kind in ("pretrain", "finetune"):
            model = {"pretrain": PretrainConfig, "finetune": FinetuneConfig}[kind]
            config = model.model_validate(config).model_dump(mode="json")
        if kind == "finetune":
            weights = config["encoder"]["weights"]
            if weights not in ("none", "imagenet"):
                weights = "simclr on cells"
            write_json(
                folder / "model" / "config.json",
                ModelSpec(
                    encoder=EncoderSpec(weights=weights), head=config["head"], task="binary",
                    class_names=tuple(CLASSES), positive=0, data="cells", data_licence="none",
                    labels=config["labels"], backend="statevector", seed=config["seed"],
                ).model_dump(mode="json"),
            )  # fmt: skip
            (folder / "model" / "model.safetensors").write_bytes(b"")
        if findings is None and kind == "submit":
            findings = submission_findings(result)
        found = findings or Findings()
        source = Source(f"S{len(made) + 1}", kind, folder, config, {}, result or {}, found)
        made.append(source)
        return source

    make.all = lambda: Sources(tuple(made))
    return make


@pytest.fixture
def make_evaluation(make_source):
    """A function that makes an evaluation with predictions on 40 images."""

    def make(run, *, auc=0.8, head="pqc", labels=1.0, seed=0, **more):
        rng = np.random.default_rng(seed)
        actual = np.repeat([0, 1], 20)
        score = np.clip(0.5 + (0.25 - 0.5 * actual) + rng.normal(0, 0.3, 40), 0.01, 0.99)
        figure = {"value": auc, "low": auc - 0.1, "high": auc + 0.1}
        rate = {"value": 0.7 + 0.01 * seed, "low": 0.5, "high": 0.9}
        result = {
            "data": "cells",
            "split": "test",
            "labels": labels,
            "train_seed": seed,
            "head": head,
            "encoder_weights": "simclr on cells",
            "class_names": CLASSES,
            "positive": "malignant",
            "model": {
                "threshold": 0.5,
                "figures": {"auc": figure, "sensitivity": rate, "specificity": rate},
            },
            "baselines": {},
            "backend": {"name": "statevector"},
            "run": str(run),
            "views": "one",
        } | more
        source = make_source("evaluate", result=result, run=str(run), seed=99)
        (source.folder / "predictions").mkdir()
        with (source.folder / "predictions" / "test.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "label", "prob_0", "prob_1"])
            writer.writerows(
                [f"i{k}", actual[k], repr(float(score[k])), repr(float(1 - score[k]))]
                for k in range(40)
            )
        return source

    return make


def comparison(**changes):
    """A comparison, as an ablation's `verdicts` gives it."""
    labels = changes.get("labels", 1.0)
    return {
        "labels": labels,
        "budget": BUDGETS[labels],
        "family": "circuit",
        "primary": True,
        "topic": "quantum layer",
        "question": "does the circuit beat its matched control",
        "a": "simclr-pqc",
        "b": "simclr-mlp",
        "value_a": 0.9,
        "value_b": 0.8,
        "difference": 0.1,
        "low": 0.02,
        "high": 0.18,
        "p_holm": 0.2,
        "p_equivalence_holm": 0.0001,
        "hedges_g": 0.8,
        "family_size": 4,
        "verdict": "undecided",
        "images_needed": 390,
        "seeds_needed": None,
        "words": "undecided, about 390 test images would decide it (AUC +0.100; p = 0.200)",
    } | changes


@pytest.fixture
def make_ablation(make_source):
    """A function that makes an ablation of two models, three seeds and 40 test images."""

    def make(name, *, comparisons=None, positive="malignant", **config):
        compared = [comparison()] if comparisons is None else comparisons
        result = ablation_result(compared, positive)
        config = {"data": "breastmnist", "seed": 0, **config}
        rows, summary, arrays = ablation_tables()
        found = findings(result, rows, summary, compared)
        source = make_source("study ablation", name=name, result=result, findings=found, **config)
        np.savez(source.folder / "predictions.npz", **arrays)
        return source

    return make


def ablation_result(compared, positive="malignant"):
    """What `result.json` says of an ablation with these comparisons."""
    return {
        "data": "cells",
        "images": 40,
        "seeds": 3,
        "subsets": 4,
        "kinds": ["simclr"],
        "primary": ["circuit"],
        "margin": 0.02,
        "labels": [0.1, 1.0],
        "class_names": CLASSES,
        "positive": positive,
        "notes": [],
        "verdicts": Counter(item["verdict"] for item in compared),
        "primary_verdicts": Counter(item["verdict"] for item in compared if item["primary"]),
    }


def ablation_tables():
    """The rows of `ablation.csv` and `summary.csv`, and the arrays of `predictions.npz`."""
    rng = np.random.default_rng(1)
    actual = np.repeat([0, 1], 20)
    rows, summary = [], []
    arrays = {
        "labels": actual,
        "ids": np.array([f"i{k}" for k in range(40)]),
        "class_names": np.array(CLASSES),
    }
    for model in ("simclr-pqc", "simclr-mlp"):
        for labels in (0.1, 1.0):
            scores = np.clip(0.7 - 0.4 * actual + rng.normal(0, 0.25, (3, 40)), 0.01, 0.99)
            arrays[f"{labels:g}/{model}"] = np.stack([scores, 1 - scores], axis=2)
            own = {"model": model, "labels": labels, "budget": BUDGETS[labels]}
            sizes = {"parameters": 10, "circuit_parameters": 2, "train_images": round(100 * labels)}
            chosen = {"subsets": 4, "threshold": 0.5, "without_threshold": 0}
            rows += [{**own, **sizes, **chosen, "seed": seed} for seed in range(3)]
            ends = {"mean": 0.8, "low": 0.7, "high": 0.9}
            over = {"over": "encoders, subsets and test images"}
            summary += [{**own, **ends, **over, "figure": name} for name in ("auc", "accuracy")]
    return rows, summary, arrays
