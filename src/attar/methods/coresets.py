"""Coresets: rows of the data itself, or centres of them. Direct methods, and the baseline that every other owes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Unpack

import torch

from attar.distilled import Distilled
from attar.selection.clusters import centroids, class_centroids, medoids, ward
from attar.selection.coreset import Choice, Coreset, as_distilled
from attar.selection.features import Features
from attar.selection.geometry import herding as herded
from attar.selection.geometry import k_center as farthest_first
from attar.selection.rules import AtRandom, ByDifficulty, ByFeatures, ByGradients
from attar.selection.submodular import facility_location as covering
from attar.selection.submodular import graph_cut as cutting
from attar.types import AttarError, Budget, Problem

__all__ = [
    "Centroids",
    "agglomerative",
    "craig",
    "el2n",
    "facility_location",
    "forgetting",
    "glister",
    "grand",
    "graph_cut",
    "herding",
    "k_center",
    "kmeans",
    "random",
]

Preference = Literal["hard", "easy", "middle"]


@dataclass(frozen=True)
class Centroids:
    """The means of clusters; see `kmeans` and `agglomerative`."""

    name: str = "kmeans"
    weighted: bool = False

    def finish(self, problem: Problem, budget: Budget, generator: torch.Generator) -> Distilled:
        clusters = ward if self.name == "agglomerative" else centroids
        sizes: list[torch.Tensor] | None = [] if self.weighted else None
        centres, labels = class_centroids(problem, budget, generator, clusters=clusters, sizes=sizes)
        rows = problem.train.take(torch.tensor([], dtype=torch.long)).to("cpu")
        blank = {"weight": None, "attribute": None, "views": None}
        rows = rows.replace(x=centres, y=None if problem.train.y is None else labels, **blank)
        if sizes is not None:
            held = torch.cat(sizes).clamp(min=1)  # a centre that others stand nearer to than all rows, is one row
            rows = rows.replace(weight=(held * len(held) / held.sum()).to(centres.dtype))
        return as_distilled(problem, rows)


def random(**choice: Unpack[Choice]) -> Coreset:
    """Real rows, drawn uniformly without replacement within each class.

    Args:
        choice: see `attar.selection.Choice`.

    Returns:
        The method.

    Example:
        >>> value = attar.distill(attar.methods.random(), problem, attar.Budget(per_class=2)).value
        >>> [row["reason"] for row in value.selected][:1]
        ['drawn at random']
    """
    return Coreset(AtRandom(), "random", **choice)


def kmeans(
    centres: Literal["centroids", "medoids"] = "centroids",
    features: Features = "values",
    epochs: int = 5,
    **choice: Unpack[Choice],
) -> Centroids | Coreset:
    """k-means within each class.

    Args:
        centres: "centroids" are means of real rows, on normalised values; "medoids" are the real rows nearest to them.
        features: what medoids are found in: "values", a network's name, a .npy or .npz file or a function.
        epochs: passes that such a network is trained for.
        choice: of medoids, see `attar.selection.Choice`.

    Returns:
        The method.

    Raises:
        AttarError: if more is asked of centroids, which are no rows.

    Reference:
        Sculley: Web-Scale K-Means Clustering, WWW 2010 (mini-batch k-means).
    """
    if centres == "medoids":
        return Coreset(ByFeatures(medoids, features, epochs, draws=True), "kmeans", **choice)
    if centres != "centroids":
        raise AttarError(f"centres='{centres}' are none of k-means: give centroids or medoids.")
    trained = {"features": features != "values", "epochs": epochs != 5}
    asked = [name for name, value in {**trained, **choice}.items() if value and name != "weighted"]
    if asked:
        raise AttarError(
            f"Centroids are means and no rows of the data, so {asked[0]}= says nothing: use centres='medoids'."
        )
    return Centroids(weighted=bool(choice.get("weighted")))


def agglomerative(weighted: bool = False) -> Centroids:
    """Clusters within each class, merged one by one by Ward's criterion; their means are the set.

    The strongest baseline of tables in a published comparison, beside k-means.

    Args:
        weighted: weigh each mean by the rows that are nearest to it.

    Returns:
        The method.

    Reference:
        Ward: Hierarchical grouping to optimize an objective function, JASA 1963; as a distiller of tables in Kang et al.:
        Dataset Distillation of Tabular Data with Column Embeddings (TDColER), arXiv 2501.13905, 2025.
    """
    return Centroids("agglomerative", weighted)


def herding(features: Features = "values", epochs: int = 5, **choice: Unpack[Choice]) -> Coreset:
    """Rows whose running mean stays nearest to the mean of all.

    ``i_t = argmin_i | mu - (x_i + sum_{s<t} x_{i_s}) / t |``

    Args:
        features: what rows are compared by: "values", a network's name, a .npy or .npz file or a function.
        epochs: passes that such a network is trained for.
        choice: see `attar.selection.Choice`.

    Returns:
        The method.

    Reference:
        Welling: Herding Dynamical Weights to Learn, ICML 2009; as used for exemplars in iCaRL (Rebuffi et al., CVPR 2017).
    """
    return Coreset(ByFeatures(herded, features, epochs), "herding", **choice)


def k_center(
    start: Literal["mean", "random"] = "mean",
    features: Features = "values",
    epochs: int = 5,
    **choice: Unpack[Choice],
) -> Coreset:
    """Farthest first: each next row is the one farthest from all that were chosen, within twice the best radius.

    Args:
        start: the first row: the one nearest to the "mean", or a "random" one.
        features: what rows are compared by: "values", a network's name, a .npy or .npz file or a function.
        epochs: passes that such a network is trained for.
        choice: see `attar.selection.Choice`.

    Returns:
        The method.

    Reference:
        Gonzalez: Clustering to minimize the maximum intercluster distance, 1985; Sener, Savarese: Active Learning for
        Convolutional Neural Networks: A Core-Set Approach, ICLR 2018.
    """
    if start not in ("mean", "random"):
        raise AttarError(f"start='{start}' is no first row: give mean or random.")
    return Coreset(ByFeatures(farthest_first, features, epochs, draws=start == "random"), "k_center", **choice)


def facility_location(
    greedy: Literal["exact", "stochastic"] = "exact",
    features: Features = "values",
    epochs: int = 5,
    **choice: Unpack[Choice],
) -> Coreset:
    """Rows to which all others are most similar: greedy ``max sum_i max_{j in S} similarity(i, j)``.

    Args:
        greedy: "exact" is the greedy choice itself, lazily; "stochastic" looks at a sample of the rows to be covered.
        features: what rows are compared by: "values", a network's name, a .npy or .npz file or a function.
        epochs: passes that such a network is trained for.
        choice: see `attar.selection.Choice`.

    Returns:
        The method.

    Reference:
        Mirzasoleiman et al.: Lazier Than Lazy Greedy, AAAI 2015; Minoux: Accelerated greedy algorithms, 1978.
    """
    if greedy not in ("exact", "stochastic"):
        raise AttarError(f"greedy='{greedy}' is no search: give exact or stochastic.")
    return Coreset(
        ByFeatures(covering, features, epochs, {"greedy": greedy}, draws=True), "facility_location", **choice
    )


def graph_cut(
    trade_off: float | None = None, features: Features = "values", epochs: int = 5, **choice: Unpack[Choice]
) -> Coreset:
    """Rows that are similar to all others and unlike one another.

    Args:
        trade_off: weight of the similarity among the chosen rows, which is taken off; None for rows / (2 chosen), at which
            the two sums weigh alike.
        features: what rows are compared by: "values", a network's name, a .npy or .npz file or a function.
        epochs: passes that such a network is trained for.
        choice: see `attar.selection.Choice`.

    Returns:
        The method.

    Reference:
        Iyer, Khargoankar, Bilmes, Asnani: Submodular combinatorial information measures, ALT 2021.
    """
    if trade_off is not None and not 0 <= trade_off < math.inf:
        raise AttarError(f"trade_off={trade_off:g} is no weight: give a finite number of at least 0.")
    return Coreset(ByFeatures(cutting, features, epochs, {"trade_off": trade_off}), "graph_cut", **choice)


def forgetting(
    model: str = "convnet3-32",
    epochs: int = 10,
    networks: int = 1,
    prefer: Preference = "hard",
    **choice: Unpack[Choice],
) -> Coreset:
    """Rows that a network learns and forgets most often while it is trained.

    Args:
        model: the network.
        epochs: passes that it is trained for.
        networks: trained from other random weights each, whose counts are averaged.
        prefer: keep the "hard" rows, the "easy" ones or those in the "middle".
        choice: see `attar.selection.Choice`.

    Returns:
        The method.

    Reference:
        Toneva et al.: An Empirical Study of Example Forgetting during Deep Neural Network Learning, ICLR 2019.
    """
    return Coreset(ByDifficulty("forgetting", model, epochs, networks, prefer), "forgetting", **choice)


def el2n(
    model: str = "convnet3-32",
    epochs: int = 10,
    networks: int = 1,
    prefer: Preference = "hard",
    **choice: Unpack[Choice],
) -> Coreset:
    """Rows by the length of the error vector, ``E | p(x) - onehot(y) |_2``, early in training.

    Args:
        model: the network.
        epochs: passes that it is trained for before rows are scored.
        networks: trained from other random weights each, whose scores are averaged; ten in the paper.
        prefer: keep the "hard" rows, the "easy" ones or those in the "middle".
        choice: see `attar.selection.Choice`.

    Returns:
        The method.

    Reference:
        Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, definition 2.2.
    """
    return Coreset(ByDifficulty("el2n", model, epochs, networks, prefer), "el2n", **choice)


def grand(
    model: str = "convnet3-32",
    epochs: int = 1,
    networks: int = 1,
    prefer: Preference = "hard",
    **choice: Unpack[Choice],
) -> Coreset:
    """Rows by the length of the gradient that each by itself gives the network, early in training.

    Args:
        model: the network, without batch norm.
        epochs: passes that it is trained for before rows are scored; 0 for random weights.
        networks: trained from other random weights each, whose scores are averaged; ten in the paper.
        prefer: keep the "hard" rows, the "easy" ones or those in the "middle".
        choice: see `attar.selection.Choice`.

    Returns:
        The method.

    Reference:
        Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, definition 2.1.
    """
    return Coreset(ByDifficulty("grand", model, epochs, networks, prefer), "grand", **choice)


def craig(model: str = "convnet3-32", epochs: int = 5, **choice: Unpack[Choice]) -> Coreset:
    """Rows whose weighted gradients stand for everyone's: facility location among last-layer gradients.

    Args:
        model: the network whose gradients are compared.
        epochs: passes that it is trained for.
        choice: see `attar.selection.Choice`; `weighted` gives rows the sizes of their clusters, as the paper does.

    Returns:
        The method.

    Reference:
        Mirzasoleiman, Bilmes, Leskovec: Coresets for Data-efficient Training of Machine Learning Models, ICML 2020.
    """
    choice.setdefault("weighted", True)
    return Coreset(ByGradients("craig", model, epochs), "craig", **choice)


def glister(model: str = "convnet3-32", epochs: int = 5, **choice: Unpack[Choice]) -> Coreset:
    """Rows that lower the validation loss most when a network takes a step on them.

    Args:
        model: the network whose last layer takes the step.
        epochs: passes that it is trained for.
        choice: see `attar.selection.Choice`.

    Returns:
        The method; a tenth of the training rows judges, and is not chosen from.

    Reference:
        Killamsetty et al.: GLISTER: Generalization based Data Subset Selection for Efficient and Robust Learning, AAAI 2021.
    """
    return Coreset(ByGradients("glister", model, epochs), "glister", **choice)
