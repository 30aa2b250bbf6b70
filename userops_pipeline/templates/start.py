"""How a shop is begun: a folder with rules, a source and sample files, that runs at once and is its owner's from then on.

Here lives what is written and what is asked for. Add a file here when every new shop should have it. Must not change a shop that is there already.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from userops_pipeline.ground.home import SHIPPED_DIR, SHOP_FILE, TEMPLATES_DIR, UserOpsError, write_atomically
from userops_pipeline.intake.source import SOURCES_DIR
from userops_pipeline.rulebook.schema import schemas
from userops_pipeline.simulate import Settings, simulate
from userops_pipeline.templates.kinds import rules_of, template

PACKAGE = "userops-pipeline"
SIMULATED = "demo_shop"
# Of a market that is simulated for a try: few enough to be built in a minute or two.
MARKET = {"users": 600, "days": 60, "seed": 7, "dirt": 0.01, "events_per_user": 20.0, "orders_per_user": 2.0}
FIRST = date(2026, 1, 1)
IGNORED = "# What runs write; everything else here is yours, and worth keeping under version control.\n.userops/\n"


def version() -> str:
    """The version of the engine."""
    return importlib.metadata.version(PACKAGE)


def begin(folder: Path, kind: str, name: str, *, say: Callable[[str], None]) -> None:
    """Write a shop of a kind into a folder that does not exist or is empty: all of it, or nothing.

    Raises:
        UserOpsError: there is something in the folder already, or no such kind.
    """
    chosen = template(kind)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserOpsError(f"{folder.name!r} is there already, and has something in it; name a new folder. Nothing was written.")
    if any((above / SHOP_FILE).is_file() for above in folder.resolve().parents):
        raise UserOpsError(f"{folder.name!r} would lie inside of another shop; name a folder beside it. Nothing was written.")
    making = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        source = _source(making, kind, chosen.source, say)
        for place, text in _texts(kind, name, source):
            write_atomically(making / place, text.encode(), mode=0o644)
        if folder.exists():
            folder.rmdir()
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _texts(kind: str, name: str, source: str) -> Iterator[tuple[str, str]]:
    rules = rules_of(kind)
    yield SHOP_FILE, _shop_file(kind, name, source)
    yield ".gitignore", IGNORED
    yield "README.md", _readme(kind, name, source)
    for file, schema in schemas().items():
        yield f"rules/.schema/{file}.json", json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
        text = rules.get(file, SETTINGS_HINT if file == "settings" else "")
        yield f"rules/{file}.yml", f"# yaml-language-server: $schema=.schema/{file}.json\n{text}"
    yield "rules/.template.json", json.dumps(taken(kind), indent=1, sort_keys=True) + "\n"


SETTINGS_HINT = """# What differs from the engine's settings, section by section, such as
#   churn:
#     after_days: {active: 60, purchase: 120}
# A key that stands here replaces the whole of the engine's; an editor completes sections and keys.
"""


def taken(kind: str) -> dict[str, Any]:
    """What a shop remembers of the template it began with: its version, and every rule in a form that no comment or blank changes."""
    said = {file: yaml.safe_load(text) or {} for file, text in rules_of(kind).items()}
    return {"template": kind, "engine": version(), "rules": {file: rules for file, rules in said.items() if rules}}


def _shop_file(kind: str, name: str, source: str) -> str:
    return f"""# The shop as a whole. `userops` finds this file from any folder below it, as git finds its own.
name: {json.dumps(name, ensure_ascii=False)}
template: {kind} # whose rules these began with; `userops rules diff` says what differs
made_with: {version()} # of the engine; `userops upgrade --check` says what a newer one asks for
sources: [{source}] # folders under sources/
# hour: 3 # of the nightly run, in the business zone
# engine: spark # where the data outgrow one machine
# memory: 7GB # that DuckDB may take
"""


def _readme(kind: str, name: str, source: str) -> str:
    return f"""# {name}

A shop of the kind `{kind}`, made by `userops init`. It runs as it is, on sample files:

    userops run         every night of the sample: from files to tables and lists
    userops summary     what was published
    userops ui          the Dagster UI

What to change next:

1. `sources/{source}/`: `source.yml` says which files there are, in which zone their times are, from which night on; one `.sql` per table says
   which column is which. Put your files in place of `data/`, or name their folder by an environment variable (`root: {{env: NAME}}`).
   `userops rules check` says in a sentence what does not fit yet. Then take out `.userops/`, which holds the sample, and run again.
2. `rules/`: one paragraph per stage, tag, segment, funnel, goal and list; `settings.yml` holds what differs from the engine's settings. An editor
   with the YAML language server completes and checks as you type.
3. `rules/lists.yml`: which segment goes to which tool, and by which consent.
4. `models/`: dbt models of your own beside ours; they `ref` our tables and are tested and published like them.

`.userops/` holds what runs write and belongs into no repository.
"""


# -- sources -------------------------------------------------------------------------------------------------------


def _source(shop: Path, kind: str, source: str, say: Callable[[str], None]) -> str:
    """The source of the template in the shop, its files in data/; the name of its folder."""
    ours = TEMPLATES_DIR / kind / "sources" / source
    if ours.is_dir():
        shutil.copytree(ours, shop / "sources" / source)
        shutil.copytree(TEMPLATES_DIR / kind / "data", shop / "data")
        return source
    name = "shop"
    shutil.copytree(SOURCES_DIR / source, shop / "sources" / name)
    last = None
    if source == SIMULATED:
        say("simulating a market of 600 users and 60 nights …")
        simulate(Settings(**MARKET, start=FIRST, out=shop / "data"), progress=lambda _: None)  # type: ignore[arg-type]
        shutil.rmtree(shop / "data" / "truth", ignore_errors=True)
        last = FIRST + timedelta(days=int(MARKET["days"]) - 1)
    else:
        shutil.copytree(SHIPPED_DIR / "data" / source, shop / "data")
    _adapt(shop / "sources" / name / "source.yml", last)
    return name


def _adapt(file: Path, last_night: date | None) -> None:
    """The files lie in the shop's own data/, and end with the sample."""
    text, times = re.subn(
        r"(?m)^root: .*$", "root: {path: data} # a folder of the shop; or {env: NAME} for one named by a variable", file.read_text("utf-8")
    )
    if times != 1:
        raise UserOpsError(f"{file.parent.name}/{file.name} of the engine has no root; this is a fault of ours.")
    if last_night:
        text = re.sub(r"(?m)^last_night: .*\n", "", text)
        text = re.sub(r"(?m)^(first_night: .*)$", rf"\1\nlast_night: {last_night} # take it out when files come every night", text)
    file.write_text(text, encoding="utf-8")
