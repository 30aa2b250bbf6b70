"""The scored tables: which there are, what they are made from, and what must hold of them, known before statistics are loaded.

Add a check here when a scored table could be wrong in a way nobody would see; its bad case belongs to tests/core/test_score.py.
Must not write a table (score does) nor import scipy, which takes longer to load than a small night needs to look at this.
"""

from __future__ import annotations

USERS, FITS, CALIBRATION, TRACKING = "user_value", "value_model_fits", "value_calibration", "value_tracking"
BY_VERSION = (FITS, CALIBRATION, TRACKING)
# The models that the step `score` reads.
INPUTS = (
    ("marts", "user_profile"),
    ("intermediate", "int_buyer"),
    ("intermediate", "int_value_version"),
    ("intermediate", "int_value_history"),
    ("intermediate", "int_value_spend"),
    ("intermediate", "int_value_tracking"),
)

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
