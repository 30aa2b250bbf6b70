"""A shop's home with generations to deliver, and a campaign tool on this machine that fails as it is told to."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from userops_pipeline.core.audiences import ListSpec
from userops_pipeline.core.home import Home

FIRST_NIGHT = date(2026, 3, 1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


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
def publish(home: Home) -> Callable[..., tuple[Path, str, date]]:
    """Write the audiences of one night; gives the first arguments of `deliver` after the home."""

    def publish(night: int, people: dict[str, Any], *, spec: ListSpec, rebuilt: str = "") -> tuple[Path, str, date]:
        generation = f"night_{night}{rebuilt}"
        folder = home.published / "generations" / generation
        (folder / "exports").mkdir(parents=True, exist_ok=True)
        only_field = next(iter(spec.fields))
        rows = [
            (value, json.dumps(fields if isinstance(fields, dict) else {only_field: fields}, ensure_ascii=False))
            for value, fields in people.items()
        ]
        with duckdb.connect() as con:
            con.execute("create table t (audience text, tool text, user_id text, match_value text, contact_point text, fields text)")
            if rows:
                con.executemany(f"insert into t values ('{spec.name}', '{spec.tool}', 'u', ?, 'c', ?)", rows)
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
