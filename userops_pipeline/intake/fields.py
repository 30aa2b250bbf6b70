"""Fields: what the text of one field of a landed record is worth in the type of its contract column, and why it is refused.

Here lives every type and format as SQL over one row, with the reasons that hold for every source; add a type, a format or such a reason here.
Must not touch a file or a database, nor know a whole table's rows: conform does.
"""

from __future__ import annotations

from collections.abc import Iterable

from userops_pipeline.ground.addresses import clean_sql, email_sql, normal_sql, phone_sql, word_sql
from userops_pipeline.ground.channels import EMAIL_CHANNELS, PHONE_CHANNELS
from userops_pipeline.ground.contract import Column, Table
from userops_pipeline.ground.sql import identifier, quoted
from userops_pipeline.intake.source import Source

ISO_DATE = r"\d{4}-\d{2}-\d{2}"
ISO_TIME = r"[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
ISO_OFFSET = r" ?(Z|UTC|[+-]\d{2}(:?\d{2})?)"  # warehouses write a blank before it, or the word
ISO_TIMESTAMP = f"{ISO_DATE}({ISO_TIME}({ISO_OFFSET})?)?"
DECIMAL_TEXT = r"[+-]?\d+(\.\d+)?"
# Control characters and the marks that reorder text for its reader; tab and line breaks are text.
UNPRINTABLE = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{202A}-\x{202E}\x{2066}-\x{2069}]"
PLACEHOLDERS_BEFORE = "1990-01-01"
TRUE_WORDS = "'true', 't', '1', 'yes', 'y'"
# Numbers whose last digits a spreadsheet rounded away: another id than the one that was meant, and perhaps somebody else's.
ROUNDED_ID = r"\d+([.,]\d+)?[eE]\+\d+"
CURRENCY = "[A-Z]{3}"
VERSION_SHIFT = 4 * 10**31  # twice as much has no more digits than a decimal holds beside six of a fraction
NO_RATE = "no rate"  # what `converted` makes of an amount it cannot convert
# Of a row of an archive the mapping says the night, so it is the mapping that is to be mended.
AFTER_ITS_NIGHT = (
    "lies after the night its row counts for; in the mapping, let _night be that of the row's latest time: night(greatest(a, b))"
)
NO_EMAIL = "not an e-mail address"
NO_PHONE = "not a phone number with country (E.164)"
FALSE_WORDS = "'false', 'f', '0', 'no', 'n'"


def typed(column: Column, source: Source) -> str:
    """SQL of a column's typed value, from its text in `t`; null where the text is no such value."""
    text = f"t.{identifier(column.name)}"
    match column.type:
        case "text" if column.format == "email":
            return email_sql(text)
        case "text" if column.format == "phone":
            return phone_sql(text, source.phone_prefix)
        case "text" if column.format == "contact_point":
            return normal_sql(word_sql("t.channel"), text, source.phone_prefix)
        case "text" if column.format == "id":
            return id_sql(text, source.nothing)
        case "text" if column.format == "currency":
            known = f"{text} = {quoted(source.currency)}" if source.currency else f"regexp_full_match({text}, {quoted(CURRENCY)})"
            return f"case when {known} then {text} end"
        case "text" if column.only:
            return f"case when {word_sql(text)} in ({_listed(column.only)}) then {word_sql(text)} end"
        case "text":
            return text
        case "integer":
            return f"try_cast({text} as bigint)"
        case "money" | "number" | "share":
            return f"try_cast(try_cast({text} as decimal(38, 10)) as {column.sql_type})"
        case "timestamp":
            return timestamp_sql(text, source)
        case "date":
            return f"try_cast(left({text}, 10) as date)"
        case "boolean":
            return f"case when lower({text}) in ({TRUE_WORDS}) then true when {text} is not null then false end"


def timestamp_sql(text: str, source: Source) -> str:
    """A time in UTC: by the offset it states, else by the source's own clock; null where the text is none."""
    local = f"try_cast({text} as timestamp)"
    if source.zone != "UTC":
        local = f"timezone('UTC', timezone({quoted(source.zone)}, {local}))"
    # An offset stands behind a time of day: the last two digits of a date alone are none.
    with_offset = f"regexp_matches({text}, {quoted(ISO_TIME + ISO_OFFSET + '$')})"
    plain = f"regexp_replace(replace({text}, 'UTC', 'Z'), ' (Z|[+-][0-9:]+)$', '\\1')"
    return f"case when {with_offset} then timezone('UTC', try_cast({plain} as timestamptz)) else {local} end"


def faults_of(column: Column) -> list[tuple[str, str]]:
    """(condition, reason) pairs under which a value is refused, in order; over the typed value, its text beside it, `_night_ends_at`
    and `_of_archive`."""
    value, text = identifier(column.name), identifier(text_name(column))
    unread = f"{text} is not null and {value} is null"
    faults: list[tuple[str, str]] = []
    if column.required:
        faults.append((f"{text} is null", "required, but missing"))

    def unless(pattern: str, reason: str) -> None:
        faults.append((f"not regexp_full_match({text}, {quoted(pattern)})", reason))

    match column.type:
        case "text" if column.format == "email":
            faults.append((unread, NO_EMAIL))
        case "text" if column.format == "phone":
            faults.append((unread, NO_PHONE))
        case "text" if column.format == "contact_point":
            faults.append((f"{unread} and channel in ({_listed(EMAIL_CHANNELS)})", NO_EMAIL))
            faults.append((f"{unread} and channel in ({_listed(PHONE_CHANNELS)})", NO_PHONE))
            faults.append((unread, "not an address"))
        case "text" if column.format == "id":
            lost = f"{unread} and regexp_matches({text}, {quoted(ROUNDED_ID)})"
            faults.append((lost, "an id that lost its digits (1.23E+15); export it as text"))
            if column.required:
                faults.append((unread, "required, but a word for nothing (null, undefined, a nil UUID)"))
        case "text" if column.format == "currency":
            faults.append((f"not regexp_full_match({text}, {quoted(CURRENCY)})", "not an ISO 4217 code (EUR)"))
            faults.append(
                (unread, "another currency than source.yml states; convert the amounts in the mapping: converted(amount, currency, time)")
            )
        case "text" if column.only:
            faults.append((unread, f"not one of {', '.join(column.only)}"))
        case "integer":
            unless(r"[+-]?\d{1,18}", "not a whole number")
        case "money" | "number" | "share":
            faults.append((f"{text} = {quoted(NO_RATE)}", "no rate of its currency on its date (rates in source.yml)"))
            unless(DECIMAL_TEXT, "not a plain decimal number (1234.50)")
            faults.append((unread, "too large"))
        case "timestamp":
            unless(ISO_TIMESTAMP, "not an ISO 8601 time (2026-01-31 13:45:00)")
            faults.append((unread, "no such time"))
            faults.append((f"{value} < timestamp '{PLACEHOLDERS_BEFORE}'", f"a time before {PLACEHOLDERS_BEFORE} is a placeholder"))
            if not column.ahead:
                faults.append((f"_of_archive and {value} >= _night_ends_at", AFTER_ITS_NIGHT))
                faults.append((f"{value} >= _night_ends_at", "lies after the night it arrived in"))
        case "date":
            unless(ISO_DATE + r"( 00:00:00)?", "not an ISO 8601 date (2026-01-31)")
            faults.append((unread, "no such date"))
            faults.append(
                (f"{value} not between date '1900-01-02' and date '2199-12-31'", "a date outside 1900-01-02..2199-12-31 is a placeholder")
            )
        case "boolean":
            faults.append((f"lower({text}) not in ({TRUE_WORDS}, {FALSE_WORDS})", "not true or false"))
    if column.min is not None:
        faults.append((f"{value} < {_bound(column, column.min)}", f"below {column.min}"))
    if column.max is not None:
        faults.append((f"{value} > {_bound(column, column.max)}", f"above {column.max}"))
    return faults


def converted_macro(source: Source) -> str:
    """The body of `converted(amount, code, moment)` for mappings: text of an amount in the source's currency, to the cent, half up.

    The rate is the latest in `rates` whose `from_on` is not after the day of `moment` as it is written; without one the amount is set aside.
    """
    rate = "(select max_by(r.rate, r.from_on) from rates as r where r.currency = code and r.from_on <= try_cast(left(moment, 10) as date))"
    product = f"cast(cast(try_cast(amount as decimal(18, 4)) * {rate} as decimal(18, 2)) as varchar)"
    return f"case when code = {quoted(source.currency or '')} then amount when amount is not null then coalesce({product}, {quoted(NO_RATE)}) end"


def version_key(source: Source) -> str:
    """SQL of a record's version (`t._version`, text) in a form that sorts: a number, a time in UTC, or else the text as it is.

    A number counts to six decimals and up to 4 * 10^31 on either side of zero; it is moved up until none is negative, so that its digits sort.
    """
    text, shift = "t._version", f"cast('{VERSION_SHIFT}' as decimal(38, 6))"
    number = f"try_cast({text} as decimal(38, 6))"
    return (
        f"case when {number} between -{shift} and {shift} then lpad(cast({number} + {shift} as varchar), 39, '0') "
        f"else coalesce(strftime({timestamp_sql(text, source)}, '%Y-%m-%d %H:%M:%S.%f'), {text}) end"
    )


def id_sql(text: str, nothing: Iterable[str]) -> str:
    """An id in the one form in which two spellings of it are equal; null where the text is a word for nothing, or another id's first digits.

    What an integer becomes on its way through a floating-point column (`1000.0`) is that integer again.
    """
    plain = clean_sql(text)
    whole = f"case when regexp_full_match({plain}, '[0-9]+\.0+') then split_part({plain}, '.', 1) else {plain} end"
    rounded = f"regexp_full_match({plain}, {quoted(ROUNDED_ID)})"
    return f"case when lower({plain}) in ({_listed(nothing)}) or {rounded} then null else {whole} end"


def text_name(column: Column) -> str:
    """The name of a column's text while it is judged."""
    return f"{column.name}:text"


def unprintable(table: Table) -> str:
    """A `when` for text that hides something: one look at all text columns together, a second only where it finds something.

    Addresses and words of a closed list hide nothing: what cannot be seen is no part of them.
    """
    columns = [column for column in table.columns if column.type == "text" and not column.format and not column.only]
    if not columns:
        return ""
    together = ", ".join(identifier(text_name(column)) for column in columns)
    which = " ".join(
        f"when regexp_matches({identifier(text_name(column))}, {quoted(UNPRINTABLE)}) "
        f"then {quoted(column.name + '|holds control or text-reordering characters')}"
        for column in columns
    )
    return f"when regexp_matches(concat_ws('', {together}), {quoted(UNPRINTABLE)}) then case {which} end"


def _bound(column: Column, bound: str | int | float) -> str:
    return f"date {quoted(str(bound))}" if column.type == "date" else str(bound)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(quoted, words))
