"""Deliver: one asset per list and tool, each bringing the tool from what it has to what the current generation says.

Here lives how a delivery appears in Dagster; add here when an operator should see or decide more of it.
Must not compute a list (exports.audiences does) nor talk to a tool (destinations do); it reads nothing but a verified generation.
"""

import dagster as dg

from userops_pipeline.core import generations
from userops_pipeline.core.audiences import ListSpec
from userops_pipeline.core.home import Home, UserOpsError
from userops_pipeline.core.rulebook import from_json
from userops_pipeline.core.rulebook.kinds.lists import ContactList
from userops_pipeline.defs.publish import GENERATION
from userops_pipeline.defs.resources import Shop, WriterLock
from userops_pipeline.defs.transform import rules_of
from userops_pipeline.destinations import registry
from userops_pipeline.destinations.deliver import DeliveryReport, deliver

OPERATIONS_TEAM = "team:user-operations"


class DeliverConfig(dg.Config):
    """`dry_run`: only say what would be sent. That a list may lose more than its set share is said to `userops deliver` alone."""

    dry_run: bool = False


def spec_of(entry: ContactList) -> ListSpec:
    """A list as the rulebook has it, in the shape delivery takes."""
    return ListSpec(**{name: getattr(entry, name) for name in ListSpec.model_fields})


def deliver_lists(
    home: Home, names: list[str] | None = None, *, dry_run: bool = False, allow_removals: list[str] | None = None
) -> list[DeliveryReport]:
    """Deliver these lists (all where none is named) from the current generation, which must verify and say PASS.

    Raises:
        UserOpsError: nothing is published, the generation does not verify, or a name is no list.
    """
    current, lists = declared(home)
    generations.verify(current.path)
    unknown = sorted({*(names or []), *(allow_removals or [])} - set(lists))
    if unknown:
        raise UserOpsError(f"There is no list {unknown[0]!r} in generation {current.id}; its lists are {', '.join(sorted(lists))}.")
    chosen = [lists[name] for name in names or lists]
    return deliver(
        home,
        current.path,
        current.id,
        current.as_of,
        chosen,
        registry.make(home, {spec.tool for spec in chosen}),
        dry_run=dry_run,
        allow_removals=allow_removals or [],
    )


def declared(home: Home) -> tuple[generations.Generation, dict[str, ListSpec]]:
    """The current generation and the lists it was built with."""
    current = generations.current(home)
    if current is None:
        raise UserOpsError("Nothing is published yet, so nothing can be delivered; run a night first.")
    rules = from_json((current.path / "rulebook.json").read_text(encoding="utf-8"))
    return current, {entry.name: spec_of(entry) for entry in rules.lists}


def deliver_assets(shop: Shop) -> list[dg.AssetsDefinition]:
    """One asset per list of the rulebook."""
    return [_list_asset(shop, entry) for entry in rules_of(shop.home).lists]


def _list_asset(shop: Shop, entry: ContactList) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey(["lists", entry.name]),
        deps=[GENERATION],
        group_name="deliver",
        owners=[OPERATIONS_TEAM],
        kinds={entry.tool},
        description=f"One row per user of the segment {entry.segment} who may be contacted by {entry.channel}; kept in {entry.tool} as {entry.mode}.",
    )
    def contact_list(context: dg.AssetExecutionContext, config: DeliverConfig, writer: WriterLock) -> dg.MaterializeResult:
        [report] = deliver_lists(shop.home, [entry.name], dry_run=config.dry_run)
        (context.log.warning if report.needs_attention else context.log.info)(report.sentence)
        if report.outcome in ("stopped", "incomplete"):
            raise dg.Failure(report.sentence)
        return dg.MaterializeResult(
            metadata={
                name: value
                for name, value in report.model_dump(mode="json").items()
                if name
                in ("generation", "outcome", "planned", "added", "updated", "removed", "sent", "held", "failed", "calls", "sentence")
            }
        )

    return contact_list
