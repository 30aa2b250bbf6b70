"""A shop of its own: begun from every kind, sound at once, found from below, held against its template, and never overwritten.

Add a promise when a shop can be kept in another way. Must not run a night: what a shop publishes is asked of the flow and of the wheel.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.changed_project import GROCER, edit
from userops_pipeline import cli
from userops_pipeline.deliver.destinations import registry
from userops_pipeline.ground import home, shop_file
from userops_pipeline.ground.home import Home, UserOpsError
from userops_pipeline.intake.shop import Shop
from userops_pipeline.rulebook.current import problems_in, problems_of
from userops_pipeline.rulebook.places import FILES
from userops_pipeline.templates import compare, kinds, start


def begin(folder: Path, kind: str = "subscription") -> Path:
    start.begin(folder, kind, "My shop", say=lambda _: None)
    return folder


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No shop named by the environment; what is entered is forgotten."""
    for name in ("USEROPS_SHOP", "USEROPS_HOME", "USEROPS_SOURCE", *shop_file.VARIABLES.values()):
        monkeypatch.setenv(name, "")  # so that it is put back at the end
        monkeypatch.delenv(name)
    return monkeypatch


# -- begin ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds.names())
def test_a_shop_of_every_kind_is_sound_as_it_is_begun(kind: str, tmp_path: Path, inside: pytest.MonkeyPatch) -> None:
    folder = begin(tmp_path / "mine", kind)
    assert [str(problem) for problem in problems_in(folder / "rules", registry.names())] == []
    inside.chdir(folder / "rules")
    shop_file.enter()
    shop = Shop.from_environment()
    shop.check()
    assert shop.home == Home(folder / ".userops")
    assert all(source.last_night for source in shop.sources), "it says where the sample ends"
    assert compare.differences(folder / "rules", kind) == []
    assert compare.upgrades(folder / "rules", kind) == []


@pytest.mark.parametrize("kind", kinds.names())
def test_every_rule_of_a_kind_is_a_paragraph_that_an_editor_can_judge(kind: str, tmp_path: Path) -> None:
    folder = begin(tmp_path / "mine", kind)
    for file in FILES:
        text = (folder / "rules" / f"{file}.yml").read_text(encoding="utf-8")
        assert text.startswith(f"# yaml-language-server: $schema=.schema/{file}.json\n")
        assert json.loads((folder / "rules" / ".schema" / f"{file}.json").read_text(encoding="utf-8"))["$schema"]


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(UserOpsError, match="has something in it"):
        begin(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_no_shop_is_begun_inside_of_another(tmp_path: Path) -> None:
    folder = begin(tmp_path / "mine")
    with pytest.raises(UserOpsError, match="inside of another shop"):
        begin(folder / "second")
    assert not (folder / "second").exists()


def test_a_shop_that_cannot_be_finished_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(start, "write_atomically", full)
    with pytest.raises(OSError, match="space"):
        begin(tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_none_is_told_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserOpsError, match="content_account, grocer, marketplace, subscription"):
        begin(tmp_path / "mine", "groceries")


# -- kinds ---------------------------------------------------------------------------------------------------------


def test_a_file_of_rules_is_cut_into_paragraphs_and_nothing_is_lost() -> None:
    for path in GROCER.glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        cut = kinds.paragraphs(text)
        assert "".join(cut.values()) == text
        assert [name for name in cut if name] == list(yaml.safe_load(text))


def test_a_kind_takes_over_what_it_does_not_write_itself() -> None:
    grocer, market = kinds.rules_of("grocer"), kinds.rules_of("marketplace")
    assert market["tags"] == grocer["tags"]
    stages = {name: yaml.safe_load(text["stages"]) for name, text in (("grocer", grocer), ("market", market))}
    assert list(stages["market"]) == list(stages["grocer"]), "what is written anew stands where it stood"
    assert stages["market"]["loyal"] == stages["grocer"]["loyal"]
    assert stages["market"]["churned"]["when"] != stages["grocer"]["churned"]["when"]


def test_a_kind_leaves_out_what_it_says() -> None:
    without = kinds.template("subscription").without["tags"]
    assert "churn_risk" in without
    tags = yaml.safe_load(kinds.rules_of("subscription")["tags"])
    assert set(without) & set(tags) == set()
    assert "new_user" in tags


# -- compare -------------------------------------------------------------------------------------------------------


def test_what_an_owner_changed_is_told_by_rule_and_key(tmp_path: Path) -> None:
    rules = begin(tmp_path / "mine") / "rules"
    edit(rules, "tags", "days_since_registered <= 30", "days_since_registered <= 14")
    with (rules / "tags.yml").open("a", encoding="utf-8") as file:
        file.write(
            "\n# of my own\nowner_of_a_dog: {label: 养狗, about: Has a dog., family: preference, owner: crm, when: order_count > 1}\n"
        )
    cut = kinds.paragraphs((rules / "segments.yml").read_text(encoding="utf-8"))
    (rules / "segments.yml").write_text("".join(text for name, text in cut.items() if name != "onboarding"), encoding="utf-8")
    told = {(each.file, each.rule): each for each in compare.differences(rules, "subscription")}
    assert {place: each.what for place, each in told.items()} == {
        ("tags", "new_user"): "changed",
        ("tags", "owner_of_a_dog"): "added",
        ("segments", "onboarding"): "removed",
    }
    assert told["tags", "new_user"].keys == (("when", "days_since_registered <= 30", "days_since_registered <= 14"),)


def test_comments_and_blanks_are_no_difference(tmp_path: Path) -> None:
    rules = begin(tmp_path / "mine") / "rules"
    path = rules / "stages.yml"
    path.write_text("# mine\n\n" + path.read_text(encoding="utf-8").replace("\n\n", "\n\n\n"), encoding="utf-8")
    assert compare.differences(rules, "subscription") == []


def test_an_upgrade_tells_what_is_new_and_what_both_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = begin(tmp_path / "mine") / "rules"
    edit(rules, "tags", "days_since_registered <= 7\n", "days_since_registered <= 5\n")  # first_week is the owner's now
    newer = start.taken("subscription")
    tags = newer["rules"]["tags"]
    tags["new_user"]["when"] = "days_since_registered <= 20"
    tags["first_week"]["when"] = "days_since_registered <= 8"
    tags["of_the_new_version"] = dict(tags["new_user"])
    del tags["gone_quiet"]
    monkeypatch.setattr(compare, "taken", lambda _: newer)
    found = {each.difference.rule: (each.difference.what, each.is_mine) for each in compare.upgrades(rules, "subscription")}
    assert found == {
        "new_user": ("changed", False),
        "first_week": ("changed", True),
        "of_the_new_version": ("added", False),
        "gone_quiet": ("removed", False),
    }
    edit(rules, "tags", "days_since_registered <= 30", "days_since_registered <= 20")
    assert "new_user" not in {each.difference.rule for each in compare.upgrades(rules, "subscription")}, "taken over by hand"


def test_a_shop_that_forgot_what_it_began_with_says_so(tmp_path: Path) -> None:
    rules = begin(tmp_path / "mine") / "rules"
    (rules / ".template.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserOpsError, match="take it from version control"):
        compare.upgrades(rules, "subscription")


# -- a shop is found -----------------------------------------------------------------------------------------------


def test_a_shop_is_found_from_any_folder_below_and_the_environment_wins(tmp_path: Path, inside: pytest.MonkeyPatch) -> None:
    folder = begin(tmp_path / "mine")
    (folder / "shop.yml").write_text("name: x\nsources: [members, demo_shop]\nhour: 5\n", encoding="utf-8")
    inside.chdir(folder / "sources" / "members")
    inside.setenv("USEROPS_HOUR", "7")
    shop_file.enter()
    assert os.environ["USEROPS_SHOP"] == str(folder)
    assert os.environ["USEROPS_SOURCE"] == f"{folder / 'sources' / 'members'},demo_shop"
    assert os.environ["USEROPS_HOUR"] == "7"


def test_outside_of_a_shop_nothing_is_entered(tmp_path: Path, inside: pytest.MonkeyPatch) -> None:
    inside.chdir(tmp_path)
    shop_file.enter()
    assert home.shop_folder() is None
    assert "USEROPS_SHOP" not in os.environ


def test_a_shop_that_is_named_and_is_none_is_refused(tmp_path: Path, inside: pytest.MonkeyPatch) -> None:
    inside.setenv("USEROPS_SHOP", str(tmp_path))
    with pytest.raises(UserOpsError, match="where there is no shop.yml"):
        home.shop_folder()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nsorces: [a]\n", "sorces"),
        ("sources: [a]\n", "name: Field required"),
        ("name: x\nhour: 25\n", "hour"),
        ("name: [", "not readable YAML"),
    ],
)
def test_a_shop_file_that_is_wrong_says_where(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(text, encoding="utf-8")
    with pytest.raises(UserOpsError, match=words):
        shop_file.read(tmp_path)


def test_the_rules_of_the_shop_are_read_and_no_others(tmp_path: Path, inside: pytest.MonkeyPatch) -> None:
    folder = begin(tmp_path / "mine")
    edit(folder / "rules", "tags", "order_count >= 2", "no_such_column >= 2")
    inside.chdir(folder)
    shop_file.enter()
    [refused] = problems_of(registry.names())
    assert "no_such_column" in refused.sentence
    assert (refused.file, refused.rule) == ("rules/tags.yml", "tag repeat_buyer")
    line = (folder / "rules" / "tags.yml").read_text(encoding="utf-8").splitlines()[(refused.line or 0) - 1]
    assert line == "repeat_buyer:"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [{name: my_buyers", "models/mine.yml is not readable YAML"),
        ("models: [{name: user_tags}]", "models/mine.yml describes user_tags, a table of the engine"),
    ],
)
def test_a_paper_of_own_models_that_cannot_be_is_told_by_its_name(
    text: str, words: str, tmp_path: Path, inside: pytest.MonkeyPatch
) -> None:
    folder = begin(tmp_path / "mine")
    (folder / "models").mkdir()
    (folder / "models" / "mine.yml").write_text(text, encoding="utf-8")
    inside.chdir(folder)
    shop_file.enter()
    with pytest.raises(UserOpsError, match=words):
        problems_of(registry.names())


def test_the_command_begins_a_shop_and_says_what_comes_next(tmp_path: Path, inside: pytest.MonkeyPatch) -> None:
    inside.chdir(tmp_path)
    said = CliRunner().invoke(cli.main, ["init", "mine"], input="subscription\n")
    assert said.exit_code == 0, said.output
    for words in ("grocer", "Which kind of shop is it most like?", "userops run"):
        assert words in said.output
    inside.chdir(tmp_path / "mine")
    assert "The rules are those of the template subscription" in CliRunner().invoke(cli.main, ["rules", "diff"]).output


# -- destinations of one's own -------------------------------------------------------------------------------------


def offer(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers a destination."""
    (folder / "my_tool.py").write_text(
        "from userops_pipeline.deliver.destinations.csv_file import CsvFile\n\n\ndef make(home):\n    return CsvFile(home.root / 'my_tool')\n",
        encoding="utf-8",
    )
    about = folder / "my_tool-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-tool\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[userops.destinations]\n{name} = my_tool:make\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    registry.destinations.cache_clear()


@pytest.fixture(autouse=True)
def _forget_tools() -> object:
    yield
    registry.destinations.cache_clear()


def test_a_destination_of_an_installed_package_may_be_named_by_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "my_tool" not in registry.names()
    offer(tmp_path, "my_tool", monkeypatch)
    assert "my_tool" in registry.names()
    assert type(registry.Tools(Home(tmp_path))["my_tool"]).__name__ == "CsvFile"


def test_a_destination_may_not_take_the_name_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, "csv_file", monkeypatch)
    with pytest.raises(UserOpsError, match="whose name is taken"):
        registry.names()
