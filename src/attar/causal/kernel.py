"""A kernel test of independence by Fourier features: dependence of any shape, on rows that weigh."""

from __future__ import annotations

import torch
from torch import Tensor

from attar import rng
from attar.causal.moments import CONSTANT, design
from attar.causal.propensity import spread
from attar.tables import Table

__all__ = ["KernelTest"]

WIDTH = 0.5
"""Of the Gaussian kernel of the two columns, in standard deviations."""

QUANTILES = (1 / 6, 1 / 2, 5 / 6)
"""Of the half-normal distribution of a kernel's frequencies: those whose sines and cosines a column becomes."""

GIVEN_FEATURES = 100
"""Random features of the given columns, beside these themselves."""

GIVEN_WIDTH = 0.4
"""Of the Gaussian kernel of the given columns, in standard deviations, for one of them; of k its root of k times. Narrower than that of
the two columns, whose features wind as they depend on the given ones."""

RIDGE = 1e-3
"""Of the regression on the given columns, against the sum over the rows."""


class KernelTest:
    """The test of ``n |mean of r_i (x) r_j|^2``, where r are residuals of a column's features after regression on those of the given
    columns. Under independence that is a weighted sum of chi-squared variables; its p-value is that of the gamma distribution with
    the same mean ``tr S`` and variance ``2 tr S^2``, S the covariance of ``r_i (x) r_j``.

    The features of a number are sines and cosines at fixed quantiles of the spectrum of a Gaussian kernel of `WIDTH` standard
    deviations; of a categorical column they are ones and noughts. The given columns become, beside themselves, random Fourier
    features of a Gaussian kernel of `GIVEN_WIDTH`, with weight `RIDGE` / n of the ridge. Statistic and degrees of
    freedom are brought to the scale of the chi-squared distribution. A constant column is independent of every other one.

    Columns are not joined with the given ones before the test (RCoT, not RCIT), so that what it finds are dependences that are
    there on average over the given columns.

    Args:
        table: rows; of a soft one each combination of its categories counts by its probability.
        seed: of the random features.

    Raises:
        AttarError: if values are missing, or soft rows have too many combinations.

    Reference:
        Strobl, Zhang and Visweswaran: Approximate kernel-based conditional independence tests for fast non-parametric causal
        discovery, Journal of Causal Inference 2019; Zhang et al.: Kernel-based conditional independence test, UAI 2011.
    """

    def __init__(self, table: Table, seed: int = 0) -> None:
        table = spread(table, table.names)
        self.shares, self.size, self.seed = table.shares, table.size, seed
        x, groups = design(table, table.names)
        centred = x - self.shares @ x
        deviation = (self.shares @ centred**2).sqrt()
        varies = deviation > CONSTANT * x.abs().amax(dim=0)
        standard = torch.where(varies, centred / torch.where(varies, deviation, 1.0), torch.zeros_like(x))
        # categories differ by the same distance as two standardised numbers do on average, the root of 2
        one_hot = {name: place.stop - place.start > 1 for name, place in groups.items()}
        self.inputs = [x[:, place] if one_hot[name] else standard[:, place] for name, place in groups.items()]
        frequency = torch.special.ndtri((1 + torch.tensor(QUANTILES, dtype=torch.float64)) / 2) / WIDTH
        self.features: list[Tensor] = []
        for name, place in groups.items():
            column = self.inputs[len(self.features)]
            if not one_hot[name]:
                column = torch.cat([(column * frequency).sin(), (column * frequency).cos()], dim=1)
            column = self._centred(column) if bool(varies[place].any()) else torch.zeros_like(column)
            self.features.append(column)

    def __call__(self, pairs: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Many tests of one order; the regressions on the same given columns are made once.

        Args:
            pairs: places of the two columns ``(t, 2)``.
            given: places of the others ``(t, k)``.

        Returns:
            Statistic and degrees of freedom, brought to the scale of chi-squared, and p-value ``(t,)``.
        """
        statistic, freedom = torch.zeros(2, len(pairs), dtype=torch.float64)
        groups: dict[tuple[int, ...], list[int]] = {}
        for test, columns in enumerate(given.tolist()):
            groups.setdefault(tuple(sorted(columns)), []).append(test)
        for columns, tests in groups.items():
            needed = pairs[tests].unique().tolist()
            left = dict(zip(needed, self._residuals(needed, columns), strict=True))
            for test in tests:
                first, second = pairs[test].tolist()
                statistic[test], freedom[test] = self._dependence(left[first], left[second])
        p = torch.special.gammaincc(freedom.clamp(min=1e-300) / 2, statistic / 2)
        return statistic, freedom, torch.where(freedom > 0, p, torch.ones_like(p))

    def _residuals(self, columns: list[int], given: tuple[int, ...]) -> list[Tensor]:
        """What the given columns leave of the features of others, each ``(n, features)``."""
        features = [self.features[column] for column in columns]
        if not given:
            return features
        z = torch.cat([self.inputs[column] for column in given], dim=1)
        source = rng.generator(self.seed, "kernel test", *given)
        frequency = torch.randn(z.shape[1], GIVEN_FEATURES, generator=source, dtype=torch.float64)
        frequency /= GIVEN_WIDTH * len(given) ** 0.5
        phase = torch.rand(GIVEN_FEATURES, generator=source, dtype=torch.float64) * 2 * torch.pi
        waves = (2 / GIVEN_FEATURES) ** 0.5 * (z @ frequency + phase).cos()
        h = self._centred(torch.cat([z, waves], dim=1))
        stacked = torch.cat(features, dim=1)
        weighed = h * self.shares[:, None]
        gram = weighed.T @ h + RIDGE / self.size * torch.eye(h.shape[1], dtype=torch.float64)
        left = stacked - h @ torch.linalg.solve(gram, weighed.T @ stacked)
        return list(left.split([feature.shape[1] for feature in features], dim=1))

    def _dependence(self, first: Tensor, second: Tensor) -> tuple[float, float]:
        products = (first[:, :, None] * second[:, None, :]).flatten(1)
        mean = self.shares @ products
        spread = (products * self.shares[:, None]).T @ products
        trace, square = float(spread.trace()), float((spread**2).sum())
        if trace <= 0:
            return 0.0, 0.0
        scale = square / trace  # of chi-squared variables with the same mean and variance
        return self.size * float(mean @ mean) / scale, trace / scale

    def _centred(self, x: Tensor) -> Tensor:
        return x - self.shares @ x
