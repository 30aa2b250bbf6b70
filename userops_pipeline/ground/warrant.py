"""Warrants: the proof that a run was started at the command line of this home, and by nobody who can only reach the UI.

Here lives the home's key and what is signed with it; a run that waives, accepts or allows something must show it.
Must not decide which settings need a warrant: the steps that have them do.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets

from userops_pipeline.ground.home import Home

TAG = "userops/warrant"


def sign(home: Home, run_id: str) -> str:
    """The warrant of one run; another run with the same settings needs its own, so none can be used again."""
    return hmac.new(_key(home), run_id.encode(), "sha256").hexdigest()


def holds(home: Home, run_id: str, warrant: str | None) -> bool:
    """Whether this run was started by somebody who can read the home's key."""
    return warrant is not None and hmac.compare_digest(sign(home, run_id).encode(), warrant.encode())


def _key(home: Home) -> bytes:
    """Made once, for its owner's eyes."""
    place = home.root / ".warrant.key"
    home.root.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".warrant.key.{os.getpid()}.part")
    if not place.exists():
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(part, place)  # whoever comes second keeps the first one's
        part.unlink()
    return place.read_bytes()
