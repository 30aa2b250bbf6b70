"""Promises of the models of value: published numbers to their digits, integrals worked out another way, parameters found again.

Add a published number, or a second way to compute one, when a formula is added. Must not need a database or the pipeline.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from cdnow import calibration, repeat_spend
from scipy import integrate
from scipy.stats import beta as beta_law
from scipy.stats import gamma as gamma_law

from userops_pipeline.stats import btyd, spend
from userops_pipeline.stats.btyd import Histories, PurchaseModel
from userops_pipeline.stats.maximum import maximise

BG = PurchaseModel("bg_nbd", 0.243, 30.9, 0.793, 2.426)
MBG = PurchaseModel("mbg_nbd", 0.525, 43.3, 0.891, 1.614)
LOW = PurchaseModel("bg_nbd", 0.11, 2.24, 0.31, 0.50)  # a + b < 1
HISTORIES = [(0.0, 0.0, 270.0), (1.0, 30.0, 60.0), (2.0, 213.0, 272.0), (7.0, 206.0, 272.0), (26.0, 260.0, 266.0)]


def histories(x: object, recency: object, age: object, count: object = None) -> Histories:
    repeats = np.asarray(x, dtype=float)
    return Histories(
        repeats,
        np.asarray(recency, dtype=float),
        np.asarray(age, dtype=float),
        np.ones_like(repeats) if count is None else np.asarray(count, dtype=float),
    )


def simulated(model: PurchaseModel, customers: int, days: int, rng: np.random.Generator) -> tuple[Histories, np.ndarray]:
    """Customers as the model says they behave, with whether each still lives."""
    rate, chance = rng.gamma(model.r, 1 / model.alpha, customers), rng.beta(model.a, model.b, customers)
    age = rng.random(customers) * days
    at, x, recency = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    alive = rng.random(customers) >= chance if model.kind == "mbg_nbd" else np.ones(customers, dtype=bool)
    buying = alive.copy()
    while buying.any():
        who = np.flatnonzero(buying)
        at[who] += rng.exponential(1 / rate[who])
        buying[who[at[who] > age[who]]] = False
        who = who[at[who] <= age[who]]
        x[who] += 1
        recency[who] = at[who]
        dies = rng.random(len(who)) < chance[who]
        alive[who[dies]] = buying[who[dies]] = False
    return histories(x, recency, age), alive


# ---- published numbers ----------------------------------------------------------------------------------------------------------------


def test_cdnow_gives_the_parameters_of_the_paper() -> None:
    days = calibration()
    found = btyd.fit(days, "bg_nbd")
    weekly = found.maximum.log_likelihood + (days.repeats * days.count).sum() * math.log(7)
    assert found.maximum.converged
    assert found.maximum.agreeing == 3
    assert found.customers == 2357
    assert [f"{value:.3f}" for value in (found.model.r, found.model.alpha / 7, found.model.a, found.model.b)] == [
        "0.243",
        "4.414",
        "0.793",
        "2.426",
    ]
    assert f"{weekly:.2f}" == "-9582.43"


def test_cdnow_spend_gives_the_parameters_of_the_note() -> None:
    spenders = repeat_spend()
    found = spend.fit(spenders)
    assert found.maximum.converged
    assert found.customers == 946
    assert [f"{found.model.p:.2f}", f"{found.model.q:.3f}", f"{found.model.v:.3f}"] == ["6.25", "3.744", "15.444"]
    assert abs(spend.correlation(spenders)) < 0.12  # 0.11 in Fader, Hardie, Lee (2005), RFM and CLV


def test_the_order_of_customers_and_their_grouping_do_not_matter() -> None:
    days = calibration()
    each = [np.repeat(values, days.count.astype(int)) for values in (days.repeats, days.recency, days.age)]
    mixed = np.random.default_rng(1).permutation(len(each[0]))
    single = btyd.fit(histories(*(values[mixed] for values in each)))
    assert np.allclose(single.maximum.parameters, btyd.fit(days).maximum.parameters, rtol=1e-7)


# ---- the same by integration ------------------------------------------------------------------------------------------------------------


def likelihood_given(model: PurchaseModel, rate: float, chance: float, x: float, recency: float, age: float) -> float:
    """Of one customer whose rate and chance are known, from the story itself."""
    spared = x + (model.kind == "mbg_nbd")
    lives = (1 - chance) ** spared * rate**x * math.exp(-rate * age)
    died = chance * (1 - chance) ** (spared - 1) * rate**x * math.exp(-rate * recency) if spared else 0.0
    return lives + died


@pytest.mark.parametrize("model", [BG, MBG], ids=lambda model: model.kind)
@pytest.mark.parametrize("history", HISTORIES)
def test_the_likelihood_is_the_integral_over_rates_and_chances(model: PurchaseModel, history: tuple[float, float, float]) -> None:
    x, recency, age = history
    spared = x + (model.kind == "mbg_nbd")

    def over_rates(time: float) -> float:
        value, _ = integrate.quad(
            lambda u: gamma_law.ppf(u, model.r, scale=1 / model.alpha) ** x * math.exp(-time * gamma_law.ppf(u, model.r, scale=1 / model.alpha)),
            0, 1, limit=400, epsrel=1e-9, points=[0.9, 0.99, 0.999, 0.99999],
        )  # fmt: skip
        return value

    def over_chances(died: bool) -> float:
        return integrate.quad(
            lambda q: beta_law.pdf(q, model.a, model.b) * (q * (1 - q) ** (spared - 1) if died else (1 - q) ** spared), 0, 1, limit=400
        )[0]

    whole = over_chances(False) * over_rates(age) + (over_chances(True) * over_rates(recency) if spared else 0.0)
    assert math.exp(model.log_likelihood(histories([x], [recency], [age]))[0]) == pytest.approx(whole, rel=2e-5)
    alive = over_chances(False) * over_rates(age) / whole
    assert model.alive(x, recency, age) == pytest.approx(alive, rel=2e-5)


@pytest.mark.parametrize("model", [BG, MBG, LOW, PurchaseModel("mbg_nbd", 0.5, 40.0, 1.0, 2.0)], ids=["bg", "mbg", "a+b<1", "a=1"])
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("horizon", [7.0, 365.0])
def test_expected_purchases_are_the_integral_over_chances(
    model: PurchaseModel, history: tuple[float, float, float], horizon: float
) -> None:
    """Alive, rate and chance are independent: gamma(r + x, alpha + age) and beta(a, b + spared); of the chance q, (1 − e^(−λqt)) / q are expected."""
    x, recency, age = history
    spared, beyond = x + (model.kind == "mbg_nbd"), model.alpha + age

    def given(q: float) -> float:
        return -math.expm1(-(model.r + x) * math.log1p(q * horizon / beyond)) / q

    value, _ = integrate.quad(lambda u: given(max(beta_law.ppf(u, model.a, model.b + spared), 1e-12)), 0, 1, limit=400)
    assert model.expected_purchases(horizon, x, recency, age) == pytest.approx(float(model.alive(x, recency, age)) * value, rel=2e-5)


def test_a_new_customer_is_one_without_a_history() -> None:
    for model in (BG, MBG):
        assert model.expected_of_new(100.0) == pytest.approx(float(model.expected_purchases(100.0, 0.0, 0.0, 0.0)))
    assert BG.expected_of_new(0.0) == pytest.approx(0)
    assert MBG.expected_of_new([10.0, 20.0]).tolist() == sorted(MBG.expected_of_new([10.0, 20.0]).tolist())


def test_who_bought_once_is_alive_for_certain_in_the_one_model_only() -> None:
    assert BG.alive([0.0, 0.0], 0.0, [1.0, 999.0]).tolist() == [1.0, 1.0]
    soon, late = MBG.alive([0.0, 0.0], 0.0, [1.0, 999.0])
    assert late < soon < MBG.b / (MBG.a + MBG.b)


def test_the_next_purchase_is_as_likely_before_its_day_as_not() -> None:
    day = float(MBG.likely_within(7.0, 206.0, 210.0))
    assert float(MBG.chance_of_purchase(day, 7.0, 206.0, 210.0)) == pytest.approx(0.5)
    assert math.isinf(float(MBG.likely_within(7.0, 20.0, 272.0)))  # gone: rather never


def test_the_gamma_gamma_likelihood_is_the_integral_over_customers() -> None:
    model = spend.SpendModel(6.25, 3.744, 15.444)
    for x, mean in ((1.0, 12.0), (3.0, 38.5), (10.0, 90.0)):
        whole, _ = integrate.quad(
            lambda nu, x=x, mean=mean: gamma_law.pdf(nu, model.q, scale=1 / model.v) * gamma_law.pdf(mean, model.p * x, scale=1 / (nu * x)),
            0,
            np.inf,
        )
        assert math.exp(model.log_likelihood(spend.RepeatSpend.of([x], [mean]))[0]) == pytest.approx(whole, rel=1e-6)
    assert model.population_mean == pytest.approx(model.expected_spend(0.0, 0.0))
    assert model.expected_spend(10_000.0, 50.0) == pytest.approx(50, rel=1e-3)
    assert math.isinf(spend.SpendModel(6.0, 0.9, 15.0).population_mean)


# ---- found again ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bg_nbd", "mbg_nbd"])
def test_the_gradient_is_the_slope(kind: btyd.Kind) -> None:
    of = btyd._Likelihood(calibration(), kind, 200.0)
    at = np.array([0.4, 0.2, 0.9, 2.1])
    _, gradient = of(at)
    for position in range(4):
        ahead, behind = at.copy(), at.copy()
        ahead[position] *= 1 + 1e-6
        behind[position] *= 1 - 1e-6
        assert (of(ahead)[0] - of(behind)[0]) / (2e-6 * at[position]) == pytest.approx(gradient[position], rel=1e-5)


@pytest.mark.parametrize("model", [BG, MBG], ids=lambda model: model.kind)
def test_parameters_are_found_again_within_their_errors(model: PurchaseModel) -> None:
    customers, alive = simulated(model, 40_000, 365, np.random.default_rng(11))
    found = btyd.fit(customers, model.kind)
    assert found.maximum.converged
    errors = (found.maximum.parameters - np.array([model.r, model.alpha, model.a, model.b])) / found.maximum.standard_errors
    assert np.abs(errors).max() < 3, errors
    said = found.model.alive(customers.repeats, customers.recency, customers.age)
    for tenth in np.array_split(np.argsort(said, kind="stable"), 10):
        assert abs(said[tenth].mean() - alive[tenth].mean()) < 0.03


def test_groups_of_neighbours_find_nearly_the_same() -> None:
    customers, _ = simulated(MBG, 40_000, 365, np.random.default_rng(5))
    exact, coarse = btyd.fit(customers), btyd.fit(customers.coarsened(32))
    assert len(customers.coarsened(32).count) < len(customers.count) / 5
    assert coarse.customers == exact.customers
    assert np.abs((coarse.maximum.parameters - exact.maximum.parameters) / exact.maximum.standard_errors).max() < 0.5


def test_spend_parameters_are_found_again_within_their_errors() -> None:
    rng = np.random.default_rng(3)
    model = spend.SpendModel(4.0, 5.0, 60.0)
    x = 1.0 + rng.poisson(2, 20_000)
    nu = rng.gamma(model.q, 1 / model.v, len(x))
    mean = rng.gamma(model.p * x, 1 / (nu * x))
    found = spend.fit(spend.RepeatSpend.of(x, mean))
    errors = (found.maximum.parameters - np.array([4.0, 5.0, 60.0])) / found.maximum.standard_errors
    assert np.abs(errors).max() < 3, errors


# ---- where there is nothing to be found ---------------------------------------------------------------------------------------------------


def test_a_flat_likelihood_is_not_called_converged() -> None:
    nobody_repeats = histories([0.0, 0.0, 0.0], 0.0 * np.ones(3), [100.0, 200.0, 300.0], [50.0, 60.0, 70.0])
    found = btyd.fit(nobody_repeats)
    assert not found.maximum.converged
    assert np.isnan(found.maximum.standard_errors).all()
    flat = maximise(lambda parameters: (0.0, np.zeros_like(parameters)), [[1.0, 1.0]], 1.0)
    assert not flat.converged


def test_impossible_histories_are_refused() -> None:
    with pytest.raises(ValueError, match="before its first"):
        histories([1.0], [20.0], [10.0])
    with pytest.raises(ValueError, match="no customers with a time"):
        btyd.fit(histories([], [], []))
    with pytest.raises(ValueError, match="no repeat buyer"):
        spend.fit(spend.RepeatSpend.of([], []))
    with pytest.raises(ValueError, match="spent nothing"):
        spend.RepeatSpend.of([2.0], [0.0])


def test_correlation_is_that_of_the_customers() -> None:
    x, mean = np.array([1.0, 2.0, 3.0, 9.0]), np.array([10.0, 8.0, 20.0, 30.0])
    assert spend.correlation(spend.RepeatSpend.of(x, mean)) == pytest.approx(np.corrcoef(x, mean)[0, 1])
    assert math.isnan(spend.correlation(spend.RepeatSpend.of([2.0, 2.0], [1.0, 5.0])))
