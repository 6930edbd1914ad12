"""Small stand-ins for tables of numbers in scikit-learn's and imbalanced-learn's manner: ``Sampler(...).fit_resample(X, y)``.

`CoresetSampler` chooses real rows, `DistilledSampler` makes rows. Needs scikit-learn 1.6 or later; imbalanced-learn only for
its pipelines.
"""

try:
    from attar.sklearn.coreset import CoresetSampler
    from attar.sklearn.distilled import DistilledSampler
except ImportError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    raise ImportError("attar.sklearn needs scikit-learn 1.6 or later: pip install 'attar[selection]'.") from error

__all__ = ["CoresetSampler", "DistilledSampler"]
