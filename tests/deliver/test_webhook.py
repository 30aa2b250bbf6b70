"""The webhook against a real server on this machine: what counts as success, what is tried again, and which addresses are no tool's."""

from __future__ import annotations

import email.utils
import ipaddress
import logging
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from userops_pipeline.deliver.audiences import Batch, Row
from userops_pipeline.deliver.destinations.base import OutcomeUnknown, Refused
from userops_pipeline.deliver.destinations.webhook import Webhook, body_of
from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.ground.reachable import is_public

BATCH = Batch(
    "key-1", "win_back", date(2026, 3, 1), "add", 1, "email", (Row("a@x.org", {"first_name": "李雷"}), Row("b@x.org", {"first_name": None}))
)


def webhook(url: str, **changes: Any) -> Webhook:
    return Webhook(**{"url": url, "token": "s3cret", "live": True, "allow_loopback": True, "backoff_s": 0.01, "timeout_s": 0.3} | changes)


def test_a_batch_is_one_post_with_its_key_and_token(tool: Any, tool_url: str) -> None:
    assert webhook(tool_url).send(BATCH).failed == {}

    ((key, body, headers),) = tool.requests
    assert key == "key-1"
    assert headers["Authorization"] == "Bearer s3cret"
    assert body == {
        "list": "win_back",
        "as_of": "2026-03-01",
        "action": "add",
        "match_field": "email",
        "rows": [{"match_value": "a@x.org", "fields": {"first_name": "李雷"}}, {"match_value": "b@x.org", "fields": {"first_name": None}}],
    }


def test_a_removal_is_the_key_with_null_data() -> None:
    assert b'"rows":[{"match_value":"a","fields":null}]' in body_of(
        Batch("k", "l", date(2026, 3, 1), "remove", 1, "email", (Row("a", None),))
    )


@pytest.mark.parametrize(
    "script",
    [
        [{"status": 429}],
        [{"status": 429, "Retry-After": "0"}],
        [{"status": 500}, {"status": 502}, {"status": 503}],
        [{"status": 409}],
        ["timeout_before"],
        ["timeout_after"],
        ["reset"],
        ["reset_after"],
        ["half"],
        ["timeout_after", {"status": 500}, "reset_after", {"status": 429}],
    ],
    ids=str,
)
def test_a_passing_fault_is_tried_again_under_the_same_key_and_takes_effect_once(tool: Any, tool_url: str, script: list) -> None:
    tool.script = list(script)

    assert webhook(tool_url).send(BATCH).failed == {}

    assert set(tool.keys) == {"key-1"} and len(tool.keys) == len(script) + 1
    assert tool.effects == {("add", "a@x.org"): 1, ("add", "b@x.org"): 1}


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_wait_a_tool_asks_for_is_kept(tool: Any, tool_url: str, form: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=2)
    tool.script = [{"status": 429, "Retry-After": "1" if form == "seconds" else email.utils.format_datetime(until, usegmt=True)}]
    began = time.monotonic()
    webhook(tool_url).send(BATCH)
    assert 0.9 <= time.monotonic() - began < 3


def test_a_tool_that_asks_for_a_very_long_wait_is_left_alone(tool: Any, tool_url: str) -> None:
    tool.script = [{"status": 429, "Retry-After": "86400"}]
    with pytest.raises(OutcomeUnknown, match="http_429"):
        webhook(tool_url).send(BATCH)
    assert len(tool.requests) == 1


def test_a_fault_that_does_not_pass_ends_after_the_allowed_attempts(tool: Any, tool_url: str) -> None:
    tool.script = [{"status": 500}] * 100
    with pytest.raises(OutcomeUnknown, match="http_500"):
        webhook(tool_url, attempts=4).send(BATCH)
    assert len(tool.requests) == 4


def test_nobody_listening_is_an_unknown_outcome() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(OutcomeUnknown, match="connection"):
            webhook(url, attempts=2).send(BATCH)


@pytest.mark.parametrize(
    "body",
    [
        "<html>Welcome</html>",
        "",
        "{}",
        "[]",
        "null",
        '{"accepted": 2}',
        '{"accepted": 1, "failed": []}',
        '{"accepted": 3, "failed": []}',
        '{"accepted": "2", "failed": []}',
        '{"accepted": 1, "failed": [{"match_value": "stranger", "error": "bad"}]}',
        '{"accepted": 0, "failed": [{"match_value": "a@x.org", "error": "x"}, {"match_value": "a@x.org", "error": "x"}]}',
        '{"accepted": 1, "failed": ["a@x.org"]}',
        '{"accepted": 2, "failed": {}',
        "[" * 100_000,
    ],
    ids=lambda body: body[:99] or "empty",
)
def test_a_200_that_does_not_account_for_every_row_is_no_success(tool: Any, tool_url: str, body: str) -> None:
    tool.script = [{"body": body}]
    with pytest.raises(OutcomeUnknown, match="answer_not_understood"):
        webhook(tool_url).send(BATCH)
    assert len(tool.requests) == 1


def test_an_endless_answer_is_cut(tool: Any, tool_url: str) -> None:
    tool.script = [{"body": "x" * 5_000_000}]
    with pytest.raises(OutcomeUnknown, match="answer_too_long"):
        webhook(tool_url, timeout_s=5).send(BATCH)


def test_rows_that_failed_are_named_with_a_class_that_names_nobody(tool: Any, tool_url: str) -> None:
    tool.script = [{"failing": {"a@x.org": "invalid_address", "b@x.org": "b@x.org is not an address"}}]
    assert webhook(tool_url).send(BATCH).failed == {"a@x.org": "invalid_address", "b@x.org": "unspecified"}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_the_tool_rejects_fails_row_by_row(tool: Any, tool_url: str, status: int) -> None:
    tool.script = [{"status": status}]
    assert webhook(tool_url).send(BATCH).failed == {"a@x.org": f"http_{status}", "b@x.org": f"http_{status}"}


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_tool_that_does_not_want_us_is_asked_once(tool: Any, tool_url: str, status: int) -> None:
    tool.script = [{"status": status}] * 9
    with pytest.raises(Refused, match=f"http_{status}"):
        webhook(tool_url).send(BATCH)
    assert len(tool.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_nothing_goes_to_its_target(tool: Any, tool_url: str, serve: Callable[..., str], status: int) -> None:
    elsewhere = type(tool)()
    tool.script = [{"status": status, "Location": serve(elsewhere)}]
    with pytest.raises(Refused, match="redirect"):
        webhook(tool_url).send(BATCH)
    assert elsewhere.requests == []


# --- which addresses are no tool's -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "127.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.8",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[::10.0.0.8]",
        "[::ffff:0:10.0.0.8]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::8.8.8.8]",
        "[2002:7f00:1::]",
        "[2002:a00:8::1]",
        "[2001:0:0808:0808::f5ff:fff7]",
        "[fe80::1]",
        "[fd00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[::]",
        "0",
        "127.0.0.1.",
        "100.64.0.1",
        "224.0.0.1",
    ],
)
def test_addresses_inside_are_refused_before_any_connection(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it connected"))
    with pytest.raises(Refused, match="address_not_public"):
        webhook(f"https://{host}/", allow_loopback=False).send(BATCH)


@pytest.mark.parametrize("host", ["10.0.0.8", "169.254.169.254", "0.0.0.0", "[fd00::1]"])
def test_allowing_loopback_allows_nothing_else_inside(host: str) -> None:
    with pytest.raises(Refused, match="address_not_public"):
        webhook(f"https://{host}/").send(BATCH)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "2002:5db8:d822::1"])
def test_an_address_outside_is_reached_in_every_writing(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_name_with_one_address_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.8")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(Refused, match="address_not_public"):
        webhook("https://tool.example/").send(BATCH)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://93.184.216.34/", "https_required"),
        ("ftp://93.184.216.34/", "url_not_allowed"),
        ("https://user:pw@93.184.216.34/", "url_not_allowed"),
        ("file:///etc/passwd", "url_not_allowed"),
        ("nonsense", "url_not_allowed"),
        ("https://[::1", "url_not_understood"),
        ("", "url_not_allowed"),
    ],
)
def test_only_https_without_credentials_in_the_url_is_spoken(url: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        webhook(url).send(BATCH)


def test_a_name_is_resolved_once_per_call_and_the_examined_address_is_used(
    monkeypatch: pytest.MonkeyPatch, tool: Any, tool_url: str
) -> None:
    """A name that means this machine when examined and another one a moment later (DNS rebinding) reaches only the first."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def flip(host: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name != "flip.example":
            return real(host, *rest, **more)
        asked.append(name)
        return real("127.0.0.1" if len(asked) == 1 else "10.0.0.8", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", flip)
    webhook(tool_url.replace("127.0.0.1", "flip.example")).send(BATCH)
    assert asked == ["flip.example"]
    assert tool.requests[0][2]["Host"].startswith("flip.example:")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "tool.pem", tmp_path / "tool.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tool.example"),
            *("-addext", "subjectAltName=DNS:tool.example", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.mark.parametrize(
    ("trusted", "name", "arrives"), [(False, "tool.example", 0), (True, "other.example", 0), (True, "tool.example", 1)]
)
def test_the_certificate_must_be_trusted_and_bear_the_name_of_the_url(
    monkeypatch: pytest.MonkeyPatch,
    certificate: tuple[Path, Path],
    tool: Any,
    serve: Callable[..., str],
    trusted: bool,
    name: str,
    arrives: int,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    url = serve(tool, context).replace("127.0.0.1", name)
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1" if host == name else host, *rest, **more))
    if trusted:
        monkeypatch.setattr("certifi.where", lambda: str(certificate[0]))
    destination = webhook(url, attempts=1, timeout_s=3)
    if arrives:
        destination.send(BATCH)
    else:
        with pytest.raises(OutcomeUnknown, match="connection"):
            destination.send(BATCH)
    assert len(tool.requests) == arrives


# --- configuration and silence ---------------------------------------------------------------------------------------------------


def test_the_environment_decides_and_sending_is_off_by_default() -> None:
    assert Webhook.from_environment({}) == Webhook(url="", live=False)
    found = Webhook.from_environment(
        {"USEROPS_WEBHOOK_URL": "https://t.example", "USEROPS_WEBHOOK_TOKEN": "x", "USEROPS_WEBHOOK_LIVE": "1"}
    )
    assert (found.url, found.token, found.live, found.allow_loopback) == ("https://t.example", "x", True, False)


@pytest.mark.parametrize(
    "environment",
    [{"USEROPS_WEBHOOK_LIVE": "1"}, {"USEROPS_WEBHOOK_TOKEN": "s3cret\nX-Evil: 1"}, {"USEROPS_WEBHOOK_TOKEN": "s3crét"}],
    ids=["no url", "line end in token", "token no header can carry"],
)
def test_a_wrong_environment_is_refused_in_a_sentence_without_the_secret(environment: dict[str, str]) -> None:
    with pytest.raises(UserOpsError) as refused:
        Webhook.from_environment(environment)
    assert "s3cr" not in str(refused.value)


def test_neither_token_nor_url_nor_people_are_logged(tool: Any, tool_url: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    destination = webhook(f"{tool_url}?key=s3cret-url", attempts=2)
    tool.script = ["ok", {"status": 500}, {"status": 500}, {"status": 401}]
    with caplog.at_level(logging.INFO):
        destination.send(BATCH)
        with pytest.raises(OutcomeUnknown) as unknown:
            destination.send(BATCH)
        with pytest.raises(Refused) as refused:
            destination.send(BATCH)
    told = f"{caplog.text} {unknown.value!r} {refused.value!r}"
    assert not any(word in told for word in ("s3cret", "x.org", "127.0.0.1", "李雷"))
    assert "s3cret" not in repr(webhook("https://t.example"))
