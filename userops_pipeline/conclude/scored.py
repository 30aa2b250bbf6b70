"""The scored tables: which there are, what is declared of them, what they are made from, and what must hold of them.

Add a setting here with its range, and a check when a scored table could be wrong in a way nobody would see; its bad case belongs to
tests/conclude/test_score.py. Must not write a table (score does) nor import scipy, which takes longer to load than a small night needs to look
at this.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

USERS, FITS, CALIBRATION, TRACKING = "user_value", "value_model_fits", "value_calibration", "value_tracking"
HISTORY = "int_value_history"
BY_VERSION = (FITS, CALIBRATION, TRACKING)
# The models that the step `score` reads.
INPUTS = (
    ("marts", "user_profile"),
    ("intermediate", "int_buyer"),
    ("intermediate", "int_value_version"),
    ("intermediate", HISTORY),
    ("intermediate", "int_value_spend"),
    ("intermediate", "int_value_tracking"),
)


class Band(BaseModel):
    """Users at least so likely to buy still carry the band's name, if no band above fits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    label: str
    alive_from: float = Field(ge=0, le=1)


class ValueRules(BaseModel):
    """What is declared at `user_value`: the model, what it counts since when, what it is asked, and what must be there before it is believed.

    `origin` says where the time of a user begins: at the first purchase, which is then no repeat (Fader, Hardie, Lee 2005), or at the
    registration, from which on every purchase counts and who has not bought is in the model too. `purchase` says what counts once: a
    business day with orders, or each order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Literal["mbg_nbd", "bg_nbd"]
    origin: Literal["first_purchase", "registration"]
    purchase: Literal["day", "order"]
    horizon_days: int = Field(ge=1, le=3650)
    discount_rate: float = Field(ge=0, le=1)
    min_buyers: int = Field(ge=1)
    min_repeat_buyers: int = Field(ge=1)
    min_history_days: int = Field(ge=0)
    max_days_since_order: int = Field(ge=0)
    min_orders_of_some: int = Field(ge=2)
    max_spend_correlation: float = Field(ge=0, le=1)
    bands: tuple[Band, ...] = Field(min_length=1)


class HistoryRules(BaseModel):
    """What is declared at `int_value_history`: how far back the tested version lies, and from how many users on groups are coarse."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    holdout_months: int = Field(ge=1, le=24)
    exact_customers: int = Field(ge=1)
    time_steps: int = Field(ge=16, le=1000)


# What must hold of the tables, as the rows that do not.
CHECKS = {
    "every_user_has_one_value": f"""
        select coalesce(users.user_id, scored.user_id) from marts.user_profile as users
        full join (select user_id, count(*) as lines from marts.{USERS} group by user_id) as scored on users.user_id = scored.user_id
        where users.user_id is null or scored.lines is distinct from 1""",
    "predictions_stand_where_users_are_eligible": f"""
        select user_id from marts.{USERS}
        where (eligibility = 'eligible' and (alive_probability is null or churn_risk is null or predicted_order_count is null))
            or (eligibility <> 'eligible' and (coalesce(alive_probability, predicted_order_count) is not null
                or coalesce(churn_risk, cast(next_order_on as varchar)) is not null))
            or (amount_eligibility = 'eligible' and (predicted_amount is null or total_amount is null or eligibility <> 'eligible'))
            or (amount_eligibility <> 'eligible' and coalesce(predicted_amount, total_amount) is not null)
            or not (eligibility = 'eligible' or eligibility like 'not_eligible: _%')
            or not (amount_eligibility = 'eligible' or amount_eligibility like 'not_eligible: _%')""",
    "predicted_values_are_possible": f"""
        select user_id from marts.{USERS}
        where alive_probability not between 0 and 1 or predicted_order_count < 0 or predicted_amount < 0
            or total_amount <> historic_amount + predicted_amount or next_order_on <= last_purchase_on""",
    "fits_and_their_tests_belong_together": f"""
        select version_on from marts.{FITS}
        where (eligibility = 'eligible' and not (is_converged and r > 0 and alpha > 0 and a > 0 and b > 0))
            or holdout_customer_count is distinct from
                (select cast(sum(customer_count) as bigint) from marts.{CALIBRATION} as rows where rows.version_on = {FITS}.version_on)""",
}
