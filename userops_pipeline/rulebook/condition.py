"""One condition: whether it may be asked at all, whether its types fit, and what it says.

Add a function or operator to the allow-list here when it means the same on DuckDB and Spark and reads nothing but its arguments.
Must not know which rule a condition belongs to; nothing reaches a database before `guard` has passed it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from userops_pipeline.ground.sealing import seal
from userops_pipeline.rulebook.problem import closest
from userops_pipeline.rulebook.signs import foreign_signs

MAX_LENGTH = 2000
MAX_DEPTH = 50
MAX_WHOLE = 2**63 - 1
# What both engines extract alike, and cast to.
PARTS = frozenset({"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE"})
CASTS = frozenset(["BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "VARCHAR", "TEXT", "DATE", "TIMESTAMP"])
LITERAL = re.compile(r"\d{1,38}|(?=[\d.]{2,38}$)\d*\.\d*|\d+(\.\d+)?e[+-]?\d{1,2}", re.IGNORECASE)
ROWS_TRIED = 600

FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.Abs: "abs",
    exp.Ceil: "ceil",
    exp.Coalesce: "coalesce",
    exp.Extract: "extract",
    exp.Floor: "floor",
    exp.Greatest: "greatest",
    exp.Least: "least",
    exp.Length: "length",
    exp.Lower: "lower",
    exp.Nullif: "nullif",
    exp.Round: "round",
    exp.Trim: "trim",
    exp.TryCast: "try_cast",
    exp.Cast: "cast",
    exp.Upper: "upper",
}
AGGREGATES: dict[type[exp.Expr], str] = {exp.Avg: "avg", exp.Count: "count", exp.Max: "max", exp.Min: "min", exp.Sum: "sum"}
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg)
LOGIC = (exp.And, exp.Or, exp.Not)
ROW_SYNTAX = (
    *COMPARISONS,
    *ARITHMETIC,
    *LOGIC,
    exp.Between,
    exp.Boolean,
    exp.Case,
    exp.Column,
    exp.DPipe,
    exp.DataType,
    exp.DataTypeParam,
    exp.Identifier,
    exp.If,
    exp.In,
    exp.Is,
    exp.Like,
    exp.Literal,
    exp.Null,
    exp.Paren,
    exp.Var,
)
AGGREGATE_SYNTAX = (exp.Distinct, exp.Filter, exp.Star, exp.Where)
QUERIES = (exp.Query, exp.Exists, exp.All, exp.Any)
FAMILIES = {"BOOLEAN": "boolean", "VARCHAR": "text", "STRING_LITERAL": "text", "DATE": "date", "TIMESTAMP": "date", "NULL": "null"}
NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|INTEGER_LITERAL")


DYING = {
    "OutOfRange": "its numbers grow too large where a column is large; calculate with smaller ones, or cast to double first.",
    "Conversion": "a value it casts may not fit; write try_cast(… as …), and dates as 'YYYY-MM-DD'.",
    "InvalidInput": "it asks a function for something it cannot do on every value; keep its arguments small and plain.",
}
# The values a condition is tried on. No count of a user reaches a thousand million, no number of days ten million, no amount a million million.
LARGE_COUNT, LARGE_DAYS, LARGE_AMOUNT = 10**9, 10**7, 10**12
TEXTS_TRIED = ("''", "'é漢😀'", "'NaN'", "'-1'", "'99999999999999999999'", "'2024-13-45'", "'%_\\'")
DAYS_TRIED = ("'0001-01-01'", "'1970-01-01'", "'2024-02-29'", "'9999-12-31'")


def _extremes(sql_type: str) -> list[str]:
    """SQL of the values of a type that a condition is tried on."""
    kind = sql_type.upper()
    if kind == "BOOLEAN":
        return ["null", "true", "false"]
    if kind.startswith(("VARCHAR", "TEXT", "STRING")):
        return ["null", *TEXTS_TRIED]
    if kind.startswith(("DATE", "TIMESTAMP")):
        return ["null", *(f"{day}::{'date' if kind == 'DATE' else 'timestamp'}" for day in DAYS_TRIED)]
    if decimal := re.fullmatch(r"DECIMAL\((\d+)(?:, ?(\d+))?\)", kind):
        large = min(LARGE_AMOUNT, 10 ** (int(decimal[1]) - int(decimal[2] or 0)) - 1)
        return ["null", "0", "1", "-1", str(large), str(-large)]
    if kind in ("DOUBLE", "FLOAT", "REAL", "DECIMAL"):
        return ["null", "0", "0.000000001", "-1", str(LARGE_AMOUNT), str(-LARGE_AMOUNT)]
    if large := {"TINYINT": 127, "SMALLINT": 32767, "INTEGER": LARGE_DAYS, "INT": LARGE_DAYS}.get(kind):
        return ["null", "0", "1", "-1", str(large), str(-large)]
    if NUMBER.fullmatch(kind):
        return ["null", "0", "1", *([] if kind.startswith("U") else ["-1", str(-LARGE_COUNT)]), str(LARGE_COUNT)]
    return ["null"]


def guard(condition: str, columns: Mapping[str, str], *, is_aggregate: bool = False) -> list[str]:
    """Why this text may not be bound at all; empty when it is one harmless expression over these columns."""
    if not condition.strip():
        return ["the condition is empty; write `true` for a rule that takes everybody."]
    if len(condition) > MAX_LENGTH:
        return [f"the condition is longer than {MAX_LENGTH} characters; split it into tags or segments."]
    if any(ord(character) < 32 and character not in "\n\t" for character in condition):
        return ["the condition holds a control character; type it again."]
    if sign := next(foreign_signs(condition, but_quoted=True), None):
        meant = repr("'") if sign.meant == '"' else repr(sign.meant)
        return [f"the condition holds {sign.shown}, which is no sign of SQL; write {meant}."]
    try:
        tokens = sqlglot.tokenize(condition, read="duckdb")
        trees = sqlglot.parse(condition, read="duckdb")
    except RecursionError:
        return ["the condition is nested too deeply; split it into tags or segments."]
    except SqlglotError as error:
        return [f"the condition is not SQL: {_first_line(error)}"]
    if any(token.token_type is sqlglot.TokenType.SEMICOLON for token in tokens) or len(trees) != 1:
        return ["the condition holds a semicolon; a rule is one expression, not statements."]
    if any(token.comments for token in tokens) or re.search(r"--|/\*", re.sub(r"'[^']*'", "", condition)):
        return ["the condition holds a comment; put words into the description."]
    if re.search(r"(?<!\w)\d[\d_]*_", re.sub(r"'[^']*'", "", condition)):
        return ["the condition holds a number with _ in it; write its digits alone."]
    tree = trees[0]
    if tree is None:
        return ["the condition is empty; write `true` for a rule that takes everybody."]
    if _depth(tree) > MAX_DEPTH:
        return [f"the condition is nested more than {MAX_DEPTH} deep; split it into tags or segments."]
    faults: list[str] = []
    for node in tree.walk():
        sentence = _node_fault(node, columns, is_aggregate)
        if sentence and sentence not in faults:
            faults.append(sentence)
    if is_aggregate and not faults and not any(isinstance(node, tuple(AGGREGATES)) for node in tree.walk()):
        faults.append(f"a KPI sums up a whole stage: it needs one of {', '.join(sorted(AGGREGATES.values()))}.")
    return faults


def _node_fault(node: exp.Expr, columns: Mapping[str, str], is_aggregate: bool) -> str | None:
    if isinstance(node, QUERIES):
        return "a subquery is not allowed; make the number a column of the table the rule reads."
    if isinstance(node, exp.Window):
        return "a window function is not allowed; a rule sees one row."
    if isinstance(node, exp.Column):
        if node.table:
            return f"'{node.sql()}' names a table; write the bare column name."
        return (
            None if node.name.lower() in columns else f"there is no column '{node.name}' here{closest(node.name.lower(), columns) or '.'}"
        )
    if isinstance(node, exp.Identifier):
        return f'"{node.name}" is quoted; write column names without quotes.' if node.quoted else None
    if isinstance(node, exp.If) and not isinstance(node.parent, exp.Case):
        return "if() is not allowed; write case when … then … else … end."
    if isinstance(node, exp.Filter) and not isinstance(node.this, tuple(AGGREGATES)):
        return "filter (where …) belongs behind an aggregate."
    if isinstance(node, exp.Div | exp.Mod) and not _never_zero(node.expression):
        sign = "/" if isinstance(node, exp.Div) else "%"
        return f"'{node.sql('duckdb')}' may divide by 0; write … {sign} nullif({node.expression.sql('duckdb')}, 0)."
    if sentence := _not_on_both_engines(node):
        return sentence
    if isinstance(node, exp.AggFunc) or type(node) in AGGREGATES:
        if not is_aggregate:
            return f"the aggregate {_name(node)}() is not allowed; a rule sees one row, so make it a column of the table."
        return (
            None
            if type(node) in AGGREGATES
            else f"the aggregate {_name(node)}() is not allowed; use one of {', '.join(AGGREGATES.values())}."
        )
    if isinstance(node, ROW_SYNTAX) or type(node) in FUNCTIONS or (is_aggregate and isinstance(node, AGGREGATE_SYNTAX)):
        return None
    if isinstance(node, exp.Func):
        return (
            f"the function {_name(node)}() is not allowed; allowed are {', '.join(sorted(FUNCTIONS.values()))}, case, in, like and between."
        )
    return f"'{node.sql()[:60]}' is not allowed in a rule; use comparisons, and, or, not, in, between, like, case and arithmetic."


def _not_on_both_engines(node: exp.Expr) -> str | None:
    """What one engine takes and the other refuses, or takes for something else, and no data would show it."""
    if isinstance(node, exp.In) and not node.expressions:
        return "in () is empty; name what may stand there."
    is_number = isinstance(node, exp.Literal) and not node.is_string
    if is_number and (not LITERAL.fullmatch(node.this) or (node.this.isdigit() and int(node.this) > MAX_WHOLE)):
        return f"the number {node.this[:40]} is too large or written in another way than 12, 1.5 or 1e6."
    if isinstance(node, exp.Like) and (not isinstance(node.expression.unnest(), exp.Literal) or "\\" in node.expression.unnest().this):
        return "like needs a text in quotes behind it, without a backslash; % and _ stand for any characters."
    if isinstance(node, exp.Extract) and node.name.upper() not in PARTS:
        return f"extract takes {', '.join(sorted(PARTS)).lower()}, and not {node.name.lower()[:40]}."
    if isinstance(node, exp.DataType) and node.this.name not in CASTS:
        return f"a cast to {node.sql('duckdb').lower()[:40]} is not allowed; cast to {', '.join(sorted(CASTS)).lower()}."
    if isinstance(node, exp.Round):
        places = node.args.get("decimals")
        if places is not None and not (isinstance(places, exp.Literal) and places.this in map(str, range(11))):
            return "round takes a number of places from 0 to 10."
    return None


def _depth(tree: exp.Expr) -> int:
    """How deep the parts of a tree stand in one another; a chain of and or of or counts once."""
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [
            (child, depth if isinstance(node, exp.And | exp.Or) and type(child) is type(node) else depth + 1)
            for child in node.iter_expressions()
        ]
    return deepest


def sealed_database() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that can reach no file and no network."""
    return seal(duckdb.connect(":memory:"))


class Typist:
    """Types conditions exactly, by binding them to an empty table in a DuckDB that can reach nothing."""

    def __init__(self, columns: Mapping[str, str], database: duckdb.DuckDBPyConnection | None = None) -> None:
        self.columns = columns
        self._database = database or sealed_database()
        self._table = f"bound_{id(self)}"
        ddl = ", ".join(f'"{name.replace(chr(34), "")}" {sql_type}' for name, sql_type in columns.items())
        self._database.execute(f"create or replace table {self._table} ({ddl})")

    def faults(self, condition: str, *, is_aggregate: bool = False, is_number: bool = False) -> list[str]:
        """Everything wrong with a condition, or with a number of a row or of all rows: first what may not be said, then what does not fit."""
        faults = guard(condition, self.columns, is_aggregate=is_aggregate)
        if faults:
            return faults
        try:
            return self._unfit(condition, is_aggregate=is_aggregate, is_number=is_number) or self._dies(condition)
        except RecursionError:
            return ["the condition is nested too deeply; split it into tags or segments."]

    def _unfit(self, condition: str, *, is_aggregate: bool, is_number: bool) -> list[str]:
        tree = parse(condition)
        try:
            result = self._types([condition])[0]
            types = self._node_types(tree)
        except duckdb.Error as error:
            return [f"its types do not fit: {_first_line(error)}"]
        faults = [sentence for node in tree.walk() if (sentence := _type_fault(node, types))]
        wanted = "number" if is_aggregate or is_number else "boolean"
        if not faults and _family(result) != wanted:
            faults.append(f"it gives {_family(result)}, but it must give {'a number' if wanted == 'number' else 'true or false'}.")
        return list(dict.fromkeys(faults))

    def _dies(self, condition: str) -> list[str]:
        """Try a condition on rows of the least, greatest and oddest values its columns may have: what fails here would end a build."""
        columns = columns_in(condition)
        total, values = 1, []
        for number, name in enumerate(columns):
            found = _extremes(self.columns[name])
            # All combinations where they are few, else as many as there are rows, spread.
            place = f"(i // {total}) % {len(found)}" if total * len(found) <= ROWS_TRIED else f"hash(i, {number}) % {len(found)}"
            total *= len(found)
            values.append(f'list_extract([{", ".join(found)}]::{self.columns[name]}[], 1 + cast({place} as bigint)) as "{name}"')
        rows = f"select {', '.join(values) or '1'} from range({min(total, ROWS_TRIED)}) as t(i)"
        try:
            self._database.execute(f"select ({condition}) as tried from ({rows}) as rows").fetchall()
        except duckdb.Error as error:
            kind = type(error).__name__.removesuffix("Exception")
            return [DYING.get(kind, f"it fails on some values ({kind}); write it so that it gives null there.")]
        return []

    def _node_types(self, tree: exp.Expr) -> dict[int, str]:
        """The type of every part, by identity; parts with an aggregate cannot stand beside parts without."""
        values = [node for node in tree.walk() if _is_value(node)]
        with_aggregate = [node for node in values if node.find(*AGGREGATES)]
        without = [node for node in values if not node.find(*AGGREGATES)]
        types: dict[int, str] = {}
        for nodes in (with_aggregate, without):
            if nodes:
                types.update(zip(map(id, nodes), self._types([node.sql("duckdb") for node in nodes]), strict=True))
        return types

    def _types(self, expressions: list[str]) -> list[str]:
        selected = ", ".join(f"({text}) as c{number}" for number, text in enumerate(expressions))
        return [row[1] for row in self._database.execute(f"describe select {selected} from {self._table}").fetchall()]


def _type_fault(node: exp.Expr, types: Mapping[int, str]) -> str | None:
    def family(part: exp.Expr) -> str:
        return _family(types[id(part)])

    if isinstance(node, LOGIC):
        operands = [part for part in (node.args.get("this"), node.args.get("expression")) if part is not None]
        for part in operands:
            if family(part) not in ("boolean", "null"):
                return f"'{part.sql()}' is {family(part)}, not true or false; compare it with something."
    if isinstance(node, (exp.If, exp.Where)) and family(node.this) != "boolean":
        return f"'{node.this.sql()}' is {family(node.this)}, not true or false; compare it with something."
    if isinstance(node, (*COMPARISONS, exp.Between, exp.In, exp.Like, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least)):
        parts = [part for part in node.iter_expressions() if id(part) in types]
        return _mismatch(node, [(part, family(part)) for part in parts])
    if isinstance(node, exp.Case):
        given = [branch.args["true"] for branch in node.args["ifs"]] + [part for part in (node.args.get("default"),) if part is not None]
        return _mismatch(node, [(part, family(part)) for part in given if id(part) in types])
    if isinstance(node, (*ARITHMETIC, exp.Sum, exp.Avg)):
        for part in node.iter_expressions():
            if id(part) in types and family(part) not in ("number", "null"):
                return f"'{node.sql()}' calculates with '{part.sql()}', which is {family(part)}; calculate with numbers only."
    if (
        isinstance(node, exp.Cast)
        and not isinstance(node, exp.TryCast)
        and not isinstance(node.this, exp.Literal)
        and family(node.this) == "text"
    ):
        return f"'{node.sql()}' fails on the first text that does not fit; write try_cast({node.this.sql()} as …)."
    return None


def _mismatch(node: exp.Expr, parts: list[tuple[exp.Expr, str]]) -> str | None:
    families = {family for _, family in parts if family != "null"}
    if len(families) <= 1:
        return None
    if families == {"date", "text"}:
        wrong = [part for part, family in parts if family == "text" and not _is_iso_date(part)]
        return f"{wrong[0].sql()} is not a date; write it as 'YYYY-MM-DD'." if wrong else None
    kinds = " with ".join(sorted(families))
    return f"'{node.sql()}' compares {kinds}; put quotes around texts and none around numbers."


def parse(condition: str) -> exp.Expr:
    """The tree of a condition that `guard` has passed."""
    return sqlglot.parse_one(condition, read="duckdb")


def columns_in(condition: str) -> list[str]:
    """The columns a condition reads, in the order it names them."""
    return list(dict.fromkeys(column.name.lower() for column in parse(condition).find_all(exp.Column)))


def texts_compared_with(condition: str, column: str) -> list[str]:
    """The texts a condition compares a column with, e.g. the stages it names."""
    nodes = [
        node
        for node in parse(condition).find_all(*COMPARISONS, exp.In)
        if any(part.name.lower() == column for part in node.find_all(exp.Column))
    ]
    return [literal.this for node in nodes for literal in node.iter_expressions() if isinstance(literal, exp.Literal) and literal.is_string]


def texts_allowed(condition: str, column: str) -> set[str] | None:
    """The texts a column may have where the condition holds, as far as its parts say so by = or in; None where any may."""
    allowed: set[str] | None = None
    for part in _flat(parse(condition), exp.And):
        subject = part.this.unnest() if isinstance(part, exp.EQ | exp.In) else None
        if not isinstance(subject, exp.Column) or subject.name.lower() != column:
            continue
        values = part.expressions if isinstance(part, exp.In) else [part.expression]
        if values and all(isinstance(value, exp.Literal) and value.is_string for value in values):
            named = {str(value.this) for value in values}
            allowed = named if allowed is None else allowed & named
    return allowed


def normal(condition: str) -> str:
    """One spelling for conditions that differ in spaces, case of keywords or outer parentheses only."""
    return _text(parse(condition))


def is_everything(condition: str) -> bool:
    return normal(condition) == "TRUE"


def conjuncts(condition: str) -> set[str]:
    """The parts that must all hold, each in normal spelling."""
    return {_text(part) for part in _flat(parse(condition), exp.And)}


def contradiction(include: Iterable[str], exclude: Iterable[str] = ()) -> str | None:
    """The sentence saying why nobody can pass these conditions, where that can be seen without data."""
    wanted: list[tuple[str, exp.Expr]] = [(_text(part), part) for text in include for part in _flat(parse(text), exp.And)]
    unwanted = [(_text(part), part) for text in exclude for part in _flat(parse(text), exp.Or)]
    for text in exclude:
        if conjuncts(text) <= {part for part, _ in wanted}:
            return f"'{normal(text)}' is both required and excluded, so nobody is left."
    for text, part in [*wanted, *((_text(exp.Not(this=part.copy())), exp.Not(this=part.copy())) for _, part in unwanted)]:
        opposite = _text(part.this) if isinstance(part, exp.Not) else _text(exp.Not(this=part.copy()))
        if opposite in {each for each, _ in wanted}:
            return f"'{text}' and '{opposite}' cannot both hold, so nobody is left."
    return _empty_range([part for _, part in wanted], [part for _, part in unwanted])


def least_whole(condition: str, column: str) -> float | None:
    """The least whole number a column may have where the condition holds, as far as its parts say so; None where they do not."""
    found = [
        value + 1 if kind is exp.GT else value
        for name, kind, value in _bounds(_flat(parse(condition), exp.And))
        if name == column and kind in (exp.GT, exp.GTE) and not isinstance(value, str)
    ]
    return max(found, default=None)


def harder_to_keep(when: str, stays_when: str) -> str | None:
    """The part of `stays_when` that asks for more than `when` does of the same column, where that can be seen without data."""
    asked = list(_bounds(_flat(parse(when), exp.And)))
    for part in _flat(parse(stays_when), exp.And):
        for column, kind, value in _bounds([part]):
            for other, other_kind, other_value in asked:
                if column != other or isinstance(value, str) or isinstance(other_value, str):
                    continue
                rising, falling = (exp.GT, exp.GTE), (exp.LT, exp.LTE)
                at_once = value == other_value and kind in (exp.GT, exp.LT) and other_kind in (exp.GTE, exp.LTE)
                if (kind in rising and other_kind in (*rising, exp.EQ) and (value > other_value or at_once)) or (
                    kind in falling and other_kind in (*falling, exp.EQ) and (value < other_value or at_once)
                ):
                    return _text(part)
    return None


_TURNED = {exp.GT: exp.LTE, exp.GTE: exp.LT, exp.LT: exp.GTE, exp.LTE: exp.GT}
_MIRRORED = {exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE, exp.EQ: exp.EQ}


def _empty_range(wanted: list[exp.Expr], unwanted: list[exp.Expr]) -> str | None:
    """Columns whose lower bound lies above their upper bound, or that must equal two different values."""
    floors: dict[str, tuple[float, bool]] = {}
    ceilings: dict[str, tuple[float, bool]] = {}
    texts: dict[str, str] = {}
    bounds = list(_bounds(wanted)) + [(column, _TURNED[kind], value) for column, kind, value in _bounds(unwanted) if kind in _TURNED]
    for column, kind, value in bounds:
        if isinstance(value, str):
            if kind is exp.EQ and texts.setdefault(column, value) != value:
                return f"'{column}' cannot be '{texts[column]}' and '{value}' at once, so nobody is left."
            continue
        if kind in (exp.GT, exp.GTE, exp.EQ):
            floors[column] = max(floors.get(column, (float("-inf"), False)), (value, kind is exp.GT))
        if kind in (exp.LT, exp.LTE, exp.EQ):
            ceilings[column] = min(ceilings.get(column, (float("inf"), True)), (value, kind is not exp.LT))
    for column in floors.keys() & ceilings.keys():
        (low, is_open_below), (high, is_closed_above) = floors[column], ceilings[column]
        if low > high or (low == high and (is_open_below or not is_closed_above)):
            return f"no '{column}' lies above {low:g} and below {high:g} as asked, so nobody is left."
    return None


def _bounds(parts: Iterable[exp.Expr]) -> Iterator[tuple[str, type[exp.Expr], float | str]]:
    for part in parts:
        bare = part.unnest()
        kind = type(bare)
        if kind not in _MIRRORED:
            continue
        left, right = bare.this, bare.expression
        if isinstance(left, exp.Literal):
            left, right, kind = right, left, _MIRRORED[kind]
        if isinstance(left, exp.Column) and isinstance(right, exp.Literal):
            yield left.name.lower(), kind, right.this if right.is_string else float(right.this)


def _flat(tree: exp.Expr, kind: type[exp.Expr]) -> Iterator[exp.Expr]:
    bare = tree.unnest()
    if isinstance(bare, kind):
        yield from _flat(bare.this, kind)
        yield from _flat(bare.expression, kind)
    else:
        yield bare


def _text(tree: exp.Expr) -> str:
    return tree.unnest().sql("duckdb", normalize=True)


def _is_value(node: exp.Expr) -> bool:
    """Whether a node stands for a value of its own, so that it has a type."""
    if isinstance(node, (exp.Identifier, exp.DataType, exp.DataTypeParam, exp.Var, exp.Star, exp.Where, exp.Distinct, exp.If)):
        return False
    is_filtered_aggregate = isinstance(node.parent, exp.Filter) and node is node.parent.this
    return not is_filtered_aggregate and not isinstance(node.parent, (exp.DataType, exp.DataTypeParam))


def _never_zero(divisor: exp.Expr) -> bool:
    bare = divisor.unnest()
    if isinstance(bare, exp.Nullif):
        return bare.expression.sql() == "0"
    if isinstance(bare, exp.Neg):
        bare = bare.this.unnest()
    # A number so small that a decimal of the engine's rounds it to 0 divides by 0 again.
    return isinstance(bare, exp.Literal) and not bare.is_string and bool(LITERAL.fullmatch(bare.this)) and float(bare.this) >= 1e-6


def _is_iso_date(part: exp.Expr) -> bool:
    if not isinstance(part, exp.Literal) or not re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", part.this):
        return False
    try:
        return bool(datetime.datetime.fromisoformat(part.this))
    except ValueError:
        return False


def _family(sql_type: str) -> str:
    name = sql_type.strip('"').upper()
    return "number" if NUMBER.fullmatch(name) else FAMILIES.get(name, name.lower())


def _name(node: exp.Expr) -> str:
    return (
        node.name.lower()
        if isinstance(node, exp.Anonymous)
        else node.sql_name().lower()
        if isinstance(node, exp.Func)
        else type(node).__name__.lower()
    )


def _first_line(error: Exception) -> str:
    text = re.sub(r"\x1b\[\d+m", "", str(error)).strip().splitlines()
    line = text[0].strip() if text else type(error).__name__
    return (line.split("Error: ", 1)[-1]).rstrip(".") + "."
