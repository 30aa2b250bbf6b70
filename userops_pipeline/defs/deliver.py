"""Deliver: one asset per list and tool, each bringing the tool from what it has to what the current generation says.

Here lives how a delivery appears in Dagster; add here when an operator should see or decide more of it.
Must not compute a list (exports.audiences does) nor talk to a tool (destinations do); it reads nothing but a verified generation.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from userops_pipeline.defs.publish import GENERATION
from userops_pipeline.defs.resources import WriterLock
from userops_pipeline.deliver import permission
from userops_pipeline.deliver.audiences import ListSpec
from userops_pipeline.deliver.delivery import DeliveryReport, deliver
from userops_pipeline.deliver.destinations import registry
from userops_pipeline.deliver.ledger import lost_lists
from userops_pipeline.deliver.recover import recover
from userops_pipeline.ground.home import Home, UserOpsError
from userops_pipeline.intake.nights import conformed_nights
from userops_pipeline.intake.shop import Shop
from userops_pipeline.intake.source import Source
from userops_pipeline.publish import generations
from userops_pipeline.rulebook import from_json
from userops_pipeline.rulebook.current import rules_of
from userops_pipeline.rulebook.kinds.lists import ContactList

OPERATIONS_TEAM = "team:user-operations"


class DeliverConfig(dg.Config):
    """`dry_run`: only say what would be sent. That a list may lose more than its set share is said to `userops deliver` alone."""

    dry_run: bool = False


def spec_of(entry: ContactList) -> ListSpec:
    """A list as the rulebook has it, in the shape delivery takes."""
    return ListSpec(**{name: getattr(entry, name) for name in ListSpec.model_fields})


def deliver_lists(
    home: Home,
    sources: Sequence[Source],
    names: Sequence[str] | None = None,
    *,
    dry_run: bool = False,
    allow_removals: Sequence[str] = (),
) -> list[DeliveryReport]:
    """Deliver these lists (null: all) from the current generation, which must verify and say PASS.

    Everything that may say who may be contacted must have arrived from these sources; what has not holds all but withdrawals. Whoever
    may not be contacted leaves lists that are declared no more too; those are reported after the others, where there is any.

    Raises:
        UserOpsError: nothing is published, the generation does not verify, a name is no list, or the lake holds other sources as well.
    """
    current, lists = declared(home)
    generations.verify(current.path)
    unknown = sorted({*(names or []), *allow_removals} - set(lists))
    if unknown:
        raise UserOpsError(f"There is no list {unknown[0]!r} in generation {current.id}; its lists are {', '.join(sorted(lists))}.")
    return deliver(
        home,
        current.path,
        current.id,
        current.as_of,
        [lists[name] for name in (lists if names is None else names)],
        registry.Tools(home),
        dry_run=dry_run,
        allow_removals=allow_removals,
        untold=permission.untold(home, sources, current.as_of),
        age_days=_age_days(home, current),
        declared=lists,
    )


def declared(home: Home) -> tuple[generations.Generation, dict[str, ListSpec]]:
    """The current generation and the lists it was built with."""
    current = generations.current(home)
    if current is None:
        raise UserOpsError("Nothing is published yet, so nothing can be delivered; run a night first.")
    rules = from_json((current.path / "rulebook.json").read_text(encoding="utf-8"))
    return current, {entry.name: spec_of(entry) for entry in rules.lists}


def _age_days(home: Home, current: generations.Generation) -> int:
    """Days a generation is behind: since it was made current, or nights that the lake holds after its own."""
    newest = max((night.night for night in conformed_nights(home)), default=current.as_of)
    return max((datetime.now(UTC) - generations.made_current_at(home)).days, (newest - current.as_of).days)


def recover_lists(home: Home, names: Sequence[str], *, fresh: bool, file: Path | None) -> list[str]:
    """Put a ledger in the place of a lost one, with whom the tools hold; a sentence per list.

    Raises:
        UserOpsError: nothing is published, a name is no list, or whom a tool holds cannot be told; the sentence says what can be done.
    """
    current, lists = declared(home)
    given_up = sorted(set(names) - set(lists))
    if given_up and not (fresh and set(given_up) <= set(lost_lists(home))):
        raise UserOpsError(f"There is no list {given_up[0]!r} in generation {current.id}; its lists are {', '.join(sorted(lists))}.")
    chosen = [lists[name] for name in names or lists if name in lists]
    return recover(home, current.id, current.as_of, chosen, registry.Tools(home), fresh=fresh, file=file, given_up=given_up)


def deliver_assets(shop: Shop) -> list[dg.AssetsDefinition]:
    """One asset per list of the rulebook."""
    return [_list_asset(shop, entry) for entry in rules_of().lists]


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
        reports = deliver_lists(shop.home, shop.sources, [entry.name], dry_run=config.dry_run)
        for report in reports:
            (context.log.warning if report.needs_attention else context.log.info)(report.sentence)
        if wrong := [report.sentence for report in reports if report.needs_attention]:
            raise dg.Failure(" ".join(wrong))
        report = reports[0]
        return dg.MaterializeResult(
            metadata={
                name: value
                for name, value in report.model_dump(mode="json").items()
                if name
                in (
                    *("generation", "outcome", "planned", "added", "updated", "removed", "withdrawn", "sent", "held", "failed"),
                    *("aside", "calls", "sentence"),
                )
            }
        )

    return contact_list
