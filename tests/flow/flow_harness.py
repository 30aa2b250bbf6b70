"""What the proofs of the whole flow stand on: commands run as processes, the shop they run on, a tool that takes lists, a reader.

Here lives how a test starts, kills and asks; `zygote.py` is the other side of `Commands`. Add here what two test files need.
Must not hold a promise: tests do.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import yaml

from userops_pipeline.ground.home import PROJECT_DIR, Home
from userops_pipeline.publish import generations

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 16)
EVE = date(2026, 3, 15)  # the night before the last: what is published when tonight's run begins
QUIET = date(2026, 3, 8)
KILLED = -signal.SIGKILL


# -- commands ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a command ended, and all it printed."""

    code: int
    said: str
    seconds: float

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.said}"


@dataclass
class Running:
    """A command that was started; `kill` ends it as a power cut would."""

    process: int
    output: Path
    commands: Commands

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)

    def wait(self) -> Ended:
        answer = self.commands.ask(wait=self.process)
        return Ended(answer["code"], self.output.read_text(encoding="utf-8", errors="replace"), answer["cpu"])


class Commands:
    """Runs `userops …` as forks of one process that has imported everything."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "GX_ANALYTICS_ENABLED": "false", "OPENBLAS_NUM_THREADS": "1"},
        )
        self.before_the_first_fork = self._answer()

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        return json.loads(self._server.stdout.readline())

    def start(self, home: Path, *arguments: object, source: Path | str, **env: str) -> Running:
        self._count += 1
        output = self._folder / f"{self._count}.txt"
        answer = self.ask(
            env={"USEROPS_HOME": str(home), "USEROPS_SOURCE": str(source), "COLUMNS": "200", **env},
            output=str(output),
            arguments=[str(argument) for argument in arguments],
        )
        return Running(answer["process"], output, self)

    def outputs(self) -> list[Path]:
        """What every command so far printed."""
        return sorted(self._folder.glob("*.txt"))

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


# -- homes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shelf:
    """Homes put aside, to be brought back to the one path they were made at: dbt parses anew where the path is another."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def put(self, name: str) -> None:
        shutil.copytree(self.home, self.folder / name, symlinks=True)

    def bring(self, name: str) -> Path:
        shutil.rmtree(self.home, ignore_errors=True)
        return Path(shutil.copytree(self.folder / name, self.home, symlinks=True))

    def fresh(self) -> Path:
        """A home without data; dbt's parse of the project is kept."""
        parsed = self.folder / "parsed"
        if not parsed.exists() and self.home.exists():
            shutil.copytree(self.home / "warehouse" / "dbt", parsed)
        shutil.rmtree(self.home, ignore_errors=True)
        if parsed.exists():
            shutil.copytree(parsed, self.home / "warehouse" / "dbt")
        return self.home


# -- the shop ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlowShop:
    """The sample shop with more nights, late rows, postal consents and coupon lovers, in a folder of its own."""

    commands: Commands
    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "sample_shop"

    def drops(self, night: date) -> Path:
        return self.folder / "drops" / "drops" / night.isoformat()

    def start(self, home: Path, *arguments: object, **options: Any) -> Running:
        return self.commands.start(home, *arguments, **{"source": self.source, **options})

    def run(self, home: Path, *arguments: object, code: int = 0, **options: Any) -> Ended:
        """The command, which must end with this exit code and never with a traceback."""
        ended = self.start(home, *arguments, **options).wait()
        assert ended.code == code, ended
        assert "Traceback (most recent call last)" not in ended.said, ended
        return ended

    def nightly(self, home: Path, night: date, *options: object, **more: Any) -> Ended:
        return self.run(home, "nightly", "--date", night, *options, **more)

    def backfill(self, home: Path, first: date, last: date, *options: object, **more: Any) -> Ended:
        return self.run(home, "backfill", "--from", first, "--to", last, *options, **more)

    def other(self, folder: Path) -> FlowShop:
        """The same shop with files of its own, to be spoilt."""
        shutil.copytree(self.folder, folder)
        _write_source(folder)
        return FlowShop(self.commands, folder)


def _write_source(folder: Path) -> None:
    file = folder / "sample_shop" / "source.yml"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document |= {"root": {"path": str(folder / "drops")}, "last_night": LAST}
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")


def nights(first: date = FIRST, last: date = LAST) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _append(file: Path, rows: Sequence[Sequence[object]], header: str, encoding: str = "utf-8") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = not file.exists()
    with open(file, "a", encoding=encoding, newline="") as handle:
        if new:
            handle.write(header + "\n")
        csv.writer(handle, lineterminator="\n").writerows(rows)


LOOKS = ("view", "list", "detail", "search")  # as many words as a night of the sample shop has: fewer would not look like its past


def events_of(night: date, users: Sequence[str], count: int = 60) -> list[dict[str, Any]]:
    return [
        {"id": f"X{night:%m%d}{number:03}", "user_no": users[number % len(users)], "device": None, "at": f"{night} 1{number % 10}:{number % 60:02}:00",
         "name": LOOKS[number % 4], "page": f"页{number % 4}", "sku": None, "props": None}
        for number in range(count)
    ]  # fmt: skip


def write_events(file: Path, events: Sequence[dict[str, Any]]) -> None:
    before = gzip.decompress(file.read_bytes()) if file.exists() else b""
    lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(before + lines, mtime=0))


def make_shop(commands: Commands, folder: Path) -> FlowShop:
    """The sample shop, and sixty app visits a night, two nights more, late orders, consents by post and used coupons."""
    shutil.copytree(PROJECT_DIR / "userops_pipeline" / "sources" / "sample_shop", folder / "sample_shop")
    shutil.copytree(PROJECT_DIR / "data" / "sample_shop", folder / "drops")
    _write_source(folder)
    shop = FlowShop(commands, folder)
    text = (shop.drops(FIRST) / "users.csv").read_text(encoding="gb18030")
    users = [row["user_no"] for row in csv.DictReader(text.splitlines()) if row["staff"] == "0"]
    for night in nights():
        if night == QUIET:
            continue
        drops = shop.drops(night)
        write_events(drops / "app_events.jsonl.gz", events_of(night, users))
        orders, lines = [], []
        for number in range(3 if night > date(2026, 3, 11) else 0):
            on = night - timedelta(days=(0, 2, 4)[number])  # of three orders two come late, one of a user's first ones among them
            order, user = f"L{night:%m%d}{number}", users[(night.day * 3 + number) % len(users)]
            orders.append((order, user, f"{on} 11:0{number}:00", f"{on} 11:1{number}:00", "已完成", "128.00", "0.00", "CNY"))
            lines.append((order, 1, "T001", 1, "128.00", "0.00"))
        _append(drops / "orders.csv", orders, "order_no,user_no,created,paid,status,payable,discount,currency")
        _append(drops / "order_lines.csv", lines, "order_no,line,sku,qty,paid,discount")
        _append(drops / "users.csv", [(f"N{night:%m%d}", "新客", f"1390000{night:%m%d}", "", "女", "1990-01-01", "杭州", "1", f"{night} 09:00:00", "搜索", "普通", "0")],
                "user_no,nickname,mobile,email,sex,birthday,city,city_tier,registered,channel,level,staff", "gb18030")  # fmt: skip
    archives = folder / "drops"
    consents = [(user, "postal", f"门牌{user}", "marketing", "subscribed", "注册时勾选同意", "2026-02-20 10:00:00") for user in users[4:]]
    consents += [(user, "postal", f"门牌{user}", "marketing", "subscribed", "客服登记", "2026-03-16 10:00:00") for user in users[:4]]
    consents += [(user, "postal", f"门牌{user}", "marketing", "unsubscribed", "客服登记", "2026-03-16 11:00:00") for user in users[6::6]]
    _append(archives / "consents.csv", consents, "")
    coupons = [
        (
            f"V{user}{number}",
            user,
            "C01",
            "coupon",
            "2026-03-02 10:00:00",
            "2026-03-02 10:10:00",
            f"2026-03-{3 + number + (index % 2) * 11:02} 18:00:00",
            "",
            "20.00",
        )
        for index, user in enumerate(users)
        for number in range(2)
    ]
    _append(archives / "coupons.csv", coupons, "")
    return shop


# -- what is published ---------------------------------------------------------------------------------------------


def current_id(home: Path) -> str:
    """Id of the current generation."""
    current = generations.current(Home(home))
    assert current is not None
    return current.id


def content(home: Path, as_of: date | None = None) -> dict[str, str]:
    """Content hash by table of the current generation, or of the last one published for a night."""
    if as_of is None:
        current = generations.current(Home(home))
        assert current is not None
        return current.manifest.content_hashes()
    return next(entry.manifest.content_hashes() for entry in generations.list_generations(Home(home)) if entry.as_of == as_of)


def ask(home: Path, sql: str) -> list[tuple]:
    """Rows from the database that readers use."""
    with duckdb.connect(str(home / "published" / "userops.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


class Reader:
    """Reads all published tables again and again; `faults` says when it saw an error, or tables that do not belong together."""

    def __init__(self, home: Path) -> None:
        self.home, self.reads, self.seen, self.faults = home, 0, [], []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
                self.reads += 1
            except duckdb.Error as error:
                self.faults.append(f"{type(error).__name__}: {str(error)[:300]}")
            time.sleep(0.1)

    def _read(self) -> None:
        with duckdb.connect(str(self.home / "published" / "userops.duckdb"), read_only=True) as connection:
            [(generation, as_of)] = connection.execute("select generation_id, as_of from generation").fetchall()
            said = dict(connection.execute("select table_name, row_count from published_tables").fetchall())
            counts = connection.execute(" union all ".join(f"select '{name}', count(*) from {name}" for name in said)).fetchall()
            [(night,)] = connection.execute("select max(night_on) from lifecycle_flow_daily").fetchall()
        if dict(counts) != said or night != as_of:
            self.faults.append(f"a mixture in {generation}")
        if generation not in self.seen[-1:]:
            self.seen.append(generation)


# -- a tool that takes lists ---------------------------------------------------------------------------------------


@dataclass
class Tool:
    """A campaign tool behind a webhook: applies a key once, and remembers who is on each list."""

    url: str = ""
    keys: list[str] = field(default_factory=list)
    lists: dict[str, set[str]] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {"USEROPS_WEBHOOK_URL": self.url, "USEROPS_WEBHOOK_LIVE": "1", "USEROPS_WEBHOOK_ALLOW_LOOPBACK": "1"}

    def take(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        values = {row["match_value"] for row in body["rows"]}
        if key not in self.keys:
            members = self.lists.setdefault(body["list"], set())
            if body["action"] == "add":
                self.twice += sorted(values & members)
                members |= values
            elif body["action"] == "remove":
                self.twice += sorted(values - members)
                members -= values
        self.keys.append(key)
        return {"accepted": len(body["rows"]), "failed": []}


@contextmanager
def listening(tool: Tool | None = None) -> Iterator[tuple[Tool, list[dict[str, Any]]]]:
    """A server on this machine: the tool, and every JSON body it was sent."""
    tool = tool or Tool()
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(body)
            answer = json.dumps(tool.take(self.headers["Idempotency-Key"], body) if "rows" in body else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tool.url = f"http://127.0.0.1:{server.server_port}/lists"
    try:
        yield tool, bodies
    finally:
        server.shutdown()
        server.server_close()
