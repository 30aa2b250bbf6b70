"""A shop as its archive tells it: one file of users, one of orders, most customers with one order, over as many nights as asked.

Here lives the shape of history that is long and thin: many nights, few acts a user. Add a table when an archive of that shape strains another one.
Must not use chance: the same numbers make the same files.
"""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from pathlib import Path

from userops_pipeline.intake.source import Source, load_source

FIRST = date(2024, 1, 1)
AGAIN = 20  # of so many customers one comes back


def archive(folder: Path, customers: int, nights: int) -> Source:
    """Write the files and the source that reads them, into an empty folder."""
    (folder / "files").mkdir(parents=True)
    bought = [(number, (number * 7919) % nights) for number in range(customers)]
    bought += [(number, night + (nights - night) // 2) for number, night in bought if number % AGAIN == 0]
    _write(
        folder / "files" / "users.csv",
        ("user_id", "registered_at"),
        [(f"c{number}", f"{FIRST + timedelta(days=night)} 08:00:00") for number, night in bought[:customers]],
    )
    _write(
        folder / "files" / "orders.csv",
        ("order_id", "user_id", "ordered_at", "status", "amount", "currency"),
        [
            (f"o{place}", f"c{number}", f"{FIRST + timedelta(days=night)} 12:00:00", "completed", f"{10 + number % 90}.50", "CNY")
            for place, (number, night) in enumerate(bought)
        ],
    )
    document = {
        "about": "An archive of many nights and few acts",
        "business_zone": "UTC",
        "zone": "UTC",
        "first_night": str(FIRST),
        "last_night": str(FIRST + timedelta(days=nights - 1)),
        "root": {"path": str(folder / "files")},
        "files": {
            "users_file": {"path": "users.csv", "columns": ["user_id", "registered_at"]},
            "orders_file": {"path": "orders.csv", "columns": ["order_id", "user_id", "ordered_at", "status", "amount", "currency"]},
        },
        "tables": {"users": {"each": "users_file"}, "orders": {"each": "orders_file"}},
    }
    (folder / "source.yml").write_text(json.dumps(document), encoding="utf-8")
    (folder / "users.sql").write_text("select user_id, registered_at, _file, _row, night(registered_at) as _night from users_file\n")
    (folder / "orders.sql").write_text(
        "select order_id, user_id, ordered_at, status, amount, currency, _file, _row, night(ordered_at) as _night from orders_file\n"
    )
    return load_source(str(folder))


def _write(file: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])
