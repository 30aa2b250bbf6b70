"""The destination `webhook`: JSON batches to a URL of one's own choosing, in the way any tool can be put behind.

Here live the request, the strict reading of the answer, the retries, and the refusal of addresses that are no tool's.
Add here when the protocol below grows; must not hold a vendor's protocol, which is a file of its own.

    POST <url>   Idempotency-Key: <key, the same whenever the batch is sent>   Authorization: Bearer <token>
    {"list": "win_back", "as_of": "2026-03-01", "action": "add", "match_field": "email",
     "rows": [{"match_value": "…", "fields": {"first_name": "…"}}]}                          fields is null for "remove"
    200          {"accepted": <rows>, "failed": [{"match_value": "…", "error": "<class>"}]}  accepted + failed = rows sent

Any other answer is no success. Only HTTPS to public addresses is spoken, certificates are verified, redirects are not followed, proxies
and credentials of the environment are not used. The token and the URL are never logged.

    USEROPS_WEBHOOK_URL, USEROPS_WEBHOOK_TOKEN    where to, and the secret
    USEROPS_WEBHOOK_LIVE=1                        really send; without it every delivery is a dry run
    USEROPS_WEBHOOK_ALLOW_LOOPBACK=1              also speak to this machine, without TLS if need be: for trying and testing
"""

from __future__ import annotations

import email.utils
import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import tenacity

from userops_pipeline.deliver.audiences import Batch
from userops_pipeline.deliver.destinations.base import BatchReceipt, OutcomeUnknown, Refused
from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.ground.reachable import NotReachable, permitted

TRY_AGAIN = frozenset({408, 409, 425, 429})  # and every 5xx
BATCH_REJECTED = frozenset({400, 413, 422})  # the tool wants nothing of this batch; it may want the next one
LONGEST_ANSWER = 4 * 1024 * 1024
LONGEST_WAIT_S = 120.0
# A word of the tool's for what went wrong; digits and signs are kept out, for they could be somebody's number or address.
ERROR_CLASS = re.compile(r"[a-z][a-z_]{1,39}")


class _TryAgain(OutcomeUnknown):
    """A failure that may pass; `after_s` is the wait the tool asked for."""

    def __init__(self, error_class: str, after_s: float | None = None) -> None:
        super().__init__(error_class)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Webhook:
    """Sends each batch as one POST and believes only an answer that accounts for every row."""

    url: str
    token: str | None = field(default=None, repr=False)
    live: bool = False
    allow_loopback: bool = False
    name: str = "webhook"
    max_batch: int = 500
    attempts: int = 5
    backoff_s: float = 1.0
    timeout_s: float = 30.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Webhook:
        """As the variables above say.

        Raises:
            UserOpsError: sending is switched on without a URL.
        """
        url = environment.get("USEROPS_WEBHOOK_URL", "")
        live = environment.get("USEROPS_WEBHOOK_LIVE") == "1"
        if live and not url:
            raise UserOpsError(
                "USEROPS_WEBHOOK_LIVE is 1, but USEROPS_WEBHOOK_URL is not set; set it to the HTTPS address that takes the lists."
            )
        token = environment.get("USEROPS_WEBHOOK_TOKEN") or None
        if token and not re.fullmatch(r"[!-~]+", token):
            raise UserOpsError(
                "USEROPS_WEBHOOK_TOKEN has characters that no header can carry; set it to the token alone, without spaces or line ends."
            )
        return cls(
            url=url,
            token=token,
            live=live,
            allow_loopback=environment.get("USEROPS_WEBHOOK_ALLOW_LOOPBACK") == "1",
        )

    def send(self, batch: Batch, go_on: Callable[[], bool] = lambda: True) -> BatchReceipt:
        # httpx tells every request's URL at INFO, and a webhook's URL is often a secret.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts) | _StopOnLongWait(),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(_TryAgain),
            reraise=True,
        )
        with httpx.Client(timeout=self.timeout_s, follow_redirects=False, trust_env=False) as client:
            return retrying(self._send_once, client, batch, go_on)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        asked = _asked_wait(state)
        return tenacity.wait_random_exponential(multiplier=self.backoff_s, max=LONGEST_WAIT_S)(state) if asked is None else asked

    def _send_once(self, client: httpx.Client, batch: Batch, go_on: Callable[[], bool]) -> BatchReceipt:
        if not go_on():
            raise OutcomeUnknown("given_up")
        request = self._request(client, batch)
        deadline = time.monotonic() + 2 * self.timeout_s
        try:
            answer = client.send(request, stream=True)
            try:
                body = b""
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > LONGEST_ANSWER or time.monotonic() > deadline:
                        raise OutcomeUnknown("answer_too_long")
            finally:
                answer.close()
        except httpx.TimeoutException:
            raise _TryAgain("timeout") from None
        except httpx.TransportError:
            raise _TryAgain("connection") from None
        except httpx.HTTPError:
            raise OutcomeUnknown("answer_not_understood") from None
        if answer.status_code in TRY_AGAIN or answer.status_code >= 500:
            raise _TryAgain(f"http_{answer.status_code}", _retry_after(answer.headers.get("Retry-After")))
        if answer.status_code in BATCH_REJECTED:
            return BatchReceipt({row.match_value: f"http_{answer.status_code}" for row in batch.rows})
        if 300 <= answer.status_code < 400:
            raise Refused("redirect")
        if not answer.is_success:
            raise Refused(f"http_{answer.status_code}")
        return _receipt(batch, body)

    def _request(self, client: httpx.Client, batch: Batch) -> httpx.Request:
        """The request, addressed to the very address that was examined, so that a name cannot mean another one a moment later."""
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            raise Refused("url_not_understood") from None
        address = self._address(url)
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Idempotency-Key": batch.key,
        }
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body_of(batch),
            headers=headers,
            extensions={"sni_hostname": url.raw_host.decode("ascii").rstrip(".")},
        )

    def _address(self, url: httpx.URL) -> str:
        if url.scheme not in ("https", "http") or not url.host or url.userinfo:
            raise Refused("url_not_allowed")
        try:
            return permitted(url.raw_host.decode("ascii"), url.port or url.scheme, scheme=url.scheme, allow_loopback=self.allow_loopback)
        except NotReachable as why:
            raise Refused(str(why)) from None
        except (OSError, UnicodeError):
            raise _TryAgain("name_not_found") from None


def body_of(batch: Batch) -> bytes:
    """The request's body: the same bytes for the same batch."""
    document = {
        "list": batch.list_name,
        "as_of": batch.as_of.isoformat(),
        "action": batch.action,
        "match_field": batch.match_field,
        "rows": [{"match_value": row.match_value, "fields": row.fields} for row in batch.rows],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _receipt(batch: Batch, body: bytes) -> BatchReceipt:
    """The answer, if it accounts for every row; a page of HTML, an empty body or other JSON says nothing about what happened."""
    try:
        answer = json.loads(body)
        failed = {str(row["match_value"]): str(row["error"]) for row in answer["failed"]}
        complete = answer["accepted"] + len(answer["failed"]) == len(batch.rows) and len(failed) == len(answer["failed"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise OutcomeUnknown("answer_not_understood") from None
    if not complete or not failed.keys() <= {row.match_value for row in batch.rows}:
        raise OutcomeUnknown("answer_not_understood")
    return BatchReceipt(
        {value: error if ERROR_CLASS.fullmatch(error) and value not in error else "unspecified" for value, error in failed.items()}
    )


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, from either form of the header."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _asked_wait(state: tenacity.RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.after_s if isinstance(error, _TryAgain) else None


class _StopOnLongWait(tenacity.stop.stop_base):
    """A tool that wants to be left alone for long is left alone until the next delivery."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return (_asked_wait(retry_state) or 0) > LONGEST_WAIT_S
