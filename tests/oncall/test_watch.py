"""What whoever is on call hears, by a real mail server and a real webhook: once, without a value, and that it is over."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from userops_pipeline.ground.home import Home, UserOpsError
from userops_pipeline.oncall import alerts, runs, watch
from userops_pipeline.oncall.alerts import plain
from userops_pipeline.oncall.runs import Calendar, Run
from userops_pipeline.oncall.watch import conclude, look, watching

NIGHT = date(2026, 3, 16)
SHOP = Calendar("Asia/Shanghai", date(2026, 3, 1))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith("USEROPS_")]:
        monkeypatch.delenv(name)
    return Home(tmp_path / "shop")


class Clock:
    """The hour as everything that tells sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = datetime(2026, 3, 17, 3, 0, tzinfo=UTC)
        for module in (alerts, watch):
            monkeypatch.setattr(module, "now", lambda: self.at)

    def passes(self, **by: float) -> None:
        self.at += timedelta(**by)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Webhook:
    """A receiver of alerts on this machine; `status` is what it answers."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.status = 200
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.status == 200:
                    receiver.texts.append(body["text"])
                self.send_response(receiver.status)
                self.send_header("Location", "http://192.0.2.1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/T0/secret-token"


@pytest.fixture
def webhook(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    found = Webhook()
    monkeypatch.setenv("USEROPS_ALERT_WEBHOOK", found.url)
    yield found
    found.server.shutdown()
    found.server.server_close()


class Mailbox:
    """What a mail server on this machine received."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []
        self.recipients: list[list[str]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        mail = message_from_bytes(envelope.original_content or b"", policy=default)
        self.mails.append((mail["Subject"], mail.get_content().strip()))
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def mailbox(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("USEROPS_ALERT_MAIL", "night@example.com, day@example.com")
    monkeypatch.setenv("USEROPS_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("USEROPS_SMTP_PORT", str(port))
    yield box
    controller.stop()


def log(home: Home) -> list[str]:
    """The lines of alerts.log without their time."""
    file = home.root / "alerts.log"
    return [line.split(" ", 2)[2] for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def run(outcome: runs.Outcome, night: date = NIGHT, cause: str = "orders.key_is_unique: 3 of 100 rows are not", **more: Any) -> Run:
    number = f"{len(runs.runs(more.pop('home'))) if 'home' in more else 0}"
    started = more.pop("started_at", datetime(2026, 3, 17, 3, tzinfo=UTC) + timedelta(seconds=int(number)))
    bad = {} if outcome == "good" else {"step": "gate", "cause": cause}
    return Run(id=f"{outcome}-{number}-{night}", first=night, last=night, started_at=started, outcome=outcome, **bad, **more)


def test_a_held_night_is_told_in_every_way_and_its_recovery_once(home: Home, clock: Clock, webhook: Webhook, mailbox: Mailbox) -> None:
    held = "held (shop): night 2026-03-16 (run held-0-2) at gate: orders.key_is_unique: 3 of 100 rows are not"
    assert conclude(home, run("held", home=home)) == ["log", "webhook", "mail"]
    assert (log(home), webhook.texts, mailbox.mails) == ([held], [held], [("userops: a night is held", held)])
    assert mailbox.recipients == [["night@example.com", "day@example.com"]]
    clock.passes(hours=1)
    assert conclude(home, run("held", cause="orders.key_is_unique: 4 of 100 rows are not", home=home)) == []  # a retry
    assert conclude(home, run("good", home=home)) == ["log", "webhook", "mail"]
    over = "recovered (shop): night 2026-03-16 (run good-2-2) went well. Told before: a night is held (2026-03-16)."
    assert (log(home)[1:], webhook.texts[1:], mailbox.mails[1:]) == ([over], [over], [("userops: recovered", over)])
    assert conclude(home, run("good", home=home)) == []
    assert conclude(home, run("held", home=home)) == ["log", "webhook", "mail"]  # held again after it was well
    assert stat.S_IMODE((home.root / "alerts.log").stat().st_mode) == 0o600


def test_what_stays_open_is_reminded_of_daily_in_one_message(home: Home, clock: Clock) -> None:
    for night in (NIGHT, NIGHT + timedelta(days=1)):
        conclude(home, run("held", night, home=home))
    clock.passes(hours=22)
    look(home)
    assert len(log(home)) == 2
    clock.passes(hours=2)
    look(home)
    look(home)
    [reminder] = log(home)[2:]
    assert reminder.startswith("held (shop): Still so: night 2026-03-17")
    assert reminder.endswith("And 1 more; `userops doctor` names them.")
    clock.passes(hours=24)
    conclude(home, run("held", NIGHT + timedelta(days=1), home=home))  # a retry of the next day reminds too
    assert log(home)[3].startswith("held (shop): Still so: night 2026-03-17")


def test_another_cause_of_the_same_night_is_told_and_a_run_only_once_whoever_notices_it(home: Home) -> None:
    first = run("held", home=home)
    assert conclude(home, first) == ["log"]
    assert conclude(home, first.model_copy(update={"cause": "told by the sensor in other words"})) == []
    assert conclude(home, run("failed", cause="the disk is full", home=home)) == ["log"]
    assert [line.split(" ")[0] for line in log(home)] == ["held", "failed"]


def test_an_earlier_night_that_goes_well_does_not_mend_a_later_one_and_a_dry_run_no_list(home: Home) -> None:
    conclude(home, run("held", home=home))
    assert conclude(home, run("good", NIGHT - timedelta(days=1), home=home)) == []
    assert conclude(home, run("good", home=home)) == ["log"]
    conclude(home, run("list", cause="coupon_news stopped: 80 % would be removed", home=home))
    assert conclude(home, run("good", dry_run=True, home=home)) == []
    assert [found.outcome for found in runs.unmended(runs.runs(home))] == ["list"]
    assert conclude(home, run("good", home=home)) == ["log"]
    assert runs.unmended(runs.runs(home)) == []


@pytest.mark.parametrize("status", [500, 302])
def test_a_way_that_fails_masks_no_other_and_is_tried_again(
    home: Home, clock: Clock, webhook: Webhook, mailbox: Mailbox, status: int
) -> None:
    webhook.status = status
    assert conclude(home, run("held", home=home)) == ["log", "mail"]
    assert "the alert did not go by webhook (HTTPStatusError); it is tried again" in log(home)
    assert "secret-token" not in (home.root / "alerts.log").read_text() + (home.root / "alerts.json").read_text()
    [sentence] = alerts.untold(home)
    assert "by webhook have not arrived since 2026-03-17 03:00 UTC" in sentence
    webhook.status = 200
    look(home)
    look(home)
    [text] = webhook.texts
    assert text.startswith("held (shop): night 2026-03-16")
    assert "(told late: 2026-03-17 03:00 UTC)" in text
    assert (alerts.untold(home), len(mailbox.mails)) == ([], 1)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("USEROPS_ALERT_WEBHOOK", "http://alerts.example.com/x", "must be https, or http to this machine"),
        ("USEROPS_ALERT_WEBHOOK", "http://[::1", "InvalidURL"),
        ("USEROPS_ALERT_WEBHOOK", "file:///etc/passwd", "must be https"),
        ("USEROPS_SMTP_PORT", "smtp", "USEROPS_SMTP_PORT must be a number"),
        ("USEROPS_SMTP_TLS", "yes", "USEROPS_SMTP_TLS must be"),
        ("USEROPS_ALERT_MAIL", "night@example.com\nBcc: all@example.com", "ValueError"),
    ],
)
def test_a_wrong_setting_is_said_in_the_log_and_the_others_go_on(
    home: Home, webhook: Webhook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)
    assert len(conclude(home, run("failed", home=home))) == 2
    assert any(reason in line for line in log(home))
    assert value not in (home.root / "alerts.log").read_text(encoding="utf-8")


def test_mail_goes_by_starttls_with_a_login_and_never_sends_a_password_in_the_open(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=isinstance(data, LoginPassword) and (data.login, data.password) == (b"night", b"word"))

    box, port = Mailbox(), free_port()
    controller = Controller(
        box, hostname="localhost", port=port, tls_context=context, require_starttls=True, authenticator=login, auth_required=True
    )
    controller.start()
    try:
        for name, value in {
            "ALERT_MAIL": "night@example.com", "ALERT_FROM": "userops@example.com", "SMTP_HOST": "localhost", "SMTP_PORT": str(port),
            "SMTP_USER": "night", "SMTP_PASSWORD": "word",
        }.items():  # fmt: skip
            monkeypatch.setenv(f"USEROPS_{name}", value)
        assert conclude(home, run("failed", home=home)) == ["log"]  # nobody vouches for this server
        assert any("SSLCertVerificationError" in line for line in log(home))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert conclude(home, run("failed", NIGHT + timedelta(days=1), home=home)) == ["log", "mail"]
        assert [subject for subject, _ in box.mails] == ["userops: a run failed"] * 2  # the one before came late
        monkeypatch.setenv("USEROPS_SMTP_HOST", "mail.example.com")
        monkeypatch.setenv("USEROPS_SMTP_TLS", "off")
        conclude(home, run("failed", NIGHT + timedelta(days=2), home=home))
        assert any("a login without TLS would show the password" in line for line in log(home))
        assert "word" not in (home.root / "alerts.json").read_text(encoding="utf-8").replace("password", "")
    finally:
        controller.stop()


def test_a_night_that_never_came_is_told_after_its_hour_and_when_it_is_there(
    home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[date] = [date(2026, 3, 15)]
    monkeypatch.setattr(watch.generations, "current", lambda _: type("Generation", (), {"as_of": published[-1]}))
    clock.at = datetime(2026, 3, 16, 21, 59, tzinfo=UTC)  # 05:59 on the 17th in Shanghai
    assert look(home, SHOP) == [] and log(home) == []
    clock.passes(minutes=1)
    [sentence] = look(home, SHOP)
    assert sentence.startswith("The newest night published is 2026-03-15; 2026-03-16 was due by 06:00 (Asia/Shanghai).")
    look(home, SHOP)
    assert log(home) == [f"stale (shop): {sentence}"]
    clock.passes(hours=24)
    look(home, SHOP)
    assert "Still so" in log(home)[1]
    published.append(date(2026, 3, 17))
    look(home, SHOP)
    look(home, SHOP)
    assert log(home)[2:] == ["recovered (shop): A new night is published. Told before: nothing new is published."]
    clock.passes(days=30)
    assert look(home, Calendar("UTC", date(2026, 3, 1), ends_on=date(2026, 3, 20))) == []  # a shop that has ended is never late
    monkeypatch.setenv("USEROPS_FRESH_BY", "25")
    assert look(home, SHOP) == []  # never raises
    with pytest.raises(UserOpsError, match="0 to 23"):
        runs.fresh_by()


def test_whatever_ends_a_run_before_its_first_step_is_told_without_a_value(home: Home) -> None:
    with pytest.raises(UserOpsError), home.writer_lock("run 1234"), watching(home, NIGHT, NIGHT), home.writer_lock("me"):
        pass
    with pytest.raises(RuntimeError), watching(home, None, None):
        raise RuntimeError("the row 'Ann Lee' <ann@example.com> of +49 170 1234567 cannot be read\nsecond line with Ann")
    refused, broken = log(home)
    assert refused.startswith("failed (shop): night 2026-03-16 (run ")
    assert "before its first step: The home 'shop' is being written by run 1234" in refused
    assert "before its first step: RuntimeError at userops_pipeline/oncall/watch.py:" in broken
    assert not any(word in broken for word in ("Ann", "ann@", "1234567"))
    assert [(found.outcome, found.last) for found in runs.runs(home)] == [("failed", NIGHT), ("failed", None)]
    assert conclude(home, run("good", home=home, started_at=datetime(2026, 3, 17, tzinfo=UTC), ended_at=datetime.now(UTC))) == ["log"]
    assert runs.unmended(runs.runs(home)) == []  # it had begun before them, and ended after


def test_a_stopped_run_is_told_before_it_ends_and_a_killed_one_by_the_next_who_looks(
    home: Home, clock: Clock, webhook: Webhook, tmp_path: Path
) -> None:
    script = tmp_path / "night.py"
    script.write_text(
        "import sys, time\nfrom datetime import date\nfrom pathlib import Path\n"
        "from userops_pipeline.ground.home import Home\nfrom userops_pipeline.oncall.watch import watching\n"
        "with watching(Home(Path(sys.argv[1])), None, date(2026, 3, 16)):\n    print('runs', flush=True)\n    time.sleep(60)\n",
        encoding="utf-8",
    )
    ends = {}
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen([sys.executable, script, home.root], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        process.send_signal(number)
        ends[number] = process.wait()
    assert ends == {signal.SIGTERM: 143, signal.SIGKILL: -9}
    [stopped] = webhook.texts
    assert "It was asked to stop" in stopped
    look(home)
    assert len(webhook.texts) == 1  # its process may just not be visible from here
    clock.at = datetime.now(UTC) + timedelta(minutes=20)
    [sentence] = look(home)
    assert "It ended without a word" in sentence
    assert "It ended without a word" in webhook.texts[1]
    assert look(home) == []


def test_a_disk_that_takes_nothing_keeps_nobody_from_being_told(home: Home, webhook: Webhook) -> None:
    home.root.parent.mkdir(exist_ok=True)
    home.root.write_text("a file where the home should be", encoding="utf-8")
    assert conclude(home, run("failed")) == ["webhook"]


def test_old_runs_are_forgotten_and_a_torn_file_is_passed_over(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEEP_RUNS", 3)
    for day in range(5):
        conclude(home, run("good", NIGHT + timedelta(days=day), home=home, started_at=datetime(2026, 3, 17 + day, tzinfo=UTC)))
    min(home.runs.glob("*.json")).write_text('{"id": ', encoding="utf-8")
    assert [found.last for found in runs.runs(home)] == [date(2026, 3, 19), date(2026, 3, 20)]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Could not convert string 'ann@x.org' to INT32", "Could not convert string '…' to INT32"),
        ('Duplicate key "user_id: ann" violates', "Duplicate key '…' violates"),
        ("call +86 139 1234 5678 back", "call … back"),
        ("No space left on device", "No space left on device"),
    ],
)
def test_the_words_of_others_lose_their_values(said: str, kept: str) -> None:
    assert plain(said) == kept


def test_a_list_that_a_delivery_left_behind_is_told_once_and_so_is_its_end(home: Home, webhook: Webhook) -> None:
    """By hand or by cron, without a night around it."""
    held = {"news": "news is held: 40 of 50 would leave it."}
    watch.lists_delivered(home, held, {"offers"})
    watch.lists_delivered(home, held, {"offers"})
    watch.lists_delivered(home, {}, {"news", "offers"})
    watch.lists_delivered(home, {}, {"news", "offers"})
    assert [held["news"] in log(home)[0], "Delivered again" in log(home)[1], len(log(home))] == [True, True, 2]
