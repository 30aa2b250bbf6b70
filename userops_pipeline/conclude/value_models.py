"""The value models of a shop: one version a month, fitted on what had happened, tested on what has happened since.

Here lives which version may be used and why not, its row of parameters, and the comparison of what it said with what came.
Add here what should be known of a fit. The formulas are in stats; must not read or write tables (score does), nor score users.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from userops_pipeline.conclude.scored import ValueRules
from userops_pipeline.stats import btyd, spend

Floats = npt.NDArray[np.float64]
ELIGIBLE = "eligible"
DECILES = 10
PURCHASE = {"day": "purchase day", "order": "order"}  # one of what is counted


@dataclass(frozen=True)
class Backtest:
    """What the tested version knew, with the purchases of each user since; and repeats by day up to the version's night."""

    seen_on: date
    histories: btyd.Histories
    later: Floats
    repeats_on: dict[date, int]


@dataclass(frozen=True)
class VersionData:
    """What a version is made of; `backtest` is missing where no version lies so far back."""

    version_on: date
    histories: btyd.Histories
    spend: spend.RepeatSpend
    backtest: Backtest | None


@dataclass(frozen=True)
class Tested:
    """A version's comparison with what came: summary columns of its fit, calibration rows and tracking rows."""

    summary: dict[str, Any]
    calibration: list[dict[str, Any]]
    tracking: list[dict[str, Any]]


Row = dict[str, Any]


def rounded(value: float, digits: int) -> float | None:
    """To so many significant digits, so that the last bits of a search do not tell runs apart; None for what is not a number."""
    return float(f"{value:.{digits - 1}e}") if np.isfinite(value) else None


def shop_reason(rules: ValueRules, *, buyers: int, history_days: int, most_orders: int, days_since_order: int) -> str:
    """`eligible`, or why the shop's data do not suffice for scores (Klaviyo's conditions for its own)."""
    reason = _fit_reason(rules, buyers, most_orders)
    if reason != ELIGIBLE:
        return reason
    if history_days < rules.min_history_days:
        return f"not_eligible: {history_days} days of purchases, {rules.min_history_days} are needed"
    if days_since_order > rules.max_days_since_order:
        return f"not_eligible: no purchase for {days_since_order} days, at most {rules.max_days_since_order}"
    return ELIGIBLE


def _fit_reason(rules: ValueRules, buyers: int, most_orders: int) -> str:
    if buyers < rules.min_buyers:
        return f"not_eligible: {buyers} buyers, {rules.min_buyers} are needed"
    if most_orders < rules.min_orders_of_some:
        return f"not_eligible: nobody has {rules.min_orders_of_some} {PURCHASE[rules.purchase]}s"
    return ELIGIBLE


def fitted(rules: ValueRules, data: VersionData) -> Row:
    """The row of value_model_fits of a version, without its test. Numbers are rounded here, and users are scored with the rounded ones."""
    histories, repeats = data.histories, data.histories.repeats
    beginning = 0 if rules.origin == "registration" else 1  # purchases that a history begins with
    buyers = int(histories.count[repeats + beginning > 0].sum())
    row: Row = {
        "version_on": data.version_on,
        "model": rules.model,
        "origin": rules.origin,
        "purchase": rules.purchase,
        "eligibility": _fit_reason(rules, buyers, beginning + int(repeats.max(initial=-beginning))),
        "amount_eligibility": "not_eligible: the purchases are not",
        "customer_count": int(histories.customers),
        "repeat_customer_count": int(histories.count[repeats > 0].sum()),
        "history_days": int(histories.age.max(initial=-1)) + 1,
    }
    if row["eligibility"] == ELIGIBLE and not (histories.age > 0).any():
        row["eligibility"] = "not_eligible: nobody is known for longer than a day"
    if row["eligibility"] != ELIGIBLE:
        return row
    found = btyd.fit(histories, rules.model)
    row |= _parameters(btyd.PARAMETERS, found.maximum) | {
        "log_likelihood": round(found.maximum.log_likelihood, 2),
        "is_converged": found.maximum.converged,
        "agreeing_start_count": found.maximum.agreeing,
    }
    if not found.maximum.converged:
        row["eligibility"] = "not_eligible: the fit of the purchases has not converged"
        return row
    return row | _spend_columns(rules, data.spend)


def _spend_columns(rules: ValueRules, spenders: spend.RepeatSpend) -> Row:
    if spenders.customers < rules.min_repeat_buyers:
        return {"amount_eligibility": f"not_eligible: {int(spenders.customers)} repeat buyers, {rules.min_repeat_buyers} are needed"}
    found, correlation = spend.fit(spenders), spend.correlation(spenders)
    columns = _parameters(spend.PARAMETERS, found.maximum) | {
        "spend_log_likelihood": round(found.maximum.log_likelihood, 2),
        "is_spend_converged": found.maximum.converged,
        "spend_correlation": rounded(correlation, 4),
        "amount_eligibility": ELIGIBLE,
    }
    if not found.maximum.converged:
        columns["amount_eligibility"] = "not_eligible: the fit of the amounts has not converged"
    elif found.model.q <= 1:
        columns["amount_eligibility"] = "not_eligible: the amounts have no mean (q is not above 1)"
    elif abs(correlation) > rules.max_spend_correlation:
        columns["amount_eligibility"] = (
            f"not_eligible: amounts and frequency correlate by {correlation:.2f}, at most {rules.max_spend_correlation:.2f}"
        )
    return columns


def _parameters(names: tuple[str, ...], maximum: Any) -> Row:
    values = {name: rounded(value, 6) for name, value in zip(names, maximum.parameters, strict=True)}
    errors = {f"{name}_error": rounded(value, 4) for name, value in zip(names, maximum.standard_errors, strict=True)}
    return values | errors


def purchase_model(row: Row) -> btyd.PurchaseModel | None:
    """The model of a row of value_model_fits, where it may be used."""
    if row["eligibility"] != ELIGIBLE:
        return None
    return btyd.PurchaseModel(row["model"], row["r"], row["alpha"], row["a"], row["b"])


def spend_model(row: Row) -> spend.SpendModel | None:
    """The model of spend of a row of value_model_fits, where it may be used."""
    return spend.SpendModel(row["p"], row["q"], row["v"]) if row["amount_eligibility"] == ELIGIBLE else None


def tested(version_on: date, backtest: Backtest, model: btyd.PurchaseModel) -> Tested:
    """What `model`, fitted on what was known at `backtest.seen_on`, said of the time until the night `version_on`, and what came."""
    known, days = backtest.histories, (version_on - backtest.seen_on).days
    who = (known.repeats, known.recency, known.age)
    expected, alive = model.expected_purchases(float(days), *who), model.alive(*who)
    returning = model.chance_of_purchase(float(days), *who)
    total, actual = float((known.count * expected).sum()), float((known.count * backtest.later).sum())
    error = float((known.count * np.abs(expected - backtest.later)).sum() / known.customers)
    tracking = _tracking(version_on, backtest, model)
    last = tracking[-1]
    summary = {
        "tested_version_on": backtest.seen_on,
        "holdout_days": days,
        "holdout_customer_count": int(known.customers),
        "holdout_expected_count": total,
        "holdout_actual_count": int(actual),
        "holdout_bias_share": (total - actual) / actual if actual else None,
        "holdout_error_count": error,
        "tracking_error_share": last["error_share"],
    }
    return Tested(summary, _calibration(version_on, backtest, expected, alive, returning), tracking)


def _calibration(version_on: date, backtest: Backtest, expected: Floats, alive: Floats, returning: Floats) -> list[Row]:
    count = backtest.histories.count
    said, at = np.unique(expected, return_inverse=True)  # who is expected the same stays together
    size = np.bincount(at, weights=count, minlength=len(said))
    middle = np.cumsum(size) - size / 2
    decile = np.minimum((middle / size.sum() * DECILES).astype(int), DECILES - 1)[at]
    buyers = np.bincount(decile, weights=count, minlength=DECILES)

    def per_buyer(values: Floats) -> Floats:
        return np.bincount(decile, weights=count * values, minlength=DECILES) / np.maximum(buyers, 1)

    columns = {
        "alive_probability": per_buyer(alive),
        "expected_return_share": per_buyer(returning),
        "actual_return_share": per_buyer((backtest.later > 0).astype(float)),
        "expected_count": per_buyer(expected),
        "actual_count": per_buyer(backtest.later),
    }
    return [
        {"version_on": version_on, "decile": each + 1, "customer_count": int(buyers[each])}
        | {name: float(values[each]) for name, values in columns.items()}
        for each in range(DECILES)
        if buyers[each]
    ]


def _tracking(version_on: date, backtest: Backtest, model: btyd.PurchaseModel) -> list[Row]:
    """Cumulative repeats by week since the first history began, as in figure 6 of Fader, Hardie, Lee (2005)."""
    known = backtest.histories
    cut = (backtest.seen_on - timedelta(days=1)).toordinal()
    began = cut - known.age  # ordinal of the day a history began
    origin, end = int(began.min()), (version_on - timedelta(days=1)).toordinal()
    first, at = np.unique(began, return_inverse=True)
    customers = np.bincount(at, weights=known.count)
    lasts = [*range(origin + 6, end, 7), end]
    since = np.maximum(np.array(lasts)[:, None] - first[None, :], 0.0)
    times, where = np.unique(since, return_inverse=True)
    expected = (model.expected_of_new(times)[where].reshape(since.shape) * customers).sum(axis=1)
    days = np.array(sorted(backtest.repeats_on), dtype=object)
    counts = np.cumsum([backtest.repeats_on[day] for day in days]) if len(days) else np.zeros(0)
    ordinals = np.array([day.toordinal() for day in days])
    rows = []
    for week, (last, said) in enumerate(zip(lasts, expected, strict=True), start=1):
        before = int(np.searchsorted(ordinals, last, side="right"))
        rows.append(
            {
                "version_on": version_on,
                "week_number": week,
                "week_to_on": date.fromordinal(last),
                "is_holdout": last > cut,
                "expected_count": float(said),
                "actual_count": (came := int(counts[before - 1]) if before else 0),
                "error_share": (float(said) - came) / came if came else None,
            }
        )
    return rows
