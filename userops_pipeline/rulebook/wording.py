"""The sentences about what was typed, in English and in Chinese: what stands there, what was meant, where it belongs.

Add a sentence here, in both languages, when a problem of typing is told; a problem is its codes and facts until it is said. Must not look for a
problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from userops_pipeline.ground.words import Language
from userops_pipeline.rulebook.problem import Clause, Problem

Said = tuple[str, Mapping[str, str]]
"""A clause before it is said: its code, and the facts that fill it in."""

# The last clause ends the sentence: `meant` and `known` as a hint, else `end`.
SENTENCES: dict[str, tuple[str, str]] = {
    "end": (".", "。"),
    "meant": ("; did you mean '{meant}'?", "；是不是 '{meant}'？"),
    "known": ("; known here are {known}.", "；这里可以写 {known}。"),
    "not_yaml": ("is not YAML: {reason}", "不是 YAML：{reason}"),
    "not_utf8": ("is not UTF-8; save it as UTF-8", "不是 UTF-8 编码；请存成 UTF-8"),
    "anchor": (
        "uses a YAML anchor; write the text out, so that every rule can be read where it stands",
        "用了 YAML 的锚点（& 或 *）；请把文字写出来，让每条规则在原处就能读懂",
    ),
    "tag": ("uses the YAML tag '{tag}'; write plain values", "用了 YAML 标签 '{tag}'；请写普通的值"),
    "twice": (
        "the key '{key}' stands twice in one mapping, and the last would win; take one out",
        "'{key}' 在同一处写了两次，后面的会盖过前面的；请删掉一个",
    ),
    "braces": (
        "holds {{{{, {{% or {{#, which dbt would render instead of taking the text as it stands; write it without",
        "里有 {{{{、{{% 或 {{#，dbt 会去执行它，而不是照原样当文字；请不要这样写",
    ),
    "too_deep": ("is not YAML: it is nested too deeply.", "不是 YAML：嵌套太深。"),
    "sign_in_file": (
        "; the text has {sign} ({name}) where YAML needs {meant}: write {meant} on line {line}",
        "；第 {line} 行写的是 {sign}（{name}），YAML 只认 {meant}：请改成 {meant}",
    ),
    "no_space": (
        "'{key}' has no space behind its colon, so it is one word; write '{meant}'",
        "'{key}' 的冒号后面没有空格，整个成了一个词；请写成 '{meant}'",
    ),
    "sign": ("{where} holds {sign} ({name}); write {meant}", "{where} 里有 {sign}（{name}）；请改成 {meant}"),
    "sign_in_key": (
        "'{key}' holds {sign} ({name}), so it is no key; write '{meant}'",
        "'{key}' 里有 {sign}（{name}），不成其为键；请写成 '{meant}'",
    ),
    "quotes": (
        "the text of '{key}' stands in {sign}, which would be shown; write it in plain quotes, or without",
        "'{key}' 的文字用了 {sign}，会照样显示出来；请用英文引号，或不加引号",
    ),
    "swallowed": (
        "the text of '{key}' goes on to '{inner}', which is a key: {sign} separates nothing; write ', ' and ': ' in its place",
        "'{key}' 的文字一直延续到了键 '{inner}'：{sign} 不起分隔作用；请改成英文的 ', ' 和 ': '",
    ),
    "broken_text": (
        "'{key}' is no key but the rest of the text before it, which ends at the comma; put the whole text of '{before}' in quotes",
        "'{key}' 不是键，而是前面文字的后半截（逗号把它断开了）；请给 '{before}' 的整段文字加上引号",
    ),
    "unknown_key": ("the key '{key}' is not known here", "这里没有 '{key}' 这个键"),
    "foreign_key": (
        "the key '{key}' is not known here; keys are English: write '{meant}'",
        "这里没有 '{key}' 这个键；键用英文，请写 '{meant}'",
    ),
    "belongs": ("the key '{key}' does not belong here; it belongs under '{where}'", "'{key}' 不该写在这里；它应写在 '{where}' 之下"),
    "too_low": ("'{key}' stands too deep; it belongs beside '{beside}'", "'{key}' 缩进太深；它应与 '{beside}' 并列"),
    "misplaced": (
        "looks like a {kind}, but nobody reads one in {here}; move it to {where}",
        "看起来是{kind}，但 {here} 里没有谁会读它；请移到 {where}",
    ),
    "not_a_list": (
        "'{key}' must be a list, in the order in which it is to be read; begin each entry with '- '",
        "'{key}' 必须是列表，按读取的先后排列；每一项以 '- ' 开头",
    ),
    "not_keys": ("'{key}' must hold keys and their values, not {found}", "'{key}' 下面必须是键和值，不能是{found}"),
    "missing": ("the key '{key}' is missing; declare it", "缺少 '{key}' 这个键；请补上"),
    "not_paragraphs": (
        "holds no paragraphs; write the name of a rule with a colon, and its keys indented below",
        "不是一段一段的规则；请先写规则的名字加冒号，下面缩进写它的键",
    ),
    "no_paragraph": ("'{key}' has nothing below it; indent its keys, or take it out", "'{key}' 下面什么都没有；请缩进写上它的键，或删掉它"),
    "no_indent": (
        "'{key}' begins at the margin, so it belongs to no rule; indent it by two spaces like the keys above",
        "'{key}' 顶格写，不属于任何规则；请像上面的键一样缩进两个空格",
    ),
    "dash": (
        "; a rule begins with its name: write '{name}:' in place of '- name: {name}'",
        "；规则以名字开头：请把 '- name: {name}' 改成 '{name}:'",
    ),
    "of_dbt": (
        "'{key}' is of dbt's YAML, where rules stood once; a rule begins at the margin with its name and a colon, its keys indented below",
        "'{key}' 是 dbt 的 YAML 里的写法（规则从前写在那里）；现在每条规则顶格写名字加冒号，下面缩进写它的键",
    ),
    "once": (
        "'{key}' is of dbt's YAML, where rules stood once; take it out: a rule has its name above, and its keys directly below that",
        "'{key}' 是 dbt 的 YAML 里的写法（规则从前写在那里）；请删掉：规则的名字写在上面，它的键直接写在名字下面",
    ),
    "odd_name": (
        "'{key}' is not a name; use lower-case letters, digits and _ and begin with a letter: what people call it is its label",
        "'{key}' 不能作名字；名字用小写英文字母、数字和 _，以字母开头；给人看的叫法写在 label 里",
    ),
    "word_of_yaml": (
        "'{key}' is no text for YAML, but true, false or nothing; take another name",
        "'{key}' 在 YAML 里是真、假或空，不是文字；请换个名字",
    ),
    "no_number": ("'{value}' is no number to count with, nor a date that exists", "'{value}' 不是能计算的数，也不是存在的日期"),
    "odd_key": (
        "a list or a mapping stands where a key must; write the key as a word with a colon behind it",
        "键的位置上是列表或映射；请把键写成一个词，后面加冒号",
    ),
    "merged": (
        "uses the merge key '<<' of YAML; write the keys out, so that every rule can be read where it stands",
        "用了 YAML 的合并键 '<<'；请把键都写出来，让每条规则在原处就能读懂",
    ),
    "unreadable": ("'{key}' cannot be read: {reason}", "'{key}' 读不出来：{reason}"),
    "one_of": ("'{key}' is '{value}'; it must be one of {known}", "'{key}' 写的是 '{value}'；只能是 {known} 之一"),
    "has_none": ("has no {key}; say which: {known}", "没有写 {key}；请选一个：{known}"),
    "does_not_exist": ("{where}names the {kind} '{value}', which does not exist", "{where}写的{kind} '{value}' 不存在"),
    "weighs": ("'{key}' weighs '{value}', which is none of {known}", "'{key}' 里的 '{value}' 不是 {known} 之一"),
    "no_column": ("'{key}' names '{value}', which is no column: columns have English names", "'{key}' 里的 '{value}' 不是列名：列名用英文"),
    "sql_word": ("'{key}' holds '{value}'; conditions are SQL: write {meant}", "'{key}' 里写了 '{value}'；条件用 SQL：请写 {meant}"),
    "unread_file": (
        "is no file of rules, so nobody reads it",
        "不是规则文件，没有谁会读",
    ),
    "odd_owner": (
        "is the only one whose owner is '{value}', which is nearly '{meant}'; if that was meant, write it so",
        "owner 写的是 '{value}'，只出现这一次，又和 '{meant}' 很像；如果就是它，请照样写",
    ),
}
# What stands in braces by a name of its own in either language: kinds, places, and what a value is.
NAMES: dict[str, tuple[str, str]] = {
    "family": ("family of tags", "标签类别"),
    "tag": ("tag", "标签"),
    "segment": ("segment", "分群"),
    "stage": ("stage", "生命周期阶段"),
    "plan state": ("plan state", "付费状态"),
    "paid period": ("paid period", "付费周期"),
    "funnel": ("funnel", "漏斗"),
    "group": ("group of RFM", "RFM 分组"),
    "tier": ("tier", "分层"),
    "level": ("level", "会员等级"),
    "points": ("rule of points", "积分规则"),
    "benefit": ("benefit", "权益"),
    "retention": ("retention", "留存"),
    "survival": ("survival", "存续"),
    "opinion leader": ("tier of opinion leaders", "达人等级"),
    "precursor": ("precursor", "流失前兆"),
    "behaviour": ("behaviour", "行为"),
    "outcome": ("outcome", "结果"),
    "key behaviour": ("key behaviour", "关键行为"),
    "metric": ("metric", "指标"),
    "goal": ("goal", "目标"),
    "list": ("list", "名单"),
    "section": ("section of the settings", "设置里的一节"),
    "tool": ("tool", "工具"),
    "a list": ("a list", "列表"),
    "a text": ("a text", "一段文字"),
    "full-width": ("full-width", "全角"),
    "curly": ("a curly quote", "弯引号"),
    "chinese": ("a Chinese sign", "中文标点"),
    "maths": ("a sign of mathematics", "数学符号"),
    "a space": ("a space that is none for YAML", "YAML 不认的空格"),
}


def problem(file: str, rule: str, clauses: Iterable[Said], line: int | None = None, *, is_warning: bool = False) -> Problem:
    """A problem of these clauses, in English until it is said in another language."""
    parts = tuple(Clause(code=code, facts=tuple(facts.items())) for code, facts in clauses)
    return Problem(file=file, rule=rule, line=line, sentence=_sentence(parts, "en"), clauses=parts, is_warning=is_warning)


def said(found: Problem, language: Language) -> str:
    """The line a person reads; a sentence that has no words in the language is said in English."""
    sentence = _sentence(found.clauses, language) if found.clauses else found.sentence
    return f"{found.place}: {found.rule}: {sentence}"


def hint(word: str, meant: str, known: Sequence[str] = ()) -> list[Said]:
    """How a sentence about a wrong word ends: with the word that was meant, with those that are known, or at once."""
    if meant and meant != word:
        return [("meant", {"meant": meant})]
    return [("known", {"known": ", ".join(known)})] if known else [("end", {})]


def _sentence(clauses: Sequence[Clause], language: Language) -> str:
    place = 1 if language == "zh" else 0
    parts = []
    for clause in clauses:
        facts = {
            key: NAMES[value][place] if key in ("kind", "name", "found") and value in NAMES else _both(value, place)
            for key, value in clause.facts
        }
        parts.append(SENTENCES[clause.code][place].format(**facts))
    sentence = "".join(parts)
    return sentence if sentence.endswith((".", "?", "。", "？")) else sentence + SENTENCES["end"][place]


def _both(value: str, place: int) -> str:
    """A fact that is said in either language by itself: `English | Chinese`."""
    return value.split(BOTH)[place] if BOTH in value else value


BOTH = "\x1f"
"""Between the English and the Chinese of one fact."""
