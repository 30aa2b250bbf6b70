"""What the bench measured, as the tables that docs/proof.md has.

Add a line here when `scale` measures more. Must not measure, and must still read results that lack what was added later.
"""

from collections.abc import Mapping, Sequence

from tests.bench.rooms import CUSTOMERS

BUILDS = ("build", "history", "increment")
USED = ("| | wall s | CPU s | peak GiB | wall ÷ DuckDB by hand | CPU ÷ DuckDB by hand |", "|---|---|---|---|---|---|")


def markdown(result: dict, sizes: Sequence[dict]) -> str:
    """The tables as docs/proof.md has them; `sizes` are the newest results of each size."""
    inputs = ", ".join(f"{count:,} {name}" for name, count in result["inputs"].items())
    lines = [f"Size {result['size']}: {inputs}; load {result['load']:.1f}, medians of {result['repeats']}", "", *USED]
    lines += [_used(row) for row in result["rows"]]
    for name in BUILDS:
        entry = result[name]
        lines.append(f"| {_label(name, result)} | {entry['wall']} | {entry['cpu']} | {entry['peak_gib']} | | |")
    lines += ["", *_by_table(result["rows"])]
    if "users_rows" in result:
        lines += [
            "",
            "Tables of customers:",
            "",
            *USED,
            *(_used(row) for row in result["users_rows"]),
            "",
            *_by_table(result["users_rows"]),
        ]
    lines += [
        "",
        f"{_label('increment', result)} ÷ {_label('history', result)}: {result['increment_share']:.1%} of wall, {result['increment_cpu_share']:.1%} of CPU",
    ]
    for name in BUILDS:
        entry = result[name]
        parts = ", ".join(f"{part} {cpu} ({cpu / entry['cpu']:.0%})" for part, cpu in entry["cpu_parts"].items())
        largest = ", ".join(f"{model} {cpu}" for model, cpu in entry["largest"].items())
        since = "from nothing" if entry["seconds"]["from_nothing"] else f"facts from {entry['seconds']['window_from']} on"
        made = f"{entry['seconds']['nights']} nights of tables in {entry['seconds']['legs']} leg(s)"
        lines += ["", f"{_label(name, result)} ({since}, {made}), CPU s: {parts}; largest models: {largest}"]
    lines += ["", *_by_room(result)]
    if "score" in result:
        lines += _fit(result["score"]["fitting"], result["score"]["again"])
    for name, what in (("score_failed", "the step score"), ("fixed_failed", "a night with nothing new")):
        if name in result:
            lines += ["", f"{what} could not be measured: {result[name]}"]
    if "fixed" in result:
        parts = ", ".join(f"{name} {seconds}" for name, seconds in result["fixed"].items())
        lines += ["", f"a night with nothing new, seconds: {parts}"]
    lines += [
        "",
        "| size | events | whole build CPU s | events per CPU s | our models CPU s | events per CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for one in sizes:
        events, ours = one["inputs"]["events"], one["rows"][0]["cpu_of_tables"]
        per_second = [f"{events / seconds:,.0f}" for seconds in (one["build"]["cpu"], ours)]
        lines.append(f"| {one['size']} | {events:,} | {one['build']['cpu']} | {per_second[0]} | {ours} | {per_second[1]} |")
    return "\n".join(lines)


def _used(row: Mapping) -> str:
    if "ended" in row:
        return f"| {row['name']} | {row['ended']} | | | | |"
    cells = [row.get("models", row["wall"]), row["cpu_of_tables"], row["peak_gib"], row.get("ratio", ""), row.get("cpu_ratio", "")]
    return f"| {row['name']} | {' | '.join(map(str, cells))} |"


def _by_table(rows: Sequence[Mapping]) -> list[str]:
    """CPU seconds by table, and ours by those of the first other hand, DuckDB."""
    ours, limit = rows[0], rows[1]
    tables = list(ours["tables_cpu"])
    lines = ["| CPU s by table | " + " | ".join(tables) + " |", "|---|" + "---|" * len(tables)]
    for row in rows:
        if "tables_cpu" in row:
            lines.append(f"| {row['name']} | " + " | ".join(str(row["tables_cpu"][table]) for table in tables) + " |")
    if "tables_cpu" in limit:
        ratios = [f"{ours['tables_cpu'][table] / limit['tables_cpu'][table]:.2f}" if limit["tables_cpu"][table] else "" for table in tables]
        lines.append("| ours ÷ DuckDB by hand | " + " | ".join(ratios) + " |")
    return lines


def _label(name: str, result: Mapping) -> str:
    if name == "increment":
        return "one night more"
    return f"whole build, tables of {result[name]['seconds']['nights']} night(s)"


def _by_room(result: Mapping) -> list[str]:
    """CPU seconds of the models by room, and what the tables of customers add."""
    build, increment = result["history"], result["increment"]
    lines = [f"| models CPU s by room | {_label('history', result)} | {_label('increment', result)} |", "|---|---|---|"]
    lines += [
        f"| {room} | {cpu} | {increment['rooms'].get(room, 0.0)} |" for room, cpu in sorted(build["rooms"].items(), key=lambda one: -one[1])
    ]
    said = [
        f"{entry['customers_cpu']} of {entry['cpu_parts']['models']} CPU s ({entry['customers_cpu'] / entry['cpu_parts']['models']:.0%}, {name})"
        for name, entry in (("whole", build), ("increment", increment))
    ]
    return [*lines, "", f"what the tables of {', '.join(CUSTOMERS)} add: {', '.join(said)}"]


def _fit(first: Mapping, again: Mapping) -> list[str]:
    """The step `score` where nothing is fitted yet, and once more with every fit known: what lies between them is the fits."""
    fits = first["step_cpu"] - again["step_cpu"]
    said = [
        f"fit of {first['customers']:,} customers ({first['histories']:,} groups of histories over all versions): {first['versions']} version(s) in "
        f"{fits:.2f} CPU s, {fits / max(first['versions'], 1):.2f} each"
    ]
    for name, step in (("with them", first), ("with the fits known", again)):
        said.append(
            f"step score {name}, {step['users']:,} users: {step['step_cpu']} CPU s, {step['step_wall']} s wall; "
            f"its process {step['cpu']} CPU s, {step['wall']} s wall, peak {step['peak_gib']} GiB ({step['eligibility']})"
        )
    return [line for one in said for line in ("", one)]
