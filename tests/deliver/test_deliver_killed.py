"""The delivery killed at its worst moments by a power cut, or stopped politely: every row takes effect exactly once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from userops_pipeline.ground.home import Home

PROJECT = Path(__file__).resolve().parents[2]
RUN = """
import sys
from datetime import date
from pathlib import Path
from userops_pipeline.deliver.audiences import ListSpec
from userops_pipeline.ground.home import Home
from userops_pipeline.deliver.destinations.csv_file import CsvFile
from userops_pipeline.deliver.delivery import deliver
from userops_pipeline.deliver.destinations.webhook import Webhook

home, folder, generation, as_of, url, *specs = sys.argv[1:]
home = Home(Path(home))
tools = {"csv_file": CsvFile(home.exports), "webhook": Webhook(url=url, live=True, allow_loopback=True, max_batch=2)}
lists = [ListSpec.model_validate_json(spec) for spec in specs]
for report in deliver(home, Path(folder), generation, date.fromisoformat(as_of), lists, tools):
    print(report.outcome, report.sent)
"""
POINTS = ["deliver:after_plan", "deliver:before_send", "deliver:after_send", "deliver:after_ack"]

Publish = Callable[..., tuple[Any, str, date]]


@pytest.fixture
def start(home: Home, tool_url: str) -> Callable[..., subprocess.Popen[str]]:
    """Deliver in a process of its own."""

    def start(generation: tuple[Path, str, date], *specs: Any, kill_at: str = "") -> subprocess.Popen[str]:
        folder, name, as_of = generation
        command = [
            sys.executable,
            "-c",
            RUN,
            home.root,
            folder,
            name,
            as_of.isoformat(),
            tool_url,
            *(spec.model_dump_json() for spec in specs),
        ]
        environment = os.environ | {"PYTHONPATH": str(PROJECT), "USEROPS_KILL_AT": kill_at}
        return subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_and_run_again_every_row_takes_effect_once(
    start: Any, publish: Publish, make_list: Any, tool: Any, point: str
) -> None:
    """Three nights, each killed in its first batch, then run again; the second removes and updates too."""
    spec = make_list()
    nights = [{"a": 1, "b": 1, "c": 1, "d": 1}, {"b": 1, "c": 2, "d": 1, "e": 1}, {"b": 1, "c": 2, "d": 1, "e": 1}]
    for night, people in enumerate(nights):
        generation = publish(night, people, spec=spec)
        killed = start(generation, spec, kill_at=point)
        assert killed.wait(60) == (-signal.SIGKILL if night < 2 or point == "deliver:after_plan" else 0)
        healed = start(generation, spec)
        assert healed.wait(60) == 0, healed.stderr.read() if healed.stderr else ""

    assert tool.effects == {("add", name): 1 for name in "abcde"} | {("update", "c"): 1, ("remove", "a"): 1}
    assert {value: fields["first_name"] for value, fields in tool.lists["win_back"].items()} == nights[-1]
    assert len(set(tool.keys)) == 5, "a batch sent again has the key it had"


def test_killed_after_the_call_the_next_night_sends_again_only_what_is_still_to_be_sent(
    start: Any, publish: Publish, make_list: Any, tool: Any
) -> None:
    spec = make_list()
    start(publish(0, {"a": 1, "b": 1}, spec=spec), spec, kill_at="deliver:after_send").wait(60)
    start(publish(1, {"a": 2, "b": 1, "c": 1}, spec=spec), spec).wait(60)

    assert len(set(tool.keys)) == len(tool.keys) == 3, "the old batch is not what is to be sent now, so it is planned anew"
    assert {value: fields["first_name"] for value, fields in tool.lists["win_back"].items()} == {"a": 2, "b": 1, "c": 1}


@pytest.mark.parametrize("point", POINTS)
def test_killed_while_writing_files_the_next_run_leaves_the_files_of_a_clean_one(
    start: Any, publish: Publish, make_list: Any, home: Home, point: str
) -> None:
    spec = make_list(tool="csv_file")
    generation = publish(0, {"a": 1, "b": 1}, spec=spec)
    assert start(generation, spec, kill_at=point).wait(60) == -signal.SIGKILL
    assert start(generation, spec).wait(60) == 0

    folder = home.exports / "win_back" / "2026-03-01"
    assert sorted(file.name for file in folder.iterdir()) == ["added.csv", "full.csv"]
    assert (folder / "added.csv").read_bytes() == (folder / "full.csv").read_bytes()


def test_asked_to_stop_the_batch_in_hand_is_finished_and_nothing_more_begun(
    start: Any, publish: Publish, make_list: Any, tool: Any, home: Home
) -> None:
    spec, later = make_list(), make_list(name="later", tool="csv_file")
    generation = publish(0, dict.fromkeys("abcdef", 1), spec=spec)
    started: list[subprocess.Popen[str]] = []

    def ask_to_stop() -> None:
        while not started:
            time.sleep(0.01)
        started[0].send_signal(signal.SIGTERM)
        time.sleep(0.2)

    tool.on_request = ask_to_stop
    started.append(start(generation, spec, later))
    told, complained = started[0].communicate(timeout=60)
    assert started[0].returncode == -signal.SIGTERM, (
        f"it ended by itself and told {told!r} {complained!r} after {len(tool.requests)} requests"
    )

    con = sqlite3.connect(home.exports / "ledger.sqlite")
    assert con.execute("select state, count(*) from batches group by 1 order by 1").fetchall() == [("acked", 1), ("planned", 2)]
    assert con.execute("select list, outcome, sent, held from deliveries").fetchall() == [("win_back", "stopped", 2, 4)]
    con.close()
    tool.on_request = lambda: None
    assert start(generation, spec).wait(60) == 0
    assert tool.effects == {("add", name): 1 for name in "abcdef"} and len(set(tool.keys)) == len(tool.keys) == 3
