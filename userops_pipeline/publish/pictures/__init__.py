"""Pictures: tables that are understood faster as a drawing, made to be read at a glance in the Dagster UI and in the review.

Here live the drawings by subject; every function takes plain numbers and returns a Picture. Add here when a table needs a new form.
Must not query anything, decide a number, or hold a rule.
"""

from userops_pipeline.publish.pictures.canvas import Picture
from userops_pipeline.publish.pictures.lifecycle import (
    Band,
    Bar,
    Move,
    Period,
    UserNight,
    active_users,
    lifecycle_counts,
    lifecycle_history,
    period_lifecycle,
    purchase_funnel,
    stage_flow,
)
from userops_pipeline.publish.pictures.lists import ListSize, list_sizes
from userops_pipeline.publish.pictures.retention import Cohort, Curve, SurvivalStep, retention_heat_map, survival_curves
from userops_pipeline.publish.pictures.value import (
    GridCell,
    Tenth,
    TrackedWeek,
    rfm_grid,
    value_calibration,
    value_concentration,
    value_tracking,
)

__all__ = [
    "Band",
    "Bar",
    "Cohort",
    "Curve",
    "GridCell",
    "ListSize",
    "Move",
    "Period",
    "Picture",
    "SurvivalStep",
    "Tenth",
    "TrackedWeek",
    "UserNight",
    "active_users",
    "lifecycle_counts",
    "lifecycle_history",
    "list_sizes",
    "period_lifecycle",
    "purchase_funnel",
    "retention_heat_map",
    "rfm_grid",
    "stage_flow",
    "survival_curves",
    "value_calibration",
    "value_concentration",
    "value_tracking",
]
