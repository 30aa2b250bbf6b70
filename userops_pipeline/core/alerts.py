"""Alerts: telling a person that a night failed, in a log file, to a webhook or by mail.

Here lives one function per way of telling, chosen by the environment; add a way here.
Must not hold what went wrong in detail: an alert names the run, the step and the sentence, never a row.

    USEROPS_ALERT_WEBHOOK=https://…         a JSON body {"text": …}, as chat tools take it
    USEROPS_ALERT_MAIL=night@example.com    by the SMTP server USEROPS_SMTP_HOST (default localhost)
"""

from __future__ import annotations

import os
import smtplib
from datetime import UTC, datetime
from email.message import EmailMessage

import httpx

from userops_pipeline.core.home import Home


def alert(home: Home, text: str) -> list[str]:
    """Tell it in every configured way; returns the ways that worked. A way that fails does not keep the others from being tried."""
    told = [_log(home, text)]
    if url := os.environ.get("USEROPS_ALERT_WEBHOOK"):
        try:
            httpx.post(url, json={"text": text}, timeout=10).raise_for_status()
            told.append("webhook")
        except httpx.HTTPError as error:
            _log(home, f"the alert webhook did not take it ({type(error).__name__})")
    if address := os.environ.get("USEROPS_ALERT_MAIL"):
        message = EmailMessage()
        message["Subject"] = "userops: the night failed"
        message["From"] = message["To"] = address
        message.set_content(text)
        try:
            with smtplib.SMTP(os.environ.get("USEROPS_SMTP_HOST", "localhost"), timeout=10) as server:
                server.send_message(message)
            told.append("mail")
        except (OSError, smtplib.SMTPException) as error:
            _log(home, f"the alert mail was not sent ({type(error).__name__})")
    return told


def _log(home: Home, text: str) -> str:
    home.root.mkdir(parents=True, exist_ok=True)
    with open(home.root / "alerts.log", "a", encoding="utf-8") as handle:
        handle.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z {' '.join(text.split())}\n")
    return "log"
