"""Channels: by which a person is reached, and whose own each kind of address is.

Here lives what an address is good for. Add a channel when an address of its own comes with it; others need no word here.
Must not know how an address is written: addresses does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

EMAIL_CHANNELS = ("email",)
PHONE_CHANNELS = ("sms", "phone")
# Columns that hold an address, with the channels whose own it is. contact_point is the address of the list's channel, whichever it is.
ADDRESSES: dict[str, tuple[str, ...]] = {"email": EMAIL_CHANNELS, "phone": PHONE_CHANNELS}


def foreign_addresses(channel: str, match_key: str, fields: Mapping[str, str]) -> Iterator[str]:
    """A sentence per address that would leave by a list of another channel: consent is asked for the list's own channel only."""
    for place, column in [("match_key", match_key), *((f"field '{name}'", column) for name, column in fields.items())]:
        if channel not in ADDRESSES.get(column, {channel}):
            own = " or ".join(sorted(ADDRESSES[column]))
            yield (
                f"lets {column} leave (as its {place}) by a list of the channel '{channel}', whose consent says nothing of it; "
                f"make it a list of the channel {own}, or take contact_point, which is the address of the list's own channel"
            )
