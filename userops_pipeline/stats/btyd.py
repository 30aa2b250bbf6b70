"""Buy till you die: how often customers buy again and whether they still do, from when they bought (BG/NBD and MBG/NBD).

Here live the likelihood over grouped histories, its fit, and what follows from the parameters for one history or for new customers.
Add a model of the purchase process here. What a purchase is worth is spend.py; must not read or write anything, or know a user.

Both models: while a customer lives, purchases come at a rate of their own, gamma(r, alpha) among customers; with a chance of their own,
beta(a, b) among customers, a purchase is the last. In the BG/NBD only repeat purchases can be (so that who bought once is alive for
certain), in the MBG/NBD the first one too. Sources: Fader, Hardie, Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science
24(2); Batislam, Denizel, Filiztekin (2007), IJRM 24(3); Wagner, Hoppe (2008), Erratum on the MBG/NBD Model, IJRM 25(3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, digamma, gammaln, hyp2f1

from userops_pipeline.stats.maximum import Floats, Maximum, maximise

Kind = Literal["bg_nbd", "mbg_nbd"]
PARAMETERS = ("r", "alpha", "a", "b")
# Rate shape, rate scale (of the mean age), and the two of the dropout: mixed, mostly one-time, loyal.
DRAFT_STEPS, DRAFT_FROM = 24, 5_000  # time steps, and groups from which on starts are tried on a draft
STARTS = ((1.0, 1.0, 1.0, 1.0), (0.3, 0.2, 0.8, 2.5), (2.0, 0.3, 0.2, 4.0))


@dataclass(frozen=True)
class Histories:
    """Purchase histories of `count` customers each: `repeats` after the first, the last of them at `recency`, all known until `age`.

    Times are since the first purchase, in one unit (days here). A group may stand for customers who bought at nearly the same times; then
    the three are their means.
    """

    repeats: Floats
    recency: Floats
    age: Floats
    count: Floats

    def __post_init__(self) -> None:
        if not (self.repeats.shape == self.recency.shape == self.age.shape == self.count.shape):
            raise ValueError("The four arrays of the histories differ in length.")
        if len(self.count) and not ((self.recency >= 0).all() and (self.age >= self.recency).all() and (self.repeats >= 0).all()):
            raise ValueError("A history has a last purchase before its first, or after the end of what is known.")

    @property
    def customers(self) -> float:
        return float(self.count.sum())

    def coarsened(self, steps: int) -> Histories:
        """The same customers in fewer groups: times in so many steps of the greatest age, each group at its mean."""
        per_time = steps / max(float(self.age.max()), 1e-9)
        key = (np.floor(self.repeats) * (steps + 1) + np.floor(self.age * per_time)) * (steps + 1) + np.floor(self.recency * per_time)
        _, group = np.unique(key, return_inverse=True)
        count = np.bincount(group, weights=self.count).astype(np.float64)

        def mean(values: Floats) -> Floats:
            return np.bincount(group, weights=self.count * values) / count

        age = mean(self.age)
        return Histories(mean(self.repeats), np.minimum(mean(self.recency), age), age, count)


@dataclass(frozen=True)
class PurchaseModel:
    """A purchase process with its parameters; alpha is in the unit of the histories' times."""

    kind: Kind
    r: float
    alpha: float
    a: float
    b: float

    def survived(self, repeats: npt.ArrayLike) -> Floats:
        """How often a customer with so many repeats has been spared: the first purchase counts in the MBG/NBD only."""
        return np.asarray(repeats, dtype=float) + (1.0 if self.kind == "mbg_nbd" else 0.0)

    def log_likelihood(self, histories: Histories) -> Floats:
        """Log-likelihood of one customer of each group."""
        x, spared = histories.repeats, self.survived(histories.repeats)
        return (
            gammaln(self.r + x)
            - gammaln(self.r)
            + self.r * np.log(self.alpha)
            + betaln(self.a, self.b + spared)
            - betaln(self.a, self.b)
            - (self.r + x) * np.log(self.alpha + histories.age)
            + np.log1p(self._dead_odds(x, histories.recency, histories.age))
        )

    def _dead_odds(self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
        x, spared = np.asarray(repeats, dtype=float), self.survived(repeats)
        silence = np.log((self.alpha + np.asarray(age, dtype=float)) / (self.alpha + np.asarray(recency, dtype=float)))
        with np.errstate(over="ignore"):
            odds = self.a / (self.b + np.maximum(spared, 1) - 1) * np.exp((self.r + x) * silence)
        return np.where(spared > 0, odds, 0.0)

    def alive(self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
        """Probability that a customer with this history still buys."""
        return 1.0 / (1.0 + self._dead_odds(repeats, recency, age))

    def expected_purchases(self, horizon: npt.ArrayLike, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
        """Purchases to expect of a customer with this history in the next `horizon`, dead or alive."""
        return self.alive(repeats, recency, age) * self._of_the_living(horizon, repeats, age)

    def chance_of_purchase(self, horizon: npt.ArrayLike, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
        """Probability that a customer with this history buys at least once in the next `horizon`."""
        beyond = self.alpha + np.asarray(age, dtype=float)
        none = (beyond / (beyond + np.asarray(horizon, dtype=float))) ** (self.r + np.asarray(repeats, dtype=float))
        return self.alive(repeats, recency, age) * (1 - none)

    def expected_of_new(self, time: npt.ArrayLike) -> Floats:
        """Repeat purchases to expect of a customer within `time` of the first purchase."""
        time = np.asarray(time, dtype=float)
        zero = np.zeros_like(time)
        return self.alive(zero, zero, zero) * self._of_the_living(time, zero, zero)

    def _of_the_living(self, horizon: npt.ArrayLike, repeats: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
        """Closed form with Gauss's hypergeometric function; a = 1 is its removable singularity, so it is passed at a distance.

        The function may be negative where a + b < 1 and nothing was repeated; no logarithm is taken of it (lifetimes #302 did).
        """
        a = self.a if abs(self.a - 1) > 1e-6 else 1 + 1e-6
        x, time, spared = np.asarray(repeats, dtype=float), np.asarray(horizon, dtype=float), self.survived(repeats)
        beyond = self.alpha + np.asarray(age, dtype=float)
        top = a + self.b + spared - 1
        top = np.where(np.abs(top) > 1e-9, top, 1e-9)
        decay = (beyond / (beyond + time)) ** (self.r + x)
        return top / (a - 1) * (1 - decay * hyp2f1(self.r + x, self.b + spared, top, time / (beyond + time)))

    def likely_within(self, repeats: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
        """Time after which the next purchase is more likely made than not; infinite where it is likelier that none will come.

        The chance of a purchase within t is P(alive)·(1 − ((alpha + age) / (alpha + age + t))^(r + x)); this solves for one half.
        """
        x, alive = np.asarray(repeats, dtype=float), self.alive(repeats, recency, age)
        with np.errstate(divide="ignore", over="ignore"):
            longer = np.where(alive > 0.5, np.maximum(1 - 0.5 / alive, 0.0), 0.0) ** (-1 / (self.r + x))
        return (self.alpha + np.asarray(age, dtype=float)) * (longer - 1)


@dataclass(frozen=True)
class PurchaseFit:
    """A model with how it was found."""

    model: PurchaseModel
    maximum: Maximum
    customers: float


class _Likelihood:
    """Log-likelihood with gradient of grouped histories; what depends on one of the three numbers is computed once per value of it."""

    def __init__(self, histories: Histories, kind: Kind, unit: float) -> None:
        self._kind: Kind = kind
        self._count = histories.count
        self._x, self._at_x = np.unique(histories.repeats, return_inverse=True)
        self._recency, self._at_recency = np.unique(histories.recency / unit, return_inverse=True)
        self._age, self._at_age = np.unique(histories.age / unit, return_inverse=True)
        self._customers_of_x = np.bincount(self._at_x, weights=self._count, minlength=len(self._x))
        self._can_be_dead = (histories.repeats > 0) | (kind == "mbg_nbd")

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = parameters
        x, count, of_x = self._x, self._count, self._customers_of_x
        spared = PurchaseModel(self._kind, r, alpha, a, b).survived(x)
        log_age, log_recency = np.log(alpha + self._age)[self._at_age], np.log(alpha + self._recency)[self._at_recency]
        per_age, per_recency = (1 / (alpha + self._age))[self._at_age], (1 / (alpha + self._recency))[self._at_recency]
        rate = (r + x)[self._at_x]
        silence = log_age - log_recency
        log_odds = (np.log(a) - np.log(b + np.maximum(spared, 1) - 1))[self._at_x] + rate * silence
        log_odds = np.where(self._can_be_dead, log_odds, -700.0)
        small = np.exp(-np.abs(log_odds))
        log_both = np.log1p(small)
        dead = np.where(log_odds > 0, 1.0, small) / (1 + small)
        by_x = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + spared) - betaln(a, b)
        value = float((of_x * by_x).sum() + (count * (np.maximum(log_odds, 0) + log_both - rate * log_age)).sum())
        counted_dead = count * dead
        dead_of_x = np.bincount(self._at_x, weights=counted_dead, minlength=len(x))
        gradient = np.array(
            [
                (of_x * (digamma(r + x) - digamma(r) + np.log(alpha))).sum() + (counted_dead * silence - count * log_age).sum(),
                r / alpha * count.sum() + (counted_dead * rate * (per_age - per_recency) - count * rate * per_age).sum(),
                (of_x * (digamma(a + b) - digamma(a + b + spared))).sum() + dead_of_x.sum() / a,
                (of_x * (digamma(b + spared) - digamma(b) - digamma(a + b + spared) + digamma(a + b))).sum()
                - (dead_of_x / (b + np.maximum(spared, 1) - 1)).sum(),
            ]
        )
        return value, gradient


def fit(histories: Histories, kind: Kind = "mbg_nbd") -> PurchaseFit:
    """The parameters under which these histories are most likely.

    Time is scaled by the mean age while searching, so that days or weeks find the same; the log-likelihood is that of the given unit.

    Raises:
        ValueError: there is nobody, or nobody is known for longer than a moment.
    """
    customers = histories.customers
    unit = float((histories.count * histories.age).sum() / customers) if customers else 0.0
    if unit <= 0:
        raise ValueError("There are no customers with a time to look back on.")
    draft = _Likelihood(histories.coarsened(DRAFT_STEPS), kind, unit) if len(histories.count) > DRAFT_FROM else None
    found = maximise(_Likelihood(histories, kind, unit), STARTS, customers, draft)
    scale = np.array([1.0, unit, 1.0, 1.0])
    maximum = Maximum(
        parameters=found.parameters * scale,
        log_likelihood=found.log_likelihood - float((histories.count * histories.repeats).sum()) * float(np.log(unit)),
        standard_errors=found.standard_errors * scale,
        converged=found.converged,
        evaluations=found.evaluations,
        starts=found.starts,
        agreeing=found.agreeing,
    )
    r, alpha, a, b = maximum.parameters.tolist()
    return PurchaseFit(PurchaseModel(kind, r, alpha, a, b), maximum, customers)
