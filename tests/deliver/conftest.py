"""A shop's home with generations to deliver, and a campaign tool on this machine that fails as it is told to."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.small_shop import new_shop, shop  # noqa: F401 - fixtures
from userops_pipeline.deliver.audiences import ListSpec
from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.lake_files import ensure_empty_tables

FIRST_NIGHT = date(2026, 3, 1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def user_of(address: str) -> str:
    return f"u-{address.partition('@')[0]}"


@pytest.fixture
def say(home: Home) -> Callable[..., None]:
    """Words about contact, as a conformed night leaves them in the lake; everybody is named for their address."""
    said = itertools.count()

    def say(
        *addresses: str,
        state: str = "subscribed",
        channel: str = "email",
        stop: dict[str, Any] | None = None,
        user: str = "",
        address: str = "",
    ) -> None:
        number = next(said)
        with duckdb.connect() as con:
            if number == 0:
                ensure_empty_tables(home)
            for table, rows in (
                ("users", [{"user_id": user_of(each)} for each in addresses]),
                (
                    "consents",
                    [
                        {
                            "user_id": user or user_of(each),
                            "contact_point": address or each,
                            "channel": channel,
                            "purpose": "marketing",
                            "state": state,
                        }
                        for each in addresses
                    ],
                ),
                ("suppressions", [{"suppression_id": f"s{number}", "reason": "suppressed", **stop}] if stop else []),
            ):
                place = home.raw / table / f"arrived_on={FIRST_NIGHT}" / f"shop.{number}.parquet"
                if rows:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    con.execute(f"create or replace table t as {contract.empty_select(contract.tables()[table])}")
                    more = {"arrived_on": FIRST_NIGHT, "source_name": "shop", "source_file": f"{number}.csv"}
                    if table == "consents":
                        more["changed_at"] = datetime(2026, 1, 1) + timedelta(hours=number)
                    for row_number, row in enumerate(rows):
                        filled = row | more | {"source_row": row_number}
                        con.execute(f"insert into t ({', '.join(filled)}) values ({', '.join('?' * len(filled))})", list(filled.values()))
                    con.execute(f"copy t to '{place}'")

    return say


@pytest.fixture
def make_list() -> Callable[..., ListSpec]:
    def make(**changes: object) -> ListSpec:
        plain = {
            "name": "win_back",
            "tool": "webhook",
            "segment": "lapsed_users",
            "mode": "mirror",
            "match_key": "email",
            "channel": "email",
            "purpose": "marketing",
            "fields": {"first_name": "name"},
        }
        return ListSpec.model_validate(plain | changes)

    return make


@pytest.fixture
def publish(home: Home, say: Callable[..., None]) -> Callable[..., tuple[Path, str, date]]:
    """Write the audiences of one night, everybody in it subscribed; gives the first arguments of `deliver` after the home."""
    subscribed: set[str] = set()

    def publish(
        night: int,
        people: dict[str, Any],
        *,
        spec: ListSpec,
        rebuilt: str = "",
        twice: tuple[str, ...] = (),
        users: dict[str, str] | None = None,
        new: tuple[str, ...] | None = None,
    ) -> tuple[Path, str, date]:
        new = tuple(value for value in people if value not in subscribed) if new is None and not users else new or ()
        if new or not subscribed:
            say(*new)
            subscribed.update(new or ("nobody",))
        generation = f"night_{night}{rebuilt}"
        folder = home.published / "generations" / generation
        (folder / "exports").mkdir(parents=True, exist_ok=True)
        only_field = next(iter(spec.fields), None)
        rows = [
            (
                (users or {}).get(value, user_of(value)),
                value,
                json.dumps(fields if isinstance(fields, dict) else {only_field: fields} if only_field else {}, ensure_ascii=False),
            )
            for value, fields in people.items()
        ]
        rows += [(f"other-{user}", value, fields) for user, value, fields in rows if value in twice]
        if spec.match_key == "user_id" and only_field and spec.fields[only_field] == "contact_point":
            rows = [(user, value, json.dumps({only_field: value})) for user, value, _ in rows]
        match = "$1" if spec.match_key == "user_id" else "$2"
        with duckdb.connect() as con:
            con.execute("create table t (audience text, tool text, user_id text, match_value text, contact_point text, fields text)")
            if rows:
                con.executemany(f"insert into t values ('{spec.name}', '{spec.tool}', $1, {match}, $2, $3)", rows)
            con.execute(f"copy t to '{folder / 'exports' / 'audiences.parquet'}'")
        return folder, generation, FIRST_NIGHT + timedelta(days=night)

    return publish


class FakeTool:
    """A tool that keeps lists, applies each idempotency key once, and follows a script of faults, one entry per request, then behaves."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.requests: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.effects: Counter[tuple[str, str]] = Counter()  # (action, match value) -> times it took effect
        self.lists: dict[str, dict[str, Any]] = {}
        self.on_request: Callable[[], None] = lambda: None
        self.release = threading.Event()
        self._answers: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str]:
        return [key for key, _, _ in self.requests]

    def apply(self, key: str, body: dict[str, Any], failing: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            if key not in self._answers:
                taken = [row for row in body["rows"] if row["match_value"] not in failing]
                members = self.lists.setdefault(body["list"], {})
                for row in taken:
                    self.effects[body["action"], row["match_value"]] += 1
                    if body["action"] == "remove":
                        members.pop(row["match_value"], None)
                    else:
                        members[row["match_value"]] = row["fields"]
                failed = [row["match_value"] for row in body["rows"] if row["match_value"] in failing]
                self._answers[key] = {
                    "accepted": len(taken),
                    "failed": [{"match_value": value, "error": failing[value]} for value in failed],
                }
            return self._answers[key]


class Handler(http.server.BaseHTTPRequestHandler):
    tool: FakeTool
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        raise AssertionError("a redirect was followed")

    def do_POST(self) -> None:
        tool = self.tool
        key = self.headers["Idempotency-Key"]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tool.requests.append((key, body, dict(self.headers)))
        tool.on_request()
        step = tool.script.pop(0) if tool.script else "ok"
        match step:
            case "ok":
                self.answer(200, tool.apply(key, body, {}))
            case {"failing": failing}:
                self.answer(200, tool.apply(key, body, failing))
            case {"status": status, **headers}:
                self.answer(status, {"message": "no"}, headers)
            case {"body": text}:
                tool.apply(key, body, {})
                self.answer(200, text)
            case "timeout_before":
                tool.release.wait(5)
                self.close_connection = True
            case "timeout_after":
                tool.apply(key, body, {})
                tool.release.wait(5)
                self.close_connection = True
            case "reset_after":
                tool.apply(key, body, {})
                self.reset()
            case "reset":
                self.reset()
            case "half":
                tool.apply(key, body, {})
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"accepted":')
                self.wfile.flush()
                self.reset()
            case _:
                raise AssertionError(step)

    def answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.close()


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client went away, as the script wanted


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Start a server for a tool on loopback; gives its URL."""
    servers: list[QuietServer] = []

    def serve(tool: FakeTool, context: Any = None) -> str:
        server = QuietServer(("127.0.0.1", 0), type("Handler", (Handler,), {"tool": tool}))
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_address[1]}/lists"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def tool() -> Iterator[FakeTool]:
    tool = FakeTool()
    yield tool
    tool.release.set()


@pytest.fixture
def tool_url(tool: FakeTool, serve: Callable[..., str]) -> str:
    return serve(tool)
