"""The doctor: everything in a home that is not as it should be, each with how to mend it, read without starting anything.

Here lives what is looked at and in which order; add an examination here when something went wrong that nobody saw.
Must not write, nor mend: it says what to do.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import duckdb

from userops_pipeline.deliver.ledger import Ledger, health
from userops_pipeline.erase.erasure import unfinished
from userops_pipeline.ground.home import Home, UserOpsError, sha256_of
from userops_pipeline.ground.lake import quarantined
from userops_pipeline.ground.verdicts import Finding
from userops_pipeline.intake import lake_proof
from userops_pipeline.intake.landing import Manifest, refused
from userops_pipeline.intake.nights import conformed_nights
from userops_pipeline.intake.source import load_source
from userops_pipeline.oncall import alerts, runs, watch
from userops_pipeline.publish import generations
from userops_pipeline.publish.generation_files import GenerationError
from userops_pipeline.rulebook import from_json

LOOK_AHEAD = 62  # nights after the newest published one for which a source is asked for files
SHOWN = 3


def examine(home: Home) -> list[Finding]:
    """What is wrong, worst first; empty where all is well. What cannot be looked at is a finding itself, and hides no other."""
    if not home.root.is_dir() or not any(home.root.iterdir()):
        where = f"The home {home.root} {'is empty' if home.root.is_dir() else 'does not exist'}"
        return [
            Finding("error", f"{where}; say where it is with --home or USEROPS_HOME, or run a first night: `userops backfill`.", "home")
        ]
    findings: list[Finding] = []
    for about, look in EXAMINATIONS.items():
        try:
            findings += [Finding(severity, sentence, about) for severity, sentence in look(home)]
        except (UserOpsError, OSError, ValueError, KeyError, duckdb.Error) as error:
            why = str(error) if isinstance(error, UserOpsError) else f"{type(error).__name__}; look at the disk and at who owns the files."
            findings.append(Finding("error", f"The {about} cannot be examined: {why}", about))
    return sorted(findings, key=lambda finding: finding.severity != "error")


# Severity and sentence; an examination's name is what its findings are about.
_Severity = Literal["error", "warn"]
_Seen = Iterator[tuple[_Severity, str]]


def _runs(home: Home) -> _Seen:
    """Nights that are held or failed, runs that died, and one that is under way."""
    remembered = runs.runs(home)
    for run in runs.unmended(remembered):
        state = {"held": "is held", "list": "is published, but a list did not go out"}.get(run.outcome, "failed")
        when = f"{run.ended_at or run.started_at:%Y-%m-%d %H:%M} UTC, run {run.id[:8]}"
        again = f" Mended, run it again: `userops nightly --date {run.last}`." if run.last else ""
        yield "error", f"{run.nights} {state} since {when}, at {run.step or watch.BEFORE}: {run.cause}{again}"
    for run in remembered:
        if run.outcome == "running" and not (run.is_dead and runs.is_made_good(run, remembered)):
            if run.is_dead and not home.is_being_written():
                yield "error", f"{run.nights} (run {run.id[:8]}, since {run.started_at:%Y-%m-%d %H:%M} UTC): {watch.KILLED}"
            else:
                yield "warn", f"{run.nights} is under way (run {run.id[:8]}, since {run.started_at:%Y-%m-%d %H:%M} UTC)."


def _published(home: Home) -> _Seen:
    """What is published, and how far it is behind what was delivered, landed and conformed, and behind the day."""
    calendar = runs.calendar_of(runs.runs(home))
    try:
        current = generations.current(home)
    except GenerationError:
        return  # the examination of the generations says more
    late = watch.stale(home, calendar)
    if late is not None:
        yield "error", late
    if current is None:
        yield "error", "Nothing is published yet; run a night: `userops nightly --date D`, or all of them: `userops backfill`."
        return
    warned = sorted(check.name for check in current.manifest.checks if not check.passed)
    if warned:
        more = f" and {len(warned) - SHOWN} more" if len(warned) > SHOWN else ""
        yield (
            "warn",
            f"{current.as_of} is published with warnings: {', '.join(warned[:SHOWN])}{more}. The log of its gate and build has the figures.",
        )
    for kind, nights in current.manifest.extra.get(generations.WITHOUT_FILE, {}).items():
        yield (
            "warn",
            f"What is published has no file of {kind} for {nights}; deliver it and run those nights again, or name them under quiet in source.yml.",
        )
    landed = [date.fromisoformat(path.name) for path in home.landing.glob("*/*/2*")]
    conformed = [night.night for night in conformed_nights(home)]
    newest = max([*landed, *conformed], default=current.as_of)
    if newest > current.as_of:
        behind = (newest - current.as_of).days
        place = "in the lake" if newest in conformed else "landed"
        yield (
            "error",
            f"{newest} is {place}, but the newest night published is {current.as_of}: {behind} {'night' if behind == 1 else 'nights'} "
            f"behind. Run `userops nightly --date {newest}`; if it is held, its reason stands above.",
        )
    delivered = _delivered(max(newest, current.as_of))
    if delivered is not None and not late:
        yield "warn", f"Files of {delivered} lie at the source and no run has taken them yet; `userops nightly --date {delivered}` does."


def _delivered(after: date) -> date | None:
    """The newest night after this one for which a source that the environment names has a file."""
    found = None
    for name in (os.environ.get("USEROPS_SOURCE") or "").split(","):
        if not name.strip():
            continue
        source = load_source(name.strip())
        for night in (after + timedelta(days=ahead) for ahead in range(1, LOOK_AHEAD)):
            if any(any(True for _ in source.files_of(file, night)) for file in source.files.values() if file.daily):
                found = max(found or night, night)
    return found


def _generations(home: Home) -> _Seen:
    for finding in generations.doctor(home):
        yield finding.severity, finding.sentence


def _deliveries(home: Home) -> _Seen:
    """Refused files, rows set aside tonight and before, and a conform or an erasure that died."""
    for sentence in unfinished(home):
        yield "error", sentence
    for file in refused(home):
        yield "error", f"A delivered file is refused: {file['reason']}"
    for path in home.nights.glob("*.pending.json"):
        yield (
            "error",
            f"A conform of {path.name.removesuffix('.pending.json')} died before its end; the next run of that source finishes it.",
        )


def _lake(home: Home) -> _Seen:
    """The lake against the marks of its nights, every file to its last byte; what was landed, against its manifests."""
    if home.is_being_written():
        return  # by the run that the first examination names
    marks = [(night.night, night.files) for night in conformed_nights(home)]
    for sentence in lake_proof.problems(home, marks, read_whole=lambda _: True):
        yield (
            "error",
            f"{sentence}; restore it from a backup, or conform that night again from landing: `userops nightly --date` with its date.",
        )
    for place in sorted(home.landing.rglob("*.manifest.json")):
        landed = Manifest.model_validate_json(place.read_text(encoding="utf-8"))
        copy = place.with_name(landed.name)
        if not copy.is_file() or sha256_of(copy) != landed.sha256:
            yield "error", f"lake/landing/{copy.relative_to(home.landing)} is not what was landed; restore it from a backup."


def _quarantine(home: Home) -> _Seen:
    known = conformed_nights(home)
    tonight = known[-1].night if known else None
    waiting = sum(entry.rows for entry in quarantined(home))
    fresh = sum(entry.rows for entry in quarantined(home, night=tonight)) if tonight else 0
    if fresh:
        yield "warn", f"{_rows(fresh)} of tonight ({tonight}) in quarantine; `userops quarantine list --tonight` says why."
    if waiting > fresh:
        yield "warn", f"{_rows(waiting - fresh)} of earlier nights in quarantine; `userops quarantine list` says why."


def _rows(count: int) -> str:
    return "1 row waits" if count == 1 else f"{count:,} rows wait"


def _lists(home: Home) -> _Seen:
    """A ledger that is lost; lists held or cut off, batches of unknown outcome, rows a tool refuses, lists that no rule declares any more."""
    lost = health(home)
    for sentence in lost:
        yield "error", sentence
    if lost or not home.exports.is_dir():
        return
    with Ledger.open(home, read_only=True) as ledger:
        states, unsettled, gone = ledger.states(), ledger.unsettled(), ledger.lost()
    for name in gone:
        yield (
            "error",
            f"Whom {name} has at its tool was lost with an earlier ledger; userops ledger recover {name}, if need be with --fresh.",
        )
    ended = {
        "held": "is held",
        "incomplete": "was not taken whole",
        "stopped": "was stopped",
        "recovered": "was recovered and not delivered since",
        None: "was cut off",
    }
    for entry in unsettled:
        yield (
            "error",
            f"The list {entry.list_name} {ended.get(entry.outcome, entry.outcome)} at {entry.tool} as of {entry.as_of} (since "
            f"{entry.started_at[:16].replace('T', ' ')} UTC); `userops deliver {entry.list_name} --dry-run` says why, without --dry-run it goes on.",
        )
    for state in states:
        if state.open_batches:
            yield (
                "warn",
                f"{state.open_batches} batches of {state.list_name} ({state.open_rows:,} rows) went to {state.tool} without an answer; the next "
                f"`userops deliver {state.list_name}` settles them.",
            )
        if state.dead_rows:
            told = ", ".join(f"{count:,} {error}" for error, count in sorted(state.dead_rows.items()))
            yield "warn", f"{state.tool} refuses rows of {state.list_name} ({told}); they are tried again at every delivery."
    current = generations.current(home)
    if current is None:
        return
    declared = {entry.name for entry in from_json((current.path / "rulebook.json").read_text(encoding="utf-8")).lists}
    for state in states:
        if state.list_name not in declared and state.members:
            yield (
                "warn",
                f"The list {state.list_name} is declared no more, but {state.tool} still holds {state.members:,} members; delete it there.",
            )


def _disk(home: Home) -> _Seen:
    """Whether a build and a generation of last night's size fit once more."""
    free = shutil.disk_usage(home.root).free
    needed = _bytes(home.warehouse.parent) + _bytes(home.published / "current")
    if free < needed:
        yield (
            "error",
            f"The disk has {free / 1e9:,.1f} GB free, and last night's warehouse and generation take {needed / 1e9:,.1f} GB: the next night may "
            "not fit. Free space, or move the home.",
        )


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _permissions(home: Home) -> _Seen:
    """Files that others on this machine can read though they hold what is private: all but what is published."""
    everything = [Path(folder, name) for folder, names in _open_folders(home.root) for name in names]
    open_ones = [path for path in everything if stat.S_IMODE(path.lstat().st_mode) & 0o044 and not path.is_symlink()]
    if open_ones:
        named = ", ".join(str(path.relative_to(home.root)) for path in open_ones[:SHOWN])
        more = f" and {len(open_ones) - SHOWN:,} more" if len(open_ones) > SHOWN else ""
        yield "error", f"Others on this machine can read {named}{more}; close the home: `chmod -R go= {home.root}`."


def _open_folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    """The folders of the home that others can pass into, with their files; but for the published tables, which may be shared."""
    shared = {root / "published", root / "published" / "generations", root / "published" / "reviews"}
    for folder, below, names in os.walk(root):
        if not stat.S_IMODE(os.stat(folder).st_mode) & 0o011:
            below.clear()
            continue
        is_published = Path(folder) in shared or Path(folder).parent in shared
        if not is_published:
            yield folder, names


def _alerts(home: Home) -> _Seen:
    for sentence in alerts.untold(home):
        yield "warn", sentence


EXAMINATIONS: dict[str, Callable[[Home], _Seen]] = {
    "runs": _runs,
    "published nights": _published,
    "generations": _generations,
    "lists": _lists,
    "delivered files": _deliveries,
    "lake": _lake,
    "quarantine": _quarantine,
    "disk": _disk,
    "permissions": _permissions,
    "alerts": _alerts,
}
