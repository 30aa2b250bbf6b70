"""Alerts: telling a person what happened to a night, in a log file, to a webhook and by mail, once and reminded daily.

Here lives one function per way of telling, chosen by the environment, and the memory of what was told; add a way here.
Must not hold what went wrong in detail: an alert names the run, the night, the step and the first cause's sentence, never a value.

    alerts.log in the home                        always
    USEROPS_ALERT_WEBHOOK=https://…               a JSON body {"text": …}, as chat tools take it; plain http to this machine only
    USEROPS_ALERT_MAIL=night@example.com          one address or several, by commas
    USEROPS_ALERT_FROM                            sender (default: the first of them)
    USEROPS_SMTP_HOST, USEROPS_SMTP_PORT          default localhost; 25, 587 with starttls, 465 with tls
    USEROPS_SMTP_TLS=starttls|tls|off             default off, and starttls with a login
    USEROPS_SMTP_USER, USEROPS_SMTP_PASSWORD      a login, where the server wants one
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import logging
import os
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

import httpx
from pydantic import BaseModel, ValidationError

from userops_pipeline.ground.home import Home, write_atomically
from userops_pipeline.oncall.runs import now

Kind = Literal["failed", "held", "list", "stale", "recovered"]
REMIND_AFTER = timedelta(hours=23)  # a day, and a cron that is a little early
GIVE_UP_AFTER = timedelta(days=7)  # a way that does not work for so long is told in the log only
MOST_REMEMBERED = 200
TIMEOUT_S = 10
SUBJECT: dict[Kind, str] = {
    "failed": "a run failed",
    "held": "a night is held",
    "list": "a list was not delivered",
    "stale": "nothing new is published",
    "recovered": "recovered",
}


class Open(BaseModel):
    """Something told that nobody has mended yet."""

    kind: Kind
    night: date | None
    text: str
    told_at: datetime


class Untold(BaseModel):
    """Something a way did not take; it is tried again at the next chance."""

    way: str
    kind: Kind
    text: str
    since: datetime


class Memory(BaseModel):
    """What was told, in `alerts.json`: what is open by key, the runs told of, and what a way did not take."""

    open: dict[str, Open] = {}
    runs: list[str] = []
    untold: list[Untold] = []


class _Refused(Exception):
    """A setting that cannot be used; the sentence says which and why, without its value."""


def tell(home: Home, kind: Kind, text: str, *, key: str, night: date | None = None, run: str | None = None) -> list[str]:
    """Tell it in every configured way; the ways that worked, none where it was told already.

    What stays open under `key` is told once and again after a day; `run` is told of once, whoever notices it. A way that fails keeps
    no other from being tried, and is tried again by the next call of anything here.
    """
    with _remembered(home) as memory:
        _try_again(home, memory)
        if run is not None and run in memory.runs:
            return []
        if run is not None:
            memory.runs.append(run)
        before = memory.open.get(key)
        if before is not None and now() - before.told_at < REMIND_AFTER:
            return []
        memory.open[key] = Open(kind=kind, night=night, text=text, told_at=now())
        return _send(home, memory, kind, text if before is None else f"Still so: {text}")


def mended(home: Home, text: str, is_mended: Callable[[str, Open], bool]) -> list[str]:
    """Tell that what these were told about is over, once; the ways that worked, none where nothing was open.

    `text` has a place for `{before}`: what was told, in short.
    """
    with _remembered(home) as memory:
        _try_again(home, memory)
        over = {key: entry for key, entry in memory.open.items() if is_mended(key, entry)}
        if not over:
            return []
        for key in over:
            del memory.open[key]
        before = ", ".join(dict.fromkeys(SUBJECT[entry.kind] + (f" ({entry.night})" if entry.night else "") for entry in over.values()))
        return _send(home, memory, "recovered", text.replace("{before}", before))


def remind(home: Home) -> list[str]:
    """Tell again, in one message, what has been open for a day; and what a way did not take before."""
    if not _memory_file(home).is_file():
        return []
    with _remembered(home) as memory:
        _try_again(home, memory)
        due = [entry for entry in memory.open.values() if now() - entry.told_at >= REMIND_AFTER]
        if not due:
            return []
        newest = max(due, key=lambda entry: (entry.night or date.min, entry.told_at))
        for entry in due:
            entry.told_at = now()
        more = f" And {len(due) - 1} more; `userops doctor` names them." if len(due) > 1 else ""
        return _send(home, memory, newest.kind, f"Still so: {newest.text}{more}")


def untold(home: Home) -> list[str]:
    """A sentence per way that did not take what it was given."""
    since: dict[str, datetime] = {}
    for entry in _read(home).untold:
        since[entry.way] = min(entry.since, since.get(entry.way, entry.since))
    return [
        f"Alerts by {way} have not arrived since {at:%Y-%m-%d %H:%M} UTC; alerts.log of the home says why, and they are tried again."
        for way, at in sorted(since.items())
    ]


def is_open(home: Home, key: str) -> bool:
    """Whether something was told under this key and not taken back."""
    return key in _read(home).open


def plain(text: str) -> str:
    """An error's first line without what may be somebody's: quoted values, addresses and long numbers."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    first = re.sub(r"'[^']*'|\"[^\"]*\"|‘[^’]*’", "'…'", first)
    return re.sub(r"\S*@\S*|\+?\d[\d \-]{5,}\d", "…", first).strip()[:300]


# -- what was told -------------------------------------------------------------------------------------------------


def _memory_file(home: Home) -> Path:
    return home.root / "alerts.json"


def _read(home: Home) -> Memory:
    """What was told; a file that cannot be read is as none: rather told twice than never."""
    try:
        return Memory.model_validate_json(_memory_file(home).read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError):
        return Memory()


@contextlib.contextmanager
def _remembered(home: Home) -> Iterator[Memory]:
    """The memory, held alone and written at the end; a disk that takes neither keeps nobody from being told."""
    with contextlib.ExitStack() as stack:
        try:
            home.root.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(os.open(home.root / ".alerts.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass
        memory = _read(home)
        before = memory.model_dump(mode="json")
        try:
            yield memory
        finally:
            memory.runs = memory.runs[-MOST_REMEMBERED:]
            memory.untold = memory.untold[-MOST_REMEMBERED:]
            memory.open = dict(list(memory.open.items())[-MOST_REMEMBERED:])
            if memory.model_dump(mode="json") != before:
                with contextlib.suppress(OSError):
                    write_atomically(_memory_file(home), (memory.model_dump_json(indent=1) + "\n").encode(), mode=0o600)


# -- the ways ------------------------------------------------------------------------------------------------------


def _send(home: Home, memory: Memory, kind: Kind, text: str) -> list[str]:
    text = " ".join(f"{kind} ({home.root.name}): {text}".split())
    told = []
    for way, send in _ways(home).items():
        if reason := _failure(send, kind, text):
            memory.untold.append(Untold(way=way, kind=kind, text=text, since=now()))
            _note(home, f"the alert did not go by {way} ({reason}); it is tried again")
        else:
            told.append(way)
    return told


def _try_again(home: Home, memory: Memory) -> None:
    """What a way did not take, oldest first; a way that fails again is asked once only."""
    ways, kept, down = _ways(home), [], set()
    for entry in memory.untold:
        if entry.way not in ways or now() - entry.since > GIVE_UP_AFTER:
            continue
        late = f"{entry.text} (told late: {entry.since:%Y-%m-%d %H:%M} UTC)"
        if entry.way in down or _failure(ways[entry.way], entry.kind, late):
            down.add(entry.way)
            kept.append(entry)
    memory.untold = kept


def _failure(send: Callable[[Kind, str], None], kind: Kind, text: str) -> str | None:
    """Why it was not sent; an error's own words may hold an address, so only its class is said."""
    try:
        send(kind, text)
    except _Refused as refused:
        return str(refused)
    except Exception as error:  # whatever a way dies of, the others are still tried
        return type(error).__name__
    return None


def _ways(home: Home) -> dict[str, Callable[[Kind, str], None]]:
    ways: dict[str, Callable[[Kind, str], None]] = {"log": lambda _, text: _log(home, text)}
    if url := os.environ.get("USEROPS_ALERT_WEBHOOK"):
        ways["webhook"] = lambda _, text: _post(url, text)
    if addresses := os.environ.get("USEROPS_ALERT_MAIL"):
        ways["mail"] = lambda kind, text: _mail(addresses, kind, text)
    return ways


def _log(home: Home, text: str) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    with open(os.open(home.root / "alerts.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8") as handle:
        handle.write(f"{now():%Y-%m-%d %H:%M:%S}Z {' '.join(text.split())}\n")


def _note(home: Home, text: str) -> None:
    with contextlib.suppress(OSError):
        _log(home, text)


def _post(url: str, text: str) -> None:
    """One POST; the address is the owner's own, so any https will do, and plain http only where it does not leave the machine."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every request's URL at INFO, and this one is a secret
    parts = httpx.URL(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.host)):
        raise _Refused("USEROPS_ALERT_WEBHOOK must be https, or http to this machine")
    with (
        httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", parts, json={"text": text}) as answer,  # the answer's body is nobody's business, however long
    ):
        answer.raise_for_status()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class _Server:
    """The mail server, as the environment says."""

    host: str
    port: int
    tls: str
    user: str | None
    password: str

    @classmethod
    def from_environment(cls) -> _Server:
        user = os.environ.get("USEROPS_SMTP_USER") or None
        tls = os.environ.get("USEROPS_SMTP_TLS") or ("starttls" if user else "off")
        if tls not in ("starttls", "tls", "off"):
            raise _Refused("USEROPS_SMTP_TLS must be starttls, tls or off")
        host = os.environ.get("USEROPS_SMTP_HOST") or "localhost"
        if user and tls == "off" and not _is_loopback(host):
            raise _Refused("a login without TLS would show the password; set USEROPS_SMTP_TLS to starttls or tls")
        port = os.environ.get("USEROPS_SMTP_PORT") or {"off": "25", "starttls": "587", "tls": "465"}[tls]
        if not port.isdecimal():
            raise _Refused("USEROPS_SMTP_PORT must be a number")
        return cls(host, int(port), tls, user, os.environ.get("USEROPS_SMTP_PASSWORD") or "")


def _mail(addresses: str, kind: Kind, text: str) -> None:
    server = _Server.from_environment()
    message = EmailMessage()
    message["Subject"] = f"userops: {SUBJECT[kind]}"
    message["From"] = os.environ.get("USEROPS_ALERT_FROM") or addresses.split(",")[0].strip()
    message["To"] = addresses
    message.set_content(text)
    context = ssl.create_default_context()
    made = (
        smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
        if server.tls == "tls"
        else smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    )
    with made as connection:
        if server.tls == "starttls":
            connection.starttls(context=context)
        if server.user:
            connection.login(server.user, server.password)
        connection.send_message(message)
