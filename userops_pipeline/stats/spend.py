"""What a purchase is worth: the gamma-gamma model of a customer's mean spend.

Here live its likelihood over grouped repeat buyers, its fit, the spend to expect of a customer, and whether spend and frequency are
unrelated, as it assumes. Add a model of spend here; when customers buy is btyd.py. Must not read or write anything, or know a currency.

Single amounts of a customer are gamma(p, nu), nu differs between customers as gamma(q, v). Source: Fader, Hardie (2013), The Gamma-Gamma
Model of Monetary Value, brucehardie.com/notes/025; Fader, Hardie, Lee (2005), RFM and CLV, Journal of Marketing Research 42(4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

from userops_pipeline.stats.maximum import Floats, Maximum, maximise

PARAMETERS = ("p", "q", "v")
STARTS = ((1.0, 2.0, 1.0), (6.0, 4.0, 0.5), (2.0, 10.0, 5.0))  # v in mean spends


@dataclass(frozen=True)
class RepeatSpend:
    """`count` customers each who made `repeats` purchases of `mean` on average; `log_mean` is the mean of the logarithm of that.

    Groups may hold customers of nearly the same mean; then `mean` is theirs together.
    """

    repeats: Floats
    mean: Floats
    log_mean: Floats
    count: Floats

    @classmethod
    def of(cls, repeats: npt.ArrayLike, mean: npt.ArrayLike) -> RepeatSpend:
        """Customers one by one."""
        each = np.asarray(mean, dtype=float)
        return cls(np.asarray(repeats, dtype=float), each, np.log(each), np.ones_like(each))

    def __post_init__(self) -> None:
        if len(self.count) and not ((self.repeats > 0).all() and (self.mean > 0).all()):
            raise ValueError("A repeat buyer has no purchase, or spent nothing.")

    @property
    def customers(self) -> float:
        return float(self.count.sum())


@dataclass(frozen=True)
class SpendModel:
    """The gamma-gamma model with its parameters; v is in the currency of the amounts."""

    p: float
    q: float
    v: float

    def log_likelihood(self, spend: RepeatSpend) -> Floats:
        """Log-likelihood of the mean spend of one customer of each group (equation 1a of the note)."""
        px = self.p * spend.repeats
        return (
            gammaln(px + self.q)
            - gammaln(px)
            - gammaln(self.q)
            + self.q * np.log(self.v)
            + (px - 1) * spend.log_mean
            + px * np.log(spend.repeats)
            - (px + self.q) * np.log(spend.repeats * spend.mean + self.v)
        )

    @property
    def population_mean(self) -> float:
        """Mean spend of all customers; infinite where q ≤ 1."""
        return self.p * self.v / (self.q - 1) if self.q > 1 else float("inf")

    def expected_spend(self, repeats: npt.ArrayLike, mean: npt.ArrayLike) -> Floats:
        """Spend to expect of a customer's purchase (equation 5): the population's mean, moved towards the customer's own as it is known.

        `mean` of a customer without a repeat purchase has no weight, and may be anything finite.
        """
        x, own = np.asarray(repeats, dtype=float), np.asarray(mean, dtype=float)
        return self.p * (self.v + x * own) / (self.p * x + self.q - 1)


@dataclass(frozen=True)
class SpendFit:
    """A model with how it was found."""

    model: SpendModel
    maximum: Maximum
    customers: float


def fit(spend: RepeatSpend) -> SpendFit:
    """The parameters under which these means are most likely; amounts are scaled by their mean while searching.

    Raises:
        ValueError: there is no repeat buyer.
    """
    customers = spend.customers
    if not customers:
        raise ValueError("There is no repeat buyer.")
    unit = float((spend.count * spend.mean).sum() / customers)
    scaled = replace(spend, mean=spend.mean / unit, log_mean=spend.log_mean - np.log(unit))
    x, at_x = np.unique(scaled.repeats, return_inverse=True)
    count, total = scaled.count, scaled.repeats * scaled.mean
    of_x = np.bincount(at_x, weights=count, minlength=len(x))
    log_mean_of_x = np.bincount(at_x, weights=count * scaled.log_mean, minlength=len(x))

    def log_likelihood(parameters: Floats) -> tuple[float, Floats]:
        p, q, v = parameters
        px = p * x
        log_total = np.log(total + v)
        log_total_of_x = np.bincount(at_x, weights=count * log_total, minlength=len(x))
        value = (
            of_x * (gammaln(px + q) - gammaln(px) - gammaln(q) + q * np.log(v) + px * np.log(x))
            + (px - 1) * log_mean_of_x
            - (px + q) * log_total_of_x
        ).sum()
        gradient = np.array(
            [
                (x * (of_x * (digamma(px + q) - digamma(px) + np.log(x)) + log_mean_of_x - log_total_of_x)).sum(),
                (of_x * (digamma(px + q) - digamma(q) + np.log(v)) - log_total_of_x).sum(),
                customers * q / v - (count * (p * scaled.repeats + q) / (total + v)).sum(),
            ]
        )
        return float(value), gradient

    found = maximise(log_likelihood, STARTS, customers)
    scale = np.array([1.0, 1.0, unit])
    maximum = replace(
        found,
        parameters=found.parameters * scale,
        standard_errors=found.standard_errors * scale,
        log_likelihood=found.log_likelihood - customers * float(np.log(unit)),
    )
    p, q, v = maximum.parameters.tolist()
    return SpendFit(SpendModel(p, q, v), maximum, customers)


def correlation(spend: RepeatSpend) -> float:
    """Pearson correlation of number of purchases and mean spend over customers, which the model takes for zero; NaN where either is constant."""
    weight = spend.count / spend.customers
    x = spend.repeats - (weight * spend.repeats).sum()
    mean = spend.mean - (weight * spend.mean).sum()
    spread = float(np.sqrt((weight * x * x).sum() * (weight * mean * mean).sum()))
    return float((weight * x * mean).sum()) / spread if spread > 0 else float("nan")
