"""The page: how the parts of a review become one HTML file that needs nothing else, and reads on a screen as on paper.

Here live markup and style; add here when a new kind of part needs a look. Must not hold a word about a subject: sections do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from userops_pipeline.ground.words import Words
from userops_pipeline.publish.generations import Generation
from userops_pipeline.publish.review.parts import (
    Card,
    Cell,
    Drawing,
    Figures,
    Folded,
    Gauge,
    Mark,
    Part,
    Section,
    Sentence,
    Span,
    Table,
    Unknown,
)


def as_html(generation: Generation, sections: Sequence[tuple[Section, Sequence[Part]]]) -> str:
    """The whole page; both languages are in it, and the reader's choice shows one."""
    manifest = generation.manifest
    facts = (
        Words("Night", "日期"),
        manifest.as_of.isoformat(),
        Words("Source", "数据源"),
        ", ".join(manifest.sources),
        Words("Business zone", "业务时区"),
        manifest.business_zone,
        Words("Generation", "发布版本"),
        generation.id,
    )
    return _PAGE.format(
        style=_STYLE,
        night=manifest.as_of.isoformat(),
        title=_both(Words("User operations review", "用户运营复盘")),
        facts="".join(
            f"<div><dt>{_both(head)}</dt><dd>{escape(str(fact))}</dd></div>"
            for head, fact in zip(facts[::2], facts[1::2], strict=True)
            if isinstance(head, Words)
        ),
        navigation="".join(f'<a href="#{section.name}">{_both(section.title)}</a>' for section, _ in sections),
        sections="\n".join(_section(section, parts) for section, parts in sections),
    )


def _section(section: Section, parts: Sequence[Part]) -> str:
    return (
        f'<section id="{escape(section.name)}"><h2>{_both(section.title)}</h2>\n<p class="reading">{_both(section.reading)}</p>\n'
        f"{_parts(parts)}</section>"
    )


def _parts(parts: Iterable[Part]) -> str:
    """The parts in their order; cards that follow one another stand side by side, reasons in one list."""
    made: list[str] = []
    run: list[str] = []
    kind: type[Part] | None = None
    wraps = {Card: '<div class="cards">{}</div>', Unknown: '<ul class="unknown">{}</ul>'}

    def close() -> None:
        if run:
            made.append(wraps[kind].format("\n".join(run)) if kind in wraps else "\n".join(run))  # pyright: ignore[reportArgumentType]
            run.clear()

    for part in parts:
        if type(part) is not kind:
            close()
        kind = type(part)
        run.append(_part(part))
    close()
    return "\n".join(made)


def _part(part: Part) -> str:
    match part:
        case Drawing(picture=picture):
            return f"<figure>{picture.for_page()}</figure>"
        case Unknown(reason=reason):
            return f"<li>{_both(reason)}</li>"
        case Sentence(words=words):
            return f"<p>{_both(words)}</p>"
        case Figures(entries=entries):
            shown = (
                f"<div><dt>{_both(what)}</dt><dd>{escape(number)}{f'<small>{_both(note)}</small>' if note else ''}</dd></div>"
                for what, number, note in entries
            )
            return f'<dl class="figures">{"".join(shown)}</dl>'
        case Card(title=title, parts=inside):
            return f'<div class="card"><h3>{_both(title)}</h3>{_parts(inside)}</div>'
        case Folded(title=title, parts=inside):
            return f"<details><summary>{_both(title)}</summary>{_parts(inside)}</details>"
        case Table():
            return _table(part)


def _table(table: Table) -> str:
    """A table; columns that are empty in every row are left out, columns of numbers are flush right."""
    used = [column for column in range(len(table.heads)) if any(row[column] is not None for row in table.rows)]
    right = {column for column in used if all(_is_number(row[column]) for row in table.rows)}

    def tag(name: str, column: int, content: str) -> str:
        return f'<{name} class="number">{content}</{name}>' if column in right else f"<{name}>{content}</{name}>"

    head = "".join(tag("th", column, _both(table.heads[column])) for column in used)
    body = "\n".join("<tr>" + "".join(tag("td", column, _cell(row[column])) for column in used) + "</tr>" for row in table.rows)
    wide = ' class="sentences"' if table.is_wide else ""
    return f'<div class="wide"><table{wide}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _is_number(cell: Cell) -> bool:
    return (
        cell is None
        or isinstance(cell, int | float | Decimal)
        or (isinstance(cell, str) and not isinstance(cell, Words) and bool(cell) and cell[0] in "0123456789+−-≥≤")
    )


def _cell(cell: Cell) -> str:
    match cell:
        case None:
            return '<span class="none">–</span>'
        case Words():
            return _both(cell)
        case Gauge(share=share, text=text):
            width = f"{100 * min(max(share, 0), 1):.1f}"
            return f'<span class="gauge"><b>{escape(text)}</b><i><u style="width:{width}%"></u></i></span>'
        case Span():
            least, most = cell.bounds
            at, low, high, base = (
                100 * min(max((number - least) / (most - least), 0), 1) for number in (cell.at, cell.low, cell.high, cell.base)
            )
            return (
                f'<span class="span"><u style="left:{low:.1f}%;width:{high - low:.1f}%"></u>'
                f'<s style="left:{base:.1f}%"></s><b style="left:{at:.1f}%"></b></span>'
            )
        case Mark(words=words, tone=tone):
            return f'<span class="mark {tone}">{_both(words)}</span>'
        case tuple():
            return "".join(f'<div class="line">{_cell(part)}</div>' for part in cell)
        case bool():
            return str(cell)
        case int():
            return f"{cell:,}"
        case float() | Decimal():
            return f"{cell:,.2f}" if abs(cell) < 1000 and cell != int(cell) else f"{cell:,.0f}"
        case _:
            return escape(str(cell))


def _both(words: Words) -> str:
    """Both languages, of which the page shows one; what is the same in both stands once."""
    if not words.zh or words.zh == words.en:
        return escape(words.en, quote=False)
    return f'<span lang="en">{escape(words.en, quote=False)}</span><span lang="zh">{escape(words.zh, quote=False)}</span>'


_PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>User operations review · 用户运营复盘 · {night}</title>
<style>{style}</style></head>
<body>
<input type="radio" name="language" id="language-en" checked><input type="radio" name="language" id="language-zh">
<header><div class="language"><label for="language-en">English</label><label for="language-zh">中文</label></div>
<h1>{title}</h1>
<dl class="facts">{facts}</dl>
<nav>{navigation}</nav></header>
<main>
{sections}
</main>
<script>if (location.hash === "#zh" || (location.hash !== "#en" && navigator.language.startsWith("zh"))) document.getElementById("language-zh").checked = true;</script>
</body></html>
"""

_STYLE = """
:root{color-scheme:light;--ink:#1c2733;--soft:#66727f;--line:#d9dfe5;--pale:#f4f6f8;--blue:#2f6db3;--good:#3c7d5a;--bad:#b0532f;
--font:system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:0 32px 80px;color:var(--ink);background:#fff;font:15px/1.55 var(--font)}
input[name=language]{position:absolute;opacity:0}
body:has(#language-en:checked) [lang=zh],body:has(#language-zh:checked) [lang=en]{display:none}
header{padding:44px 0 18px;border-bottom:2px solid var(--ink)}
h1{margin:0 0 14px;font-size:32px;line-height:1.2;letter-spacing:-.01em}
.language{float:right;display:flex;gap:2px;font-size:13px}
.language label{padding:3px 12px;border:1px solid var(--line);color:var(--soft);cursor:pointer}
body:has(#language-en:checked) label[for=language-en],body:has(#language-zh:checked) label[for=language-zh]{background:var(--ink);border-color:var(--ink);color:#fff}
body:has(input:focus-visible) .language{outline:2px solid var(--blue);outline-offset:2px}
dl{margin:0}dt{color:var(--soft);font-size:13px}dd{margin:0}
.facts{display:flex;flex-wrap:wrap;gap:6px 36px}
nav{margin-top:18px;display:flex;flex-wrap:wrap;gap:2px 18px;font-size:14px}
nav a{color:var(--blue);text-decoration:none}nav a:hover{text-decoration:underline}
section{padding-top:44px}
h2{margin:0;font-size:22px;line-height:1.3}
h3{margin:0 0 2px;font-size:16px}
.reading{margin:4px 0 18px;color:var(--soft);max-width:88ch}
figure{margin:0 0 20px;max-width:880px}
figure svg{display:block;width:102.2%;margin-left:-2.2%;height:auto}
figure svg *{stroke-linejoin:round;stroke-linecap:butt}
figure text{font-family:var(--font)!important}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:14px 24px;margin:0 0 26px}
.figures>div{border-top:1px solid var(--ink);padding-top:8px}
.figures dd{font-size:28px;line-height:1.2;font-variant-numeric:tabular-nums}
.figures small{display:block;font-size:13px;color:var(--soft)}
.wide{overflow-x:auto;margin:0 0 18px}
table{border-collapse:collapse;font-size:14px;line-height:1.45;font-variant-numeric:tabular-nums}
th{text-align:left;vertical-align:bottom;font-weight:600;font-size:12px;color:var(--soft);border-bottom:1px solid var(--ink);padding:4px 20px 6px 0}
td{vertical-align:top;border-bottom:1px solid var(--line);padding:6px 20px 6px 0}
th.number,td.number{text-align:right}
th:last-child,td:last-child{padding-right:0}
.sentences{font-size:13px}.sentences td{min-width:92px;padding-right:16px}.sentences td:nth-child(7){min-width:128px}
.none{color:#aab3bc}
.line+.line{margin-top:2px}
.gauge{display:inline-flex;align-items:center;gap:8px;white-space:nowrap}
.gauge b{font-weight:400;min-width:54px;text-align:right}
.gauge i{width:70px;height:8px;background:var(--pale)}
.gauge u{display:block;height:8px;background:var(--blue)}
.span{display:inline-block;position:relative;width:130px;height:14px;vertical-align:middle;background:linear-gradient(var(--line),var(--line)) 0 50%/100% 1px no-repeat}
.span u{position:absolute;top:4px;height:6px;background:#a9c9e8}
.span s{position:absolute;top:1px;height:12px;width:0;border-left:2px solid var(--soft)}
.span b{position:absolute;top:3px;width:8px;height:8px;margin-left:-4px;border-radius:50%;background:var(--blue)}
.mark{font-size:12px;white-space:nowrap;color:var(--soft)}
.mark.good{color:var(--good)}.mark.bad{color:var(--bad);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(460px,1fr));gap:26px 44px}
.card p{margin:0 0 6px;color:var(--soft);font-size:13px}.card table{width:100%;font-size:13px}
.card th{padding-right:12px}.card td:first-child{width:100%}.card td{padding:4px 12px 4px 0}
.unknown{margin:0 0 18px;padding:10px 16px 10px 34px;background:var(--pale);color:var(--soft);font-size:14px;border-left:3px solid var(--line)}
details{border-top:1px solid var(--line)}details:last-of-type{border-bottom:1px solid var(--line)}
summary{padding:8px 0;cursor:pointer;font-weight:600}
@media(max-width:700px){body{padding:0 16px 60px}.cards{grid-template-columns:1fr}}
@media print{.language,nav{display:none}section{break-inside:auto}figure,.card,tr{break-inside:avoid}body{max-width:none;padding:0}}
"""
