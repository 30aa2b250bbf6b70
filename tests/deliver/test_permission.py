"""Who may be contacted by the newest rows of the lake, and which delivered files leave that open."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from userops_pipeline.deliver.permission import NewestWord, untold
from userops_pipeline.ground.home import UserOpsError

NIGHT, NEXT = "2026-03-01", "2026-03-02"
CONSENTS = "user_id,address,channel,state,at\n"
FILES: dict[str, Any] = {
    "files": {
        "users": {"path": "{night}/users*", "columns": ["user_id", "registered", "name", "email", "phone", "birth"]},
        "orders": {"path": "{night}/orders*", "columns": ["order_id", "user_id", "at", "amount", "currency", "status"]},
        "choices": {"path": "{night}/choices*", "columns": CONSENTS.strip().split(",")},
    },
    "tables": {"users": {"each": "users"}, "orders": {"each": "orders"}, "consents": {"each": "choices"}},
}
MAPPING = (
    "select user_id, address as contact_point, channel, 'marketing' as purpose, state, 'form' as basis, \"at\" as changed_at,"
    " _file, _row, _night from choices"
)


@pytest.fixture
def shop(new_shop: Callable[..., Any]) -> Any:
    shop = new_shop(mappings={"consents": MAPPING}, **FILES)
    deliver_night(shop, NIGHT, "u1,a@x.org,email,subscribed,2026-03-01 10:00:00\nu2,b@x.org,email,subscribed,2026-03-01 10:00:00\n")
    return shop


def deliver_night(shop: Any, night: str, choices: str | None) -> None:
    shop.drop(
        night, "users.csv", "user_id,registered,name,email,phone,birth\nu1,2026-03-01 09:00:00,,A@x.org,,\nu2,2026-03-01 09:00:00,,,,\n"
    )
    shop.drop(night, "orders.csv", f"order_id,user_id,at,amount,currency,status\no{night},u1,{night} 10:00:00,1.00,CNY,paid\n")
    if choices is not None:
        shop.drop(night, "choices.csv", CONSENTS + choices)
    shop.run(night)


def held(shop: Any, as_of: str = NIGHT) -> list[str]:
    return untold(shop.home, [shop.source], date.fromisoformat(as_of))


def test_the_newest_night_is_asked_whatever_was_built(shop: Any) -> None:
    with NewestWord.open(shop.home) as word:
        assert word.may_contact("email", "marketing", [("u1", " A@x.org"), ("u1", None), (None, "a@x.org"), ("u2", "a@x.org")]) == [
            *(True, True, True),
            False,
        ]
        assert word.may_contact("email", "service", [("u1", None)]) == [False] == word.may_contact("sms", "marketing", [("u1", None)])
        assert word.may_contact("email", "marketing", []) == []
        deliver_night(shop, NEXT, "u1,a@x.org,email,unsubscribed,2026-03-02 10:00:00\n")
        assert word.changed()
        word.renew()
        assert word.may_contact("email", "marketing", [("u1", None), ("u2", None)]) == [False, True] and not word.changed()
        assert word.everybody("email", "email") == ["a@x.org", "b@x.org"] and word.everybody("user_id", "email") == ["u1", "u2"]
    assert not list(shop.home.root.glob(".permission*"))


def test_an_address_that_has_gone_to_somebody_else_is_asked_of_who_has_it_now(shop: Any) -> None:
    """u1 subscribed at a@x.org and has another address since; u2 has it now and never said yes. Asked by the address alone nobody stands
    for it; who lost theirs to nobody may still be removed by the rules, not by this."""
    users = "user_id,registered,name,email,phone,birth\nu1,2026-03-01 09:00:00,,{},,\nu2,2026-03-01 09:00:00,,{},,\n"
    with NewestWord.open(shop.home) as word:
        for night, first, second, may in (
            (NEXT, "", "", True),
            ("2026-03-03", "", "a@x.org", False),
            ("2026-03-04", "new@x.org", "", False),
            ("2026-03-05", "a@x.org", "a@x.org", True),
        ):
            shop.drop(night, "users.csv", users.format(first, second))
            shop.run(night)
            word.renew()
            assert word.may_contact("email", "marketing", [(None, "a@x.org")]) == [may], night
            assert word.may_contact("email", "marketing", [("u1", "a@x.org")]) == [True], "its own user said yes to it"


def test_without_a_lake_nobody_is_asked(shop: Any) -> None:
    for file in shop.home.raw.glob("consents/*/*"):
        file.unlink()
    with pytest.raises(UserOpsError, match="has no lake"), NewestWord.open(shop.home):
        pass


def test_a_shop_whose_files_have_all_come_leaves_nothing_untold(shop: Any) -> None:
    assert held(shop) == []


def test_a_file_that_may_say_who_must_not_be_contacted_and_is_refused_or_missing_is_named(shop: Any) -> None:
    deliver_night(shop, NEXT, None)
    (late,) = held(shop)
    assert "the file choices of shop is 1 night(s) late as of 2026-03-02" in late
    shop.drop(NEXT, "choices.csv", "user_id;address;channel;state;at\n")
    shop.land(NEXT)
    assert any("choices.csv (shop, 2026-03-02) is refused" in sentence for sentence in held(shop))


def test_a_file_that_never_came_holds_lists_also_when_the_next_one_has_come_until_none_was_to_come(shop: Any) -> None:
    deliver_night(shop, NEXT, None)
    deliver_night(shop, "2026-03-03", "")
    (missing,) = held(shop)
    assert "no file choices of shop came for 2026-03-02 and may say who must not be contacted" in missing
    shop.document["quiet"] = {"dates": [NEXT]}
    shop.configure()
    assert held(shop) == []


def test_a_refused_file_that_says_nothing_of_contact_holds_no_list(shop: Any) -> None:
    deliver_night(shop, NEXT, "")
    shop.drop(NEXT, "orders_more.csv", "order_id;user_id\n")
    shop.land(NEXT)
    assert held(shop) == []


def test_a_file_that_has_landed_and_is_not_in_the_lake_is_named(shop: Any) -> None:
    shop.drop(NEXT, "choices.csv", CONSENTS)
    shop.land(NEXT)
    assert held(shop) == [
        "lake/landing/shop/choices/2026-03-02/choices.csv has landed and is not in the lake and may say who must not be contacted; run that night"
    ]
    (shop.home.nights / "shop.pending.json").write_text(json.dumps([NEXT]), encoding="utf-8")
    assert any("half written" in sentence for sentence in held(shop))


def test_a_lake_that_lost_words_about_contact_sends_nothing_at_all(shop: Any) -> None:
    """Who had said yes would be taken off like one who said no."""
    (file,) = (shop.home.raw / "consents" / f"arrived_on={NIGHT}").iterdir()
    content = file.read_bytes()
    for spoilt in (content[:-1] + b"?", None):
        file.write_bytes(spoilt) if spoilt else file.unlink()
        with pytest.raises(UserOpsError, match="not what was conformed"):
            held(shop)


def test_a_source_that_is_not_given_cannot_be_looked_for(shop: Any) -> None:
    with pytest.raises(UserOpsError, match="--source shop"):
        untold(shop.home, [shop.source.model_copy(update={"name": "other"})], date(2026, 3, 1))
