"""Paths: what people do within a visit, as a library of event sequences drawn from Markov chains.

Add a kind of visit here with its chain. A day picks whole paths from the library, so that a visit costs one draw and not one per event.
Must not know who visits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# (event_name, page, mean seconds since the event before it)
STEPS: dict[str, tuple[str, str, float]] = {
    "home": ("view", "home", 0),
    "account": ("view", "account", 12),
    "list": ("list", "category", 14),
    "results": ("list", "results", 4),
    "promotion": ("list", "promotion", 14),
    "search": ("search", "search", 9),
    "detail": ("detail", "product", 18),
    "dwell": ("heartbeat", "product", 15),
    "cart": ("cart", "cart", 25),
    "checkout": ("checkout", "checkout", 40),
    "refused": ("checkout", "payment", 25),  # a payment attempt that failed: back at the checkout
    "pay": ("pay", "payment", 30),
    "register": ("register", "register", 60),
    "login": ("login", "login", 20),
    "install": ("install", "app", 0),
    "click": ("click", "landing", 0),
    "post": ("view", "post", 15),
    "reading": ("heartbeat", "post", 15),
    "like": ("like", "post", 8),
    "comment": ("comment", "post", 35),
    "share": ("share", "post", 12),
    "follow": ("follow", "topic", 10),
    "unfollow": ("unfollow", "topic", 10),
}
STEP = {name: number for number, name in enumerate(STEPS)}
KINDS = ("browse", "search", "read", "leave_cart", "fail", "buy", "click", "click_buy", "register", "arrive")
KIND = {name: number for number, name in enumerate(KINDS)}
PATHS_PER_KIND = 192

_WANDER = {
    "home": [("list", 0.55), ("promotion", 0.15), ("account", 0.1), ("detail", 0.05), ("", 0.15)],
    "account": [("list", 0.4), ("", 0.6)],
    "list": [("detail", 0.6), ("list", 0.2), ("", 0.2)],
    "promotion": [("detail", 0.6), ("list", 0.15), ("", 0.25)],
    "search": [("results", 1.0)],
    "results": [("detail", 0.65), ("search", 0.2), ("", 0.15)],
    "detail": [("dwell", 0.25), ("list", 0.3), ("detail", 0.15), ("cart", 0.05), ("", 0.25)],
    "dwell": [("detail", 0.4), ("dwell", 0.2), ("list", 0.2), ("", 0.2)],
    "cart": [("list", 0.4), ("", 0.6)],
    "click": [("detail", 0.6), ("promotion", 0.2), ("", 0.2)],
    "post": [
        ("reading", 0.3),
        ("like", 0.14),
        ("comment", 0.04),
        ("share", 0.02),
        ("follow", 0.09),
        ("unfollow", 0.007),
        ("post", 0.23),
        ("", 0.173),
    ],
    "reading": [("post", 0.35), ("like", 0.25), ("comment", 0.08), ("", 0.32)],
    "like": [("post", 0.5), ("comment", 0.08), ("", 0.42)],
    "comment": [("post", 0.5), ("", 0.5)],
    "share": [("post", 0.4), ("", 0.6)],
    "follow": [("post", 0.6), ("", 0.4)],
    "unfollow": [("post", 0.5), ("", 0.5)],
}


@dataclass(frozen=True)
class Library:
    """All paths one after another: `step` and `ordinal` (how many products or posts were looked at so far) per event, the rest per path."""

    step: npt.NDArray[np.int8]
    ordinal: npt.NDArray[np.int8]
    offset: npt.NDArray[np.int32]
    length: npt.NDArray[np.int32]
    checkout: npt.NDArray[np.int32]  # position of the first checkout, -1 without
    pay: npt.NDArray[np.int32]
    known: npt.NDArray[np.int8]  # position from which the visitor is logged in, if the path says so; -1 otherwise

    def pick(self, kinds: npt.NDArray[np.int8], rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """A path for each visit of these kinds."""
        return kinds.astype(np.int32) * PATHS_PER_KIND + rng.integers(0, PATHS_PER_KIND, len(kinds), dtype=np.int32)

    def mean_length(self, kind: str) -> float:
        first = KIND[kind] * PATHS_PER_KIND
        return float(self.length[first : first + PATHS_PER_KIND].mean())


def _wander(rng: np.random.Generator, start: str, most: int) -> list[str]:
    path = [start]
    while len(path) < most:
        names, weights = zip(*_WANDER[path[-1]], strict=True)
        chosen = names[int(rng.choice(len(names), p=weights))]
        if not chosen:
            break
        path.append(chosen)
    return path


def _tail(rng: np.random.Generator, *, paid: bool) -> list[str]:
    refusals = int(rng.choice([0, 1, 2], p=[0.88, 0.09, 0.03])) if paid else int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))
    return ["cart", "checkout", *["refused"] * refusals, *(["pay"] if paid else [])]


def _path(rng: np.random.Generator, kind: str) -> list[str]:
    match kind:
        case "browse":
            path = _wander(rng, "home", 24)
            return [*path[:1], "login", *path[1:]] if rng.random() < 0.06 else path
        case "search":
            return ["home", *_wander(rng, "search", 20)]
        case "read":
            return ["home", *_wander(rng, "post", 20)]
        case "leave_cart":
            return ["home", "list", "detail", *["dwell"] * int(rng.random() < 0.4), "cart", *["checkout"] * int(rng.random() < 0.4)]
        case "fail":
            return ["home", "list", "detail", *_tail(rng, paid=False)]
        case "buy":
            opening = [["home", "list"], ["home", "search", "results"], ["home", "promotion"]][int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
            middle = ["detail", *["dwell"] * int(rng.random() < 0.3), *["detail"] * int(rng.choice(3, p=[0.6, 0.3, 0.1]))]
            return [*opening, *middle, *_tail(rng, paid=True)]
        case "click":
            return _wander(rng, "click", 14)
        case "click_buy":
            return ["click", "detail", *_tail(rng, paid=True)]
        case "register":
            return ["home", *_wander(rng, "list", 6), "register", *_wander(rng, "list", 6)]
        case _:
            return ["install", "home", *_wander(rng, "list", 8)]


def build(rng: np.random.Generator) -> Library:
    """Draw the library: PATHS_PER_KIND paths of each kind, in the order of KINDS."""
    paths = [_path(rng, kind) for kind in KINDS for _ in range(PATHS_PER_KIND)]
    length = np.array([len(path) for path in paths], dtype=np.int32)
    looks = {"detail", "post"}
    return Library(
        step=np.array([STEP[name] for path in paths for name in path], dtype=np.int8),
        ordinal=np.concatenate([np.cumsum([name in looks for name in path]) for path in paths]).astype(np.int8),
        offset=(np.cumsum(length) - length).astype(np.int32),
        length=length,
        checkout=np.array([path.index("checkout") if "checkout" in path else -1 for path in paths], dtype=np.int32),
        pay=np.array([path.index("pay") if "pay" in path else -1 for path in paths], dtype=np.int32),
        known=np.array([next((i for i, name in enumerate(path) if name in ("register", "login")), -1) for path in paths], dtype=np.int8),
    )
