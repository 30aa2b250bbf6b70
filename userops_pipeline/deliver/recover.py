"""Recovery: puts a ledger in the place of one that is lost, with everybody whom the tools hold or may hold.

Here live the ways to learn that: the tool's own answer, a file somebody took from it, or a stated fresh start. Add here another way.
Must not send anything: the next delivery does, and takes off whoever may not be contacted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path

from userops_pipeline.deliver.audiences import ListSpec, Member
from userops_pipeline.deliver.delivery import only_delivery
from userops_pipeline.deliver.destinations.base import Destination, OutcomeUnknown, ReadsBack
from userops_pipeline.deliver.destinations.csv_file import members_of
from userops_pipeline.deliver.ledger import Ledger, LedgerLost
from userops_pipeline.deliver.permission import NewestWord
from userops_pipeline.ground.home import Home, UserOpsError


def recover(
    home: Home,
    generation: str,
    as_of: date,
    lists: Sequence[ListSpec],
    destinations: Mapping[str, Destination],
    *,
    fresh: bool = False,
    file: Path | None = None,
    given_up: Collection[str] = (),
) -> list[str]:
    """Begin these lists anew in the ledger, which is replaced if it is lost; a sentence per list.

    Of a list of which nothing is known after a fresh start, everybody in the lake may be at the tool: the next delivery sends the whole
    list and takes off everybody else whom its mode or the newest word does not leave there. Lists `given_up` are declared no more.

    Raises:
        UserOpsError: whom a tool holds cannot be told, or another delivery is under way; then nothing is changed.
    """
    if file is not None and (fresh or len(lists) != 1):
        raise UserOpsError("A file tells of one list, so name exactly one beside --from, and not --fresh; nothing was changed.")
    with only_delivery(home):
        told = {spec.name: _told(home, spec, destinations, fresh=fresh, file=file) for spec in lists}
        if _is_lost(home):
            Ledger.start_anew(home)
        with Ledger.open(home) as ledger:
            for spec in lists:
                ledger.recover(spec, generation, as_of, told[spec.name])
            for name in given_up:
                ledger.give_up(name)
    gone = [f"{name} is declared no more, and whom its tool holds is lost: delete the list there." for name in given_up]
    return gone + [
        f"{spec.name}: {spec.tool} may hold {len(told[spec.name]):,} people; the next delivery brings it up to date." for spec in lists
    ]


def _told(home: Home, spec: ListSpec, destinations: Mapping[str, Destination], *, fresh: bool, file: Path | None) -> Mapping[str, Member]:
    """Everybody whom a tool holds, or may hold, of a list."""
    if fresh:
        with NewestWord.open(home) as word:
            return {value: Member(None) for value in word.everybody(spec.match_key, spec.channel)}
    try:
        if file is not None:
            found = members_of(file, spec)
            if not found:
                raise UserOpsError(
                    f"The file {file.name} names nobody in a column {spec.match_field}, by which {spec.tool} knows the people of {spec.name}; "
                    "nothing was changed."
                )
            return found
        destination = destinations.get(spec.tool)
        if not isinstance(destination, ReadsBack):
            raise UserOpsError(
                f"{spec.tool} cannot be asked whom it holds of {spec.name}, and nothing was changed; export the list there and give the file: "
                f"userops ledger recover {spec.name} --from FILE (a CSV with the column {spec.match_field}), or state a fresh start with --fresh."
            )
        return destination.read_back(spec)
    except OutcomeUnknown as error:
        raise UserOpsError(f"Whom {spec.tool} holds of {spec.name} could not be read ({error.error_class}); nothing was changed.") from None


def _is_lost(home: Home) -> bool:
    """Whether the ledger as a whole cannot be used; a damaged list is begun anew within it."""
    with contextlib.suppress(LedgerLost), Ledger.open(home, read_only=True):
        return False
    return True
