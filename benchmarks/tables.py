"""Tables of numbers, shrunk, and classifiers trained on the few rows: ``python -m benchmarks.tables``.

Nothing is chosen on test rows: every sampler has its defaults, the methods that make rows 200 steps.
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from attar.sklearn import CoresetSampler, DistilledSampler

SPLITS = 3
STEPS = 200
TABLES = {"digits": load_digits, "breast cancer": load_breast_cancer}
SAMPLERS = {
    "random rows": CoresetSampler("random"),
    "rows nearest to k-means centres": CoresetSampler("kmeans"),
    "`kmeans`, the centres": DistilledSampler("kmeans"),
    "`dm`": DistilledSampler("dm", steps=STEPS),
    "`datadam`": DistilledSampler("datadam", steps=STEPS),
    "`kip`": DistilledSampler("kip", steps=STEPS),
}


def scores(x: np.ndarray, y: np.ndarray, test: np.ndarray, truth: np.ndarray, scaler: StandardScaler) -> list[float]:
    """Accuracies in per cent of three classifiers on test rows, all rows scaled by what the full data says."""
    models = (
        LogisticRegression(max_iter=2000),
        SVC(),
        MLPClassifier((100,), max_iter=500, random_state=0),
    )
    return [100 * model.fit(scaler.transform(x), y).score(scaler.transform(test), truth) for model in models]


def cells(found: list[list[float]]) -> str:
    """Means and standard deviations over splits."""
    means, spreads = np.mean(found, 0), np.std(found, 0, ddof=1)
    return " | ".join(f"{mean:.1f} ± {spread:.1f}" for mean, spread in zip(means, spreads, strict=True))


def main() -> None:
    """Print the table in Markdown as it comes."""
    print("| table | rows a class | by | logistic regression | SVM | MLP | seconds |\n|---|---|---|---|---|---|---|")
    for name, load in TABLES.items():
        x, y = load(return_X_y=True)
        parts = [train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y) for seed in range(SPLITS)]
        scalers = [StandardScaler().fit(part[0]) for part in parts]
        full = [scores(a, ya, b, yb, scaler) for (a, b, ya, yb), scaler in zip(parts, scalers, strict=True)]
        print(f"| {name} | all | full data | {cells(full)} | |", flush=True)
        for per_class in (1, 5):
            for title, sampler in SAMPLERS.items():
                found, spent = [], 0.0
                for seed, ((a, b, ya, yb), scaler) in enumerate(zip(parts, scalers, strict=True)):
                    sampler.set_params(per_class=per_class, random_state=seed)
                    start = time.perf_counter()
                    few, labels = sampler.fit_resample(a, ya)
                    spent += time.perf_counter() - start
                    found.append(scores(few, labels, b, yb, scaler))
                print(f"| {name} | {per_class} | {title} | {cells(found)} | {spent / SPLITS:.1f} |", flush=True)


if __name__ == "__main__":
    main()
