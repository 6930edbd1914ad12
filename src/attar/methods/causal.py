"""Rows of a table from which targets are predicted, and of which each column is what its causes make of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from attar.causal.independence import TestName
from attar.distances import neural_kernel
from attar.matching import Matching
from attar.methods.kernel_ridge import form_of_labels
from attar.objectives import FeatureMatch, Mechanisms, Objective, RidgeMatch, WeightedSum
from attar.selection import InitialName
from attar.selection import named as starting_values
from attar.surrogates import FixedKernel, Fresh, Source
from attar.synthetic import TableRows
from attar.training.optimisers import Adam
from attar.types import AttarError
from attar.views import Uniform

__all__ = ["causal"]


def causal(
    weight: float = 10.0,
    graph: Sequence[str] = (),
    prediction: Literal["ridge", "features"] = "ridge",
    statistics: float = 1.0,
    moments: bool = True,
    features: int = 64,
    ridge: float = 1e-3,
    test: Literal["fisher_z", "g2", "kernel", ""] = "",
    order: int | None = None,
    kernel: str = "ntk-3",
    jitter: float = 1e-3,
    model: str = "mlp",
    lr: float = 0.005,
    lr_weights: float = 0.005,
    batch: int = 1024,
    labels: Literal["hard", "learned"] = "learned",
    weights: Literal["learned", "equal"] = "learned",
    initial: InitialName = "kmeans",
    preserve: Sequence[str] = (),
) -> Matching:
    """Learned rows of a table of any columns, which predict the target and keep what each column does given its causes.

    ``min_S prediction + weight (mean_v E |(C_real - C_S) phi(pa_v)|^2 / V_v + statistics G)``, C the kernel conditional mean embedding
    of a column v given its parents in a causal graph, G the gap between correlations.

    Args:
        weight: of what keeps mechanisms, beside the prediction; 0 for none of them, and with moments=False for prediction alone.
        graph: edges as cause->effect; none for a graph that pc discovers on the training rows.
        prediction: "ridge" of kip, kernel ridge regression on the rows predicts the real ones; or "features" of dm, of random networks.
        statistics: of the gap between correlations of columns and of their waves, beside the mechanisms; 0 for without.
        moments: at the end, change rows as little as need be until means and covariances are those of the training rows, which keeps
            every Fisher-z test whatever the weight.
        features: random features of a column's parents.
        ridge: penalty of the regression on these.
        test: of pc, where it discovers the graph; the one that suits the columns where none is given.
        order: the most columns that pc's tests are given; where none is said, 2 of kernel tests and all of others.
        kernel: of the ridge regression that predicts, as of kip.
        jitter: its penalty, as a share of the mean of the kernel's diagonal.
        model: name of the networks of "features".
        lr: step size of Adam, on the rows and on learned labels.
        lr_weights: step size of Adam on the logarithms of the weights.
        batch: real rows a step.
        labels: "learned" learns the target beside the other columns; "hard" keeps those of the rows to start from, as "features" do.
        weights: of the rows, "learned" or "equal".
        initial: where the rows start.
        preserve: pairs of columns as one--other whose correlations `statistics` counts; none for those of all pairs.

    Returns:
        The method; a step is one batch.

    Reference:
        attar's own; the embedding as in Song, Huang, Smola, Fukumizu, ICML 2009, the prediction as in kip or dm.
    """
    if not weight >= 0:
        raise AttarError(f"weight={weight} is no weight of mechanisms: give 0 or more.")
    if preserve and not weight:
        raise AttarError(
            "preserve=... names correlations that are matched beside the mechanisms, and weight=0 matches neither: give a weight, or leave "
            "preserve out."
        )
    predicts, surrogates = _prediction(prediction, kernel, jitter, model)
    keeps = Mechanisms(
        tuple(graph),
        features,
        ridge,
        statistics=statistics,
        moments=moments,
        test=_named(test),
        order=order,
        preserve=tuple(preserve),
    )
    return Matching(
        name="causal",
        objective=WeightedSum((predicts, keeps), (1.0, weight)) if weight or moments else predicts,
        surrogates=surrogates,
        optimisers={"data": Adam(lr), "labels": Adam(lr), "weights": Adam(lr_weights)},
        synthetic=TableRows(weights),
        initial=starting_values(initial),
        augmentation="",
        labels=form_of_labels(labels if prediction == "ridge" else "hard"),
        real_rows=Uniform(batch),
    )


def _prediction(name: str, kernel: str, jitter: float, model: str) -> tuple[Objective, Source]:
    """What keeps the target predictable, and whose eyes judge that."""
    if name == "ridge":
        return RidgeMatch(jitter), FixedKernel(neural_kernel(kernel))
    if name == "features":
        return FeatureMatch(), Fresh(model)
    raise AttarError(f"There is no prediction '{name}': give ridge or features.")


def _named(test: Any) -> TestName | None:
    return test or None
