"""The UI as a foreign page, a neighbour in the network and a careless operator would use it: refused by status, and no run begins."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from userops_pipeline.defs.gate import gate_checks
from userops_pipeline.defs.land import land_assets
from userops_pipeline.defs.resources import WriterLock
from userops_pipeline.defs.ui_guard import Entrance
from userops_pipeline.ground import warrant
from userops_pipeline.ground.home import Home, UserOpsError
from userops_pipeline.intake.shop import Shop
from userops_pipeline.intake.source import load_source

TOKEN = "a-token-of-thirty-two-characters"
LAUNCH = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "shop.py", repositoryName: "__repository__",
 jobName: "night"}, runConfigData: "{}"}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
RUNS = "{ runsOrError { ... on Runs { results { runId status } } } }"
HEALTH = "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }"


# -- the real server -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `userops ui` serves, over a location with one job."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "shop.py").write_text(
        "import dagster as dg\n@dg.op\ndef step(): pass\n@dg.job\ndef night(): step()\ndefs = dg.Definitions(jobs=[night])\n"
    )
    (folder / "workspace.yaml").write_text("load_from: [{python_file: {relative_path: shop.py, location_name: shop.py}}]")
    (folder / "home").mkdir()
    (folder / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import sys, pathlib, userops_pipeline.defs.ui as ui; ui.serve(pathlib.Path(sys.argv[1]), host='127.0.0.1', port=int(sys.argv[2]))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("USEROPS_UI")}
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(folder / "workspace.yaml"), str(port)],
        env=environment | {"DAGSTER_HOME": str(folder / "home")},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert running.poll() is None, "the server ended"
            try:
                if httpx.get(f"{url}/server_info").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield url
    finally:
        running.terminate()
        running.wait(90)


def asked(url: str, query: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/graphql", json={"query": query}, headers=headers, timeout=60)


def answer(url: str, query: str) -> Any:
    return asked(url, query, Origin=url).json()["data"]


def test_no_foreign_request_reaches_the_webserver_and_the_uis_own_do(server: str) -> None:
    foreign = "https://evil.example"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    plain = {"Content-Type": "text/plain; application/json"}  # what a page may send unasked, and Dagster takes for JSON
    body = httpx.Request("POST", server, json={"query": LAUNCH}).content
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    refused = [
        (403, httpx.get(f"{server}/graphql", params={"query": LAUNCH}, headers={"Host": "evil.example", "Origin": foreign})),
        (405, httpx.get(f"{server}/graphql", params={"query": LAUNCH})),
        (405, httpx.get(f"{server}/graphql/", params={"query": LAUNCH})),
        (405, httpx.head(f"{server}/graphql", params={"query": LAUNCH})),
        (403, httpx.get(server, headers={"Host": "rebound.example:3000"})),
        (403, httpx.get(server, headers={"Host": "localhost.evil.example"})),
        (403, asked(server, LAUNCH, Origin=foreign)),
        (403, asked(server, LAUNCH, Origin="null")),
        (403, asked(server, LAUNCH, Origin="http://127.0.0.1:1")),
        (403, asked(server, LAUNCH, **{"Sec-Fetch-Site": "cross-site"})),
        (403, asked(server, LAUNCH, **{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"})),
        (415, httpx.post(f"{server}/graphql", params={"query": LAUNCH}, headers=form)),
        (415, httpx.post(f"{server}/graphql", content=body, headers=plain)),
        (415, httpx.post(f"{server}/graphql", content=LAUNCH, headers={"Content-Type": "application/graphql"})),
        (415, httpx.post(f"{server}/graphql", params={"query": LAUNCH})),
        (405, httpx.post(f"{server}/report_asset_materialization/orders", json={})),
        (405, httpx.post(f"{server}/report_asset_check/orders", json={})),
        (405, httpx.put(f"{server}/graphql", json={"query": LAUNCH})),
        (403, httpx.get(f"{server}/graphql", headers=upgrade | {"Origin": foreign})),
        (403, httpx.get(f"{server}/graphql", headers=upgrade)),
    ]
    assert [response.status_code for _, response in refused] == [status for status, _ in refused]
    assert answer(server, RUNS) == {"runsOrError": {"results": []}}, "nothing was launched"

    page = httpx.get(f"{server}/runs", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert (page.status_code, page.headers["x-frame-options"]) == (200, "DENY"), "a link in a message still opens the UI"
    assert answer(server, LAUNCH)["launchRun"]["__typename"] == "LaunchRunSuccess"
    assert len(answer(server, RUNS)["runsOrError"]["results"]) == 1


def test_the_socket_of_the_uis_own_page_opens_and_starts_nothing(server: str) -> None:
    from websockets.sync.client import connect

    before = len(answer(server, RUNS)["runsOrError"]["results"])
    with connect(server.replace("http", "ws") + "/graphql", origin=server, subprotocols=["graphql-ws"]) as page:  # type: ignore[arg-type]
        page.send('{"type": "connection_init"}')
        assert "connection_ack" in str(page.recv(timeout=10))
        page.send(json.dumps({"type": "start", "id": "1", "payload": {"query": LAUNCH}}))
        assert '"error' in str(page.recv(timeout=10))
    assert len(answer(server, RUNS)["runsOrError"]["results"]) == before


def test_the_daemon_runs_beside_it(server: str) -> None:
    for _ in range(100):
        found = answer(server, HEALTH)["instance"]["daemonHealth"]["allDaemonStatuses"]
        healthy = {entry["daemonType"] for entry in found if entry["healthy"]}
        if healthy & {"SENSOR", "SCHEDULER"}:
            break
        time.sleep(0.3)
    assert healthy & {"SENSOR", "SCHEDULER"}


# -- who may come in -----------------------------------------------------------------------------------------------


def status(entrance: Entrance, peer: str = "127.0.0.1", method: str = "GET", path: str = "/", **headers: str) -> int:
    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in ({"host": "localhost:3000"} | headers).items()]
    refused = entrance.refusal({"type": "http", "method": method, "path": path, "headers": listed, "client": (peer, 5)})
    return refused[0] if refused else 200


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


def test_a_token_is_asked_of_everybody_where_there_is_one() -> None:
    entrance = Entrance.from_environment("0.0.0.0", {"USEROPS_UI_TOKEN": TOKEN, "USEROPS_UI_HOSTS": "Ops.example"})
    assert status(entrance) == 401
    assert status(entrance, host="ops.example", authorization="Bearer wrong") == 401
    assert status(entrance, authorization=basic(TOKEN + "x")) == 401
    assert status(entrance, authorization="Basic ?") == 401
    assert status(entrance, authorization=basic(TOKEN)) == 200
    assert status(entrance, host="ops.example:8443", authorization=f"Bearer {TOKEN}") == 200
    assert status(entrance, host="other.example", authorization=f"Bearer {TOKEN}") == 403


def test_a_login_is_believed_of_a_proxy_on_this_machine_only() -> None:
    entrance = Entrance.from_environment("127.0.0.1", {"USEROPS_UI_PROXY_HEADER": "X-Login", "USEROPS_UI_HOSTS": "ops.example"})
    assert status(entrance, host="ops.example", x_login="ann") == 200
    assert status(entrance, host="ops.example", x_login="") == 401
    assert status(entrance, host="localhost") == 401, "who forges the host name is not asked less"
    assert status(entrance, peer="10.0.0.9", host="ops.example", x_login="ann") == 401
    assert status(entrance, host="ops.example", x_login="ann", origin="https://ops.example", method="DELETE") == 405


@pytest.mark.parametrize(
    ("bound_to", "environment", "sentence"),
    [
        ("0.0.0.0", {}, "set USEROPS_UI_TOKEN"),
        ("::", {}, "set USEROPS_UI_TOKEN"),
        ("ops.example", {"USEROPS_UI_PROXY_HEADER": "X-Login"}, "set USEROPS_UI_TOKEN"),
        ("127.0.0.1", {"USEROPS_UI_HOSTS": "ops.example"}, "lets others than this machine in"),
        ("127.0.0.1", {"USEROPS_UI_TOKEN": "short"}, "20 plain characters"),
    ],
)
def test_nothing_is_served_to_others_without_token_or_login(bound_to: str, environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserOpsError, match=sentence):
        Entrance.from_environment(bound_to, environment)


# -- what only the command line decides ----------------------------------------------------------------------------


def materialized(shop: Shop, step: Any, config: dict[str, Any], tags: dict[str, str], night: str | None = None) -> str:
    """The innermost sentence of a run of one step as the UI starts it."""
    is_check = isinstance(step, dg.AssetChecksDefinition)
    definitions = dg.Definitions(
        assets=[] if is_check else [step],
        asset_checks=[step] if is_check else [],
        jobs=[dg.define_asset_job("one", selection=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks())],
        resources={"writer": WriterLock(home=str(shop.home.root))},
        executor=dg.in_process_executor,
    )
    job = definitions.resolve_job_def("one")
    result = job.execute_in_process(run_config={"ops": config}, partition_key=night, tags=tags, raise_on_error=False)
    errors = [event.event_specific_data.error for event in result.all_events if event.is_step_failure]  # type: ignore[union-attr]
    error = errors[0]
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message if error else ""


def test_a_run_of_the_ui_may_neither_waive_nor_accept(tmp_path: Path) -> None:
    shop = Shop(Home(tmp_path / "home"), (load_source("sample_shop"),))
    landing = land_assets(shop)[0]
    stolen = {warrant.TAG: warrant.sign(shop.home, "an-earlier-run")}
    for tags in ({}, {warrant.TAG: ""}, stolen):
        accepted = materialized(shop, landing, {"landing__sample_shop": {"config": {"accept_changed": True}}}, tags, "2026-03-01")
        assert "--accept-changed is decided at the command line only" in accepted
    assert not shop.home.landing.exists(), "nothing was landed"
    waived = materialized(shop, gate_checks(shop), {"gate": {"config": {"waive": ["orders.key_is_unique"]}}}, stolen)
    assert "--waive orders.key_is_unique is decided at the command line only" in waived


def test_a_warrant_is_good_for_its_own_run_and_its_own_home(tmp_path: Path) -> None:
    home, other = Home(tmp_path / "home"), Home(tmp_path / "other")
    signed = warrant.sign(home, "run")
    assert warrant.holds(home, "run", signed)
    assert not any([warrant.holds(home, "run2", signed), warrant.holds(other, "run", signed), warrant.holds(home, "run", None)])
    assert (home.root / ".warrant.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in home.root.iterdir()) == [".warrant.key"]
