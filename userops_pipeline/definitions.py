"""The composition root: joins the steps into one Dagster location, and defines nothing.

Here stands the list of parts; add a part by a line. Logic belongs into the parts.
"""

import dagster as dg

from userops_pipeline.defs.automation import nightly_job, nightly_schedule, watch_sensors
from userops_pipeline.defs.deliver import deliver_assets
from userops_pipeline.defs.gate import gate_checks
from userops_pipeline.defs.land import land_assets
from userops_pipeline.defs.publish import publish_asset
from userops_pipeline.defs.resources import WriterLock, progress_logger
from userops_pipeline.defs.review import review_asset
from userops_pipeline.defs.score import score_assets
from userops_pipeline.defs.transform import build_assets
from userops_pipeline.ground import shop_file
from userops_pipeline.ground.home import keep_private
from userops_pipeline.intake.shop import Shop

keep_private()  # whoever loads this location, Dagster's own processes too, writes for its owner alone


def build_definitions(shop: Shop) -> dg.Definitions:
    """Everything Dagster knows of one shop."""
    job = nightly_job(shop)
    return dg.Definitions(
        assets=[*land_assets(shop), build_assets(shop), score_assets(shop), publish_asset(shop), review_asset(shop), *deliver_assets(shop)],
        asset_checks=[gate_checks(shop)],
        jobs=[job],
        schedules=[nightly_schedule(job)],
        sensors=watch_sensors(shop),
        resources={"writer": WriterLock(home=str(shop.home.root))},
        executor=dg.in_process_executor,
        loggers={"console": progress_logger},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The shop around, or that the environment names."""
    shop_file.enter()
    return build_definitions(Shop.from_environment())
