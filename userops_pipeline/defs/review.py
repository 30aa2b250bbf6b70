"""Review: the published night as pictures, in the UI and as one page for people.

Here lives what Dagster shows of publish/review; lists do not wait for it, so a picture that cannot be drawn keeps nobody from being reached.
Add here when the UI should show more of it; a section or a picture is added in publish.
"""

import time

import dagster as dg

from userops_pipeline.defs.publish import GENERATION
from userops_pipeline.defs.resources import DATA_TEAM, partition_range, partitions_of, shown
from userops_pipeline.intake.shop import Shop
from userops_pipeline.publish import review as room

REVIEW = dg.AssetKey(["published", "review"])


def review_asset(shop: Shop) -> dg.AssetsDefinition:
    """The page of the last night of a run, after its generation."""

    @dg.asset(
        key=REVIEW,
        deps=[GENERATION],
        group_name="publish",
        owners=[DATA_TEAM],
        kinds={"html"},
        description="One row per reviewed night: the published tables as one page of pictures and tables, in English and Chinese.",
        partitions_def=partitions_of(shop),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def review(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        begun = time.perf_counter()
        _, as_of = partition_range(context, shop.home)
        generation = room.published_on(shop.home, as_of)
        made = room.review(generation)
        path = room.write(shop.home.review_of(as_of), made)
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(str(path)),
                "generation": generation.id,
                "seconds": round(time.perf_counter() - begun, 3),
                **{name: shown(picture) for name, picture in made.pictures.items()},
            }
        )

    return review
