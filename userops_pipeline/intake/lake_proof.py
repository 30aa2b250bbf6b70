"""The lake's proof: what every conformed night was made of and left on the disk, and whether it is all still there, unchanged and alone.

Here lives how lake and landing are held against the marks of their nights; add here what else a night must be able to prove.
Must not mend anything: who builds refuses, who looks (doctor) tells, and a night is conformed again from landing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path

from userops_pipeline.ground.home import Home, UserOpsError, sha256_of
from userops_pipeline.ground.lake import EMPTY_FILE
from userops_pipeline.intake.landing import manifests
from userops_pipeline.intake.source import Source

Files = dict[str, tuple[int, str]]  # by path below lake/: bytes and SHA-256


def files_of(home: Home, source: str, night: date) -> Files:
    """The files a source's night has in raw, quarantine and accounting."""
    folder = f"arrived_on={night.isoformat()}"
    places = [
        *home.raw.glob(f"*/{folder}/*.parquet"),
        *home.quarantine.glob(f"*/{folder}/*.parquet"),
        *home.accounting.glob(f"{folder}/*.parquet"),
    ]
    # Up to its first dot a file is named for its source.
    own = sorted(place for place in places if place.name.partition(".")[0] == source)
    return {_name(home, place): (place.stat().st_size, sha256_of(place)) for place in own}


def problems(home: Home, marks: Iterable[tuple[date, Files]], *, read_whole: Callable[[Path], bool]) -> list[str]:
    """What of the lake is not as the marks of its nights say, a sentence each; `read_whole` says which files are compared to the last byte.

    Of the others only presence and size are looked at, which costs no reading; a file no mark names would be read as data, so it is told too.
    """
    known: Files = {}
    found = []
    for night, files in marks:
        known |= files
        for name, (size, digest) in files.items():
            place = _lake(home) / name
            if not place.is_file():
                found.append(f"lake/{name} is missing, though the night of {night} is accounted for with it")
            elif place.stat().st_size != size or (read_whole(place) and sha256_of(place) != digest):
                found.append(f"lake/{name} is not what the night of {night} left there")
    on_disk = [*home.raw.glob("*/*/*.parquet"), *home.quarantine.glob("*/*/*.parquet"), *home.accounting.glob("*/*.parquet")]
    strangers = sorted(name for place in on_disk if (name := _name(home, place)) not in known and place.name != EMPTY_FILE)
    return found + [f"lake/{name} belongs to no conformed night" for name in strangers]


def landed(home: Home, source: Source, night: date) -> dict[str, str]:
    """SHA-256 of what a night is conformed from, by path below lake/landing/: its own drops and, where there are any, the archives."""
    found = {}
    for name, file in source.files.items():
        for place, manifest in manifests(home, source, name, night if file.daily else None):
            found[place.relative_to(home.landing).as_posix()] = manifest.sha256
    return found


def refuse_other_landing(home: Home, source: Source, nights: Iterable[date], before: Mapping[date, Iterable[str]]) -> None:
    """Stop a conform that would lose rows: what a night was made of `before` must still be landed, and be what its manifest says.

    Raises:
        UserOpsError: with the file, and how to mend it.
    """
    known: dict[str, str] = {}
    for night in nights:
        present = landed(home, source, night)
        gone = sorted(name for name in before.get(night, ()) if name not in present)
        if gone:
            raise UserOpsError(
                f"lake/landing/{gone[0]} is gone, although the night of {night} was conformed from it. Nothing was changed. Restore it and its "
                f"manifest from a backup; if it is meant to be gone, remove lake/nights/{night}/{source.name}.json as well."
            )
        known |= present
    for name, digest in known.items():
        if not (home.landing / name).is_file() or sha256_of(home.landing / name) != digest:
            raise UserOpsError(
                f"lake/landing/{name} is not what was landed (its manifest states another content). Nothing was changed. Restore it from a "
                "backup, or remove it with its manifest and let it land again."
            )


def refuse(found: list[str]) -> None:
    """Stop a build that would read something else than what was accounted for.

    Raises:
        UserOpsError: with the first problem and how to mend it.
    """
    if found:
        more = f" (and {len(found) - 1} more; `userops doctor` names all)" if len(found) > 1 else ""
        raise UserOpsError(
            f"The lake is not what was accounted for: {found[0]}{more}. Nothing was built. Restore it from a backup, remove what does not "
            "belong there, or conform that night again from landing: `userops nightly --date` with its date."
        )


def _lake(home: Home) -> Path:
    return home.root / "lake"


def _name(home: Home, place: Path) -> str:
    return place.relative_to(_lake(home)).as_posix()
