"""Erase: the command that takes people out of a whole home, step by step, in the order in which a crash loses nothing.

Here lives that order, and what a person is told of it; add a step here when a place of the home is cleaned by another room.
Must not know where a person can stand (erase/erasure does) nor how a tool is told (deliver does).

The texts go first, while the lake still says who is meant; then the tombstones, from which on everything goes by keyed hashes; then the
lake, after which nobody may contact the person, so that the tools are told; then what was built, published, exported and remembered.
"""

from __future__ import annotations

from collections.abc import Callable

from userops_pipeline.defs.deliver import declared, deliver_lists
from userops_pipeline.deliver.ledger import Ledger
from userops_pipeline.erase import erasure
from userops_pipeline.erase.erasure import Journal, Report, Request
from userops_pipeline.ground import tombstones
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.intake.shop import Shop
from userops_pipeline.publish import generations

Progress = Callable[[str], None]


def preview(shop: Shop, request: Request) -> dict[str, int]:
    """Whom a request means, in numbers; nothing is changed.

    Raises:
        UserOpsError: landing holds files that cannot be searched.
    """
    erasure.refuse_unknown(shop.home, shop.sources)
    return erasure.resolve(shop.home, shop.sources, request).counts


def erase(shop: Shop, request: Request, rebuild: Callable[[Shop], list[str]], progress: Progress) -> Report:
    """Take the people of a request out of the home and tell the tools; what could not be done stands in the report, and the same command goes on.

    `rebuild` runs the published night anew from the lake and returns the sentences of what failed; it takes the writer's lock itself.

    Raises:
        UserOpsError: landing holds files that cannot be searched, or somebody else is writing; the home is as it was or half cleaned,
            and the same command goes on from there.
    """
    home, sources, report = shop.home, shop.sources, Report()
    with home.writer_lock("erase"):
        erasure.refuse_unknown(home, sources)
        progress("who is meant")
        person = erasure.resolve(home, sources, request)
        report.counts = person.counts
        words = person.words()
        journal = Journal.of(home, request)
        was_finished, finished_before = journal.is_finished, set(journal.document["steps"])
        journal.begin(report.counts)
        progress("logs, pages and Dagster's records")
        report.places |= erasure.clean_texts(home, words)
        crash_point("erase:after_texts")
        tombstones.add(home, person.stones({source.phone_prefix for source in sources}))
        journal.note("remembered")
        crash_point("erase:after_tombstones")
        report.left = erasure.clean_lake(home, sources, progress)
        journal.note("lake", rows={table: sum(rows for name, _, rows, _ in report.left if name == table) for table, *_ in report.left})
        crash_point("erase:after_lake")
        current = generations.current(home)
        nothing_new = not report.left and was_finished and "generations" in finished_before
        if current is not None:
            report.open += _tell(shop, progress)
        if not nothing_new:
            progress("the warehouse and what is published")
            erasure.clean_warehouse(home)
            crash_point("erase:after_warehouse")
    if current is not None and not nothing_new:
        failed = rebuild(shop)
        if failed:
            report.open += [
                *failed,
                f"What is published still holds the person, because {current.as_of} could not be built anew; mend that and give the same "
                "command again.",
            ]
            return report
    with home.writer_lock("erase"):
        crash_point("erase:after_rebuild")
        report.places["generations"] = erasure.clean_generations(home)
        journal.note("generations")
        if current is not None and _waiting(shop):
            report.open = _tell(shop, progress)
        report.places["lines_of_lists"] = erasure.clean_exports(home, sources)
        report.places["rows_of_the_ledger"] = _clean_ledger(shop)
        for kind, count in erasure.clean_texts(home, words).items():
            report.places[kind] += count
        if not report.open:
            journal.finish()
    return report


def _tell(shop: Shop, progress: Progress) -> list[str]:
    """Have the tools told to remove the erased, as every removal is told; a sentence per list whose tool has not acknowledged it."""
    waiting = _waiting(shop)
    if not waiting:
        return []
    progress("the tools")
    _, lists = declared(shop.home)
    names = [name for name in waiting if name in lists]  # of lists that are declared no more, whoever may not be contacted leaves with any
    said = {report.list_name: report.sentence for report in deliver_lists(shop.home, shop.sources, names)}
    return [
        f"{name}: {count} {'person' if count == 1 else 'people'} not acknowledged as removed. {said.get(name, '')}".rstrip()
        for name, count in _waiting(shop).items()
    ]


def _waiting(shop: Shop) -> dict[str, int]:
    """Per list how many erased people its tool still holds by the ledger."""
    if not (shop.home.exports / "ledger.sqlite").is_file():
        return {}
    is_erased = erasure.recognised(shop.home, shop.sources)
    with Ledger.open(shop.home, read_only=True) as ledger:
        held = {state.list_name: sum(map(is_erased, ledger.members(state.list_name))) for state in ledger.states()}
    return {name: count for name, count in held.items() if count}


def _clean_ledger(shop: Shop) -> int:
    """Let the ledger forget the erased where their tool has acknowledged; returns how many rows."""
    if not (shop.home.exports / "ledger.sqlite").is_file():
        return 0
    with Ledger.open(shop.home) as ledger:
        return ledger.forget(erasure.recognised(shop.home, shop.sources))
