"""The data dictionary: what every published table and column means, read from dbt's manifest and the rules, and rendered for people.

Here lives how descriptions, Chinese labels and rules are told of a table, and the Markdown and HTML pages made of them.
Add here when a new kind of rule should be readable in the dictionary; the words themselves belong in the model's YAML.
Must not hold a description of a model, nor anything that needs the network to be shown.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from userops_pipeline.rulebook import condition_text


@dataclass(frozen=True)
class ColumnDoc:
    """A column; `rule` is the condition that makes it true, where the column is a rule."""

    name: str
    data_type: str = ""
    description: str = ""
    label: str = ""
    rule: str = ""


@dataclass(frozen=True)
class RuleDoc:
    """A rule listed under a table: a stage, a group or a step of a funnel."""

    kind: str
    name: str
    label: str
    rule: str
    meaning: str = ""


@dataclass(frozen=True)
class TableDoc:
    """A table with its columns and the rules it is made by."""

    name: str
    description: str = ""
    label: str = ""
    subject: str = ""
    columns: tuple[ColumnDoc, ...] = ()
    rules: tuple[RuleDoc, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def describe(manifest: Mapping[str, Any], models: Iterable[str], rules: Mapping[str, Mapping[str, Any]]) -> list[TableDoc]:
    """What dbt's manifest says about the models and scored tables, and what is declared of each by its name (`rules`); one that the manifest does
    not hold is left out."""
    nodes = {node["name"]: node for node in manifest.get("sources", {}).values()}
    nodes |= {node["name"]: node for node in manifest["nodes"].values() if node.get("resource_type") == "model"}
    return [_table(nodes[name], rules.get(name, {})) for name in models if name in nodes]


def with_columns(doc: TableDoc, types: Mapping[str, str]) -> TableDoc:
    """The same table with exactly the columns it has, in their order and with the types they have."""
    known = {column.name: column for column in doc.columns}
    columns = (dataclasses.replace(known.get(name, ColumnDoc(name)), data_type=data_type) for name, data_type in types.items())
    return dataclasses.replace(doc, columns=tuple(columns))


def _table(node: Mapping[str, Any], declared: Mapping[str, Any]) -> TableDoc:
    meta = _meta(node)
    folders = node.get("fqn", [])
    if node.get("resource_type") == "source":  # its own name stands between folder and table
        folders = [*folders[:-2], *folders[-1:]]
    return TableDoc(
        name=node["name"],
        description=_line(node.get("description")),
        label=_line(meta.get("label")),
        subject=folders[-2] if len(folders) > 2 else "",
        columns=tuple(
            ColumnDoc(
                name=column["name"],
                data_type=_line(column.get("data_type")).upper(),
                description=_line(column.get("description")),
                label=_line(_meta(column).get("label")),
                rule=_column_rule(_meta(column)),
            )
            for column in node.get("columns", {}).values()
        ),
        rules=tuple(_rules(declared)),
    )


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config.meta`, or `meta` where dbt left it there."""
    return node.get("config", {}).get("meta") or node.get("meta") or {}


def _column_rule(meta: Mapping[str, Any]) -> str:
    """The condition of a tag, or the steps of a segment as one sentence."""
    if "when" in meta:
        return _line(condition_text(meta["when"], meta.get("stays_when")))
    steps = [_step(step) for step in meta.get("include", ())]
    included = " and ".join(f"({step})" if len(steps) > 1 and " or " in step else step for step in steps)
    excluded = "; ".join(map(_step, meta.get("exclude", ())))
    return included + (f"; without: {excluded}" if excluded else "")


def _step(step: Any) -> str:
    return f"segment {step['segment']}" if isinstance(step, Mapping) else _line(step)


def _rules(declared: Mapping[str, Any]) -> Iterator[RuleDoc]:
    for kind in ("stages", "groups"):
        for rule in declared.get(kind, ()):
            meaning = ". ".join(_line(rule[key]).rstrip(".") for key in ("state", "goal", "action") if rule.get(key))
            condition = _line(condition_text(rule.get("when") or "", rule.get("stays_when")))
            yield RuleDoc(kind.removesuffix("s"), _line(rule.get("name")), _line(rule.get("label")), condition, meaning)
    for funnel in declared.get("funnels", ()):
        for step in funnel.get("steps", ()):
            within = f"within {step['within_days']} days of the step before" if step.get("within_days") is not None else ""
            same = "same object" if step.get("same_object") else ""
            yield RuleDoc(
                kind=f"step of {funnel.get('name')}",
                name=_line(step.get("name")),
                label=_line(step.get("label")),
                rule=_line(step.get("when")),
                meaning=", ".join(filter(None, (within, same))),
            )


def _line(value: Any) -> str:
    return " ".join(str(value).split()) if value is not None else ""


# ---- Markdown -----------------------------------------------------------------------------------------------------------------------


def as_markdown(tables: Sequence[TableDoc], row_counts: Mapping[str, int], generation_id: str) -> str:
    """The dictionary as one Markdown page."""
    parts = [
        "# Data dictionary · 数据字典",
        f"Generation `{generation_id}`.",
        _markdown_table(
            ("Table", "", "Rows", "What it is"),
            [(f"[`{table.name}`](#{table.name})", table.label, _rows(table, row_counts), table.description) for table in _ordered(tables)],
        ),
    ]
    for table in _ordered(tables):
        parts += [f"## {table.name}", " ".join(filter(None, (table.description, table.label and f"({table.label})")))]
        parts.append(_markdown_table(_COLUMN_HEADS, [_column_cells(column, "`{}`") for column in table.columns]))
        if table.rules:
            parts.append(_markdown_table(_RULE_HEADS, [_rule_cells(rule, "`{}`") for rule in table.rules]))
    return "\n\n".join(filter(None, parts)) + "\n"


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(heads), line("---" for _ in heads), *map(line, rows)])


# ---- HTML ---------------------------------------------------------------------------------------------------------------------------


def as_html(tables: Sequence[TableDoc], row_counts: Mapping[str, int], generation_id: str) -> str:
    """The dictionary as one page that needs nothing else: no script from elsewhere, no font, no network."""
    navigation, sections, subject = [], [], None
    for table in _ordered(tables):
        if table.subject != subject:
            subject = table.subject
            navigation.append(f"<h2>{escape(subject or 'other')}</h2>")
        navigation.append(f'<a href="#{escape(table.name)}">{escape(table.name)}</a>')
        sections.append(_section(table, _rows(table, row_counts)))
    return _PAGE.format(
        style=_STYLE,
        script=_SCRIPT,
        generation=escape(generation_id),
        counts=f"{len(tables)} tables, {sum(len(table.columns) for table in tables)} columns",
        navigation="\n".join(navigation),
        sections="\n".join(sections),
    )


def _section(table: TableDoc, rows: str) -> str:
    label = f'<span class="label" lang="zh">{escape(table.label)}</span>' if table.label else ""
    count = f'<span class="rows">{rows} rows</span>' if rows else ""
    rules = _html_table(_RULE_HEADS, [_rule_cells(rule, "{}") for rule in table.rules], code=(0, 3)) if table.rules else ""
    columns = _html_table(_COLUMN_HEADS, [_column_cells(column, "{}") for column in table.columns], code=(0, 4))
    return (
        f'<section id="{escape(table.name)}"><h3>{escape(table.name)}{label}{count}</h3>\n'
        f"<p>{_prose(table.description)}</p>\n{columns}\n{rules}</section>"
    )


def _prose(text: str) -> str:
    """Text with its `code` set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _html_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, code: tuple[int, ...]) -> str:
    """A table without the columns that are empty in every row."""
    used = [index for index in range(len(heads)) if any(row[index] for row in rows)]

    def cell(row: Sequence[str], index: int) -> str:
        text = row[index]
        content = f"<code>{escape(text)}</code>" if index in code and text else _prose(text)
        return f'<td class="tight">{content}</td>' if index in _TIGHT else f"<td>{content}</td>"

    head = "".join(f"<th>{escape(heads[index])}</th>" for index in used)
    body = "\n".join("<tr>" + "".join(cell(row, index) for index in used) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


# ---- both ---------------------------------------------------------------------------------------------------------------------------

_COLUMN_HEADS = ("Column", "标签", "Type", "Meaning", "Rule")
_TIGHT = (1, 2)  # columns of both that stay on one line
_RULE_HEADS = ("Name", "标签", "Kind", "Rule", "Meaning")


def _column_cells(column: ColumnDoc, code: str) -> tuple[str, ...]:
    rule = code.format(column.rule) if column.rule else ""
    return (code.format(column.name), column.label, column.data_type.lower(), column.description, rule)


def _rule_cells(rule: RuleDoc, code: str) -> tuple[str, ...]:
    return (code.format(rule.name), rule.label, rule.kind, code.format(rule.rule) if rule.rule else "", rule.meaning)


def _ordered(tables: Sequence[TableDoc]) -> list[TableDoc]:
    return sorted(tables, key=lambda table: (table.subject, table.name))


def _rows(table: TableDoc, row_counts: Mapping[str, int]) -> str:
    return f"{row_counts[table.name]:,}" if table.name in row_counts else ""


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data dictionary · 数据字典</title>
<style>{style}</style></head>
<body>
<nav><h1>Data dictionary<span lang="zh">数据字典</span></h1>
<p>Generation <code>{generation}</code><br>{counts}</p>
<input type="search" placeholder="Find a table or column" aria-label="Find a table or column">
{navigation}
</nav>
<main>
{sections}
</main>
<script>{script}</script>
</body></html>
"""

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2733;--soft:#5d6b7a;--line:#dfe4ea;--back:#fff;--side:#f5f7f9;--mark:#0b6bcb}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--soft:#9aa7b4;--line:#2f3a45;--back:#14191f;--side:#1a2129;--mark:#6db3f8}}
*{box-sizing:border-box}[hidden]{display:none!important}
body{margin:0;display:grid;grid-template-columns:260px minmax(0,1fr);color:var(--ink);background:var(--back);
font:15px/1.55 system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:24px 20px;background:var(--side);border-right:1px solid var(--line)}
nav h1{font-size:18px;margin:0}nav h1 span{display:block;font-weight:400;color:var(--soft);font-size:14px}
nav h2{margin:18px 0 4px;font-size:11px;letter-spacing:.08em;text-transform:uppercase;color:var(--soft)}
nav p{margin:8px 0 14px;color:var(--soft);font-size:13px}
nav a{display:block;padding:2px 0;color:var(--ink);text-decoration:none;font-size:14px}nav a:hover{color:var(--mark)}
input{width:100%;padding:7px 10px;border:1px solid var(--line);border-radius:6px;background:var(--back);color:inherit;font:inherit}
main{padding:8px 40px 80px;max-width:1200px}
section{padding-top:28px}section:target h3{color:var(--mark)}
h3{margin:0;font-size:20px;display:flex;gap:12px;align-items:baseline;flex-wrap:wrap}
.label{font-weight:400;font-size:16px;color:var(--soft)}.rows{margin-left:auto;font-weight:400;font-size:13px;color:var(--soft)}
section p{margin:4px 0 12px;max-width:80ch}
.wide{overflow-x:auto;margin-bottom:16px}
table{width:100%;border-collapse:collapse;font-size:14px}
th{text-align:left;font-weight:600;font-size:12px;color:var(--soft);border-bottom:1px solid var(--line);padding:4px 16px 4px 0}
td{vertical-align:top;border-bottom:1px solid var(--line);padding:6px 16px 6px 0}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
td:first-child code{overflow-wrap:normal;white-space:nowrap}.tight{white-space:nowrap}
@media(max-width:800px){body{display:block}nav{position:static;height:auto;border:0}main{padding:8px 20px 60px}}
@media print{nav{display:none}body{display:block}}
"""

_SCRIPT = """
document.querySelector("input").addEventListener("input", event => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const section of document.querySelectorAll("section")) {
    const title = section.querySelector("h3").textContent.toLowerCase().includes(wanted);
    let shown = title;
    for (const row of section.querySelectorAll("tbody tr")) {
      const hit = title || row.textContent.toLowerCase().includes(wanted);
      row.hidden = !hit;
      shown = shown || hit;
    }
    section.hidden = !shown;
    document.querySelector(`nav a[href="#${section.id}"]`).hidden = !shown;
  }
});
"""
