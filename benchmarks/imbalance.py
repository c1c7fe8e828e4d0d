"""Does oversampling of rare classes help on frozen features, and QI-SMOTE more than SMOTE?

    python benchmarks/imbalance.py --data SOURCE --encoder RUN --name NAME [--rare 0.1]

As the paper of QI-SMOTE does (arXiv:2509.02863), five times five folds, with several classifiers:
here on the first eight principal components of an encoder's features of all images of the train and
validation splits; with `--rare` so many of the rarest class are drawn from a seed that this is its
share. In each fold components are fitted to its training images alone, which are then oversampled.
The row to beat is that of class weights. Differences from it are means over the 25 folds, with 95%
intervals that allow for folds which share training images (Nadeau & Bengio, Machine Learning 52
(2003) 239). The table goes to `docs/results/imbalance/NAME.csv`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "imbalance"
COMPONENTS, FOLDS, REPEATS = 8, 5, 5
Floats = NDArray[np.float64]


def ways() -> dict[str, Any]:
    """What is done about rare classes, by name; class weights are no sampler."""
    from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE

    from hybridq.training.balancing.qi_smote import QISMOTE

    return {
        "class weights": None,
        "none": None,
        "SMOTE": SMOTE(random_state=0),
        "Borderline-SMOTE": BorderlineSMOTE(random_state=0),
        "ADASYN": ADASYN(random_state=0, sampling_strategy="not majority"),
        "QI-SMOTE": QISMOTE(random_state=0),
    }


def classifiers(weight: str | None) -> dict[str, Any]:
    """Classifiers by name, with class weights or without."""
    return {
        "logistic regression": LogisticRegression(class_weight=weight, max_iter=1000),
        "random forest": RandomForestClassifier(200, class_weight=weight, random_state=0),
        "support vector machine": SVC(class_weight=weight, random_state=0),
    }


def scores(labels: Any, scored: Floats, predicted: Any) -> dict[str, float]:
    """AUC, balanced accuracy, macro F1 and G-mean."""
    if scored.ndim == 2 and scored.shape[1] == 2:
        scored = scored[:, 1]
    if scored.ndim == 1:
        auc = roc_auc_score(labels, scored)
    else:
        auc = np.mean([roc_auc_score(labels == k, scored[:, k]) for k in range(scored.shape[1])])
    recalls = recall_score(labels, predicted, average=None)
    return {
        "AUC": float(auc),
        "balanced accuracy": float(balanced_accuracy_score(labels, predicted)),
        "F1": float(f1_score(labels, predicted, average="macro")),
        "G-mean": float(np.prod(recalls) ** (1 / len(recalls))),
    }


def interval(differences: Floats) -> tuple[float, float, float]:
    """The mean, and its 95% interval after Nadeau & Bengio, who correct the variance of folds."""
    count, mean = len(differences), float(differences.mean())
    spread = np.sqrt((1 / count + 1 / (FOLDS - 1)) * differences.var(ddof=1))
    half = float(student.isf(0.025, count - 1) * spread)
    return mean, mean - half, mean + half


def made_rare(labels: Any, share: float | None, seed: int) -> Any:
    """The rows that stay where the rarest class is to have a share."""
    if share is None:
        return np.arange(len(labels))
    rarest = int(np.bincount(labels).argmin())
    own = np.flatnonzero(labels == rarest)
    others = np.flatnonzero(labels != rarest)
    count = round(share / (1 - share) * len(others))
    if count > len(own):
        raise SystemExit(
            f"Expected --rare of at most {len(own) / len(labels):.3f}, which the rarest class has, "
            f"got {share}: lower it."
        )
    kept = np.random.default_rng(seed).permutation(own)[:count]
    return np.sort(np.concatenate([kept, others]))


def measured(features: Floats, labels: Any) -> dict[tuple[str, str], dict[str, Floats]]:
    """Figures of every fold by way and classifier."""
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0)
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for train, test in folds.split(features, labels):
        scaler = StandardScaler().fit(features[train])
        pca = PCA(COMPONENTS, whiten=True, random_state=0).fit(scaler.transform(features[train]))
        reduce: Callable[[Floats], Floats] = lambda rows, s=scaler, p=pca: p.transform(  # noqa: E731
            s.transform(rows)
        )
        rows, others = reduce(features[train]), reduce(features[test])
        for way, sampler in ways().items():
            made = (rows, labels[train])
            if sampler is not None:
                made = sampler.fit_resample(*made)
            weight = "balanced" if way == "class weights" else None
            for name, model in classifiers(weight).items():
                model.fit(*made)
                scored = (
                    model.decision_function(others)
                    if hasattr(model, "decision_function")
                    else model.predict_proba(others)
                )
                own = scores(labels[test], scored, model.predict(others))
                found.setdefault((way, name), []).append(own)
    return {
        key: {figure: np.array([one[figure] for one in own]) for figure in own[0]}
        for key, own in found.items()
    }


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--rare", type=float)
    args = parser.parse_args()
    from hybridq.data import load_data
    from hybridq.evaluation.features import image_features
    from hybridq.models.encoders.file import load_encoder
    from hybridq.utils.files import write_csv

    splits = load_data(args.data, data_root=args.data_root, splits=("train", "val")).splits
    encoder = load_encoder(args.encoder).eval()
    labels = np.concatenate([one.labels for one in splits.values()])
    every = [image_features(encoder, one.images).numpy() for one in splits.values()]
    kept = made_rare(labels, args.rare, seed=0)
    features, labels = np.concatenate(every).astype(np.float64)[kept], labels[kept]
    print(f"{len(labels)} images, of each class {np.bincount(labels).tolist()}", flush=True)
    found = measured(features, labels)
    rows = []
    for (way, name), figures in found.items():
        for figure, values in figures.items():
            mean, low, high = interval(values - found["class weights", name][figure])
            rows.append(
                [way, name, figure, *(round(one, 4) for one in (values.mean(), mean, low, high))]
            )
    OUT.mkdir(exist_ok=True)
    header = ["way", "classifier", "figure", "mean", "difference", "low", "high"]
    write_csv(OUT / f"{args.name}.csv", header, rows)
    for row in rows:
        print(" | ".join(map(str, row)))


if __name__ == "__main__":
    main()
