"""Addresses: the one normal form of an e-mail address, a phone number or any other address of a channel, and of a word from a closed list.

Here lives how text is read as an address or a word, in Python and as SQL with the same answer; add a channel's form or a spelling met here.
Must not know a table, a file or a rule; a text that cannot be read is None, and what becomes of its row is for others to say.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any
from urllib.parse import unquote

import duckdb
import email_validator
import phonenumbers
from duckdb.func import FunctionNullHandling
from duckdb.sqltypes import VARCHAR
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, ValidationResult

from userops_pipeline.ground.channels import EMAIL_CHANNELS, PHONE_CHANNELS
from userops_pipeline.ground.sql import quoted

# Reserved names (.test, .local, .invalid) are an address like any other here: whether mail arrives is not asked. The library's own way to say so.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

OTHER_CHANNELS = ("push", "postal", "wechat", "in_app", "group")

# Characters that nobody sees: Unicode's formats (soft hyphen, zero-width, bidi, byte order mark), fillers and variation selectors.
INVISIBLE = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")  # and the character that stands where one was lost

# What is its own normal form but for the case: nothing to fold, no label that could be an IDN's, too short for any of the limits.
PLAIN_EMAIL = r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,}"
PLAIN_EMAIL_LENGTH = 64
LONGEST = 1000  # characters of an e-mail address or phone number with all that is written around it
PLAIN_TEXT = r"[!-~]+(?: [!-~]+)*"
PLAIN_WORD = r"[a-z_]+"
PLAIN_PHONE = r"\+?[0-9 -]+"

_IN_BRACKETS = re.compile(r"[^<>]*<([^<>]*)>")
_IN_QUOTES = re.compile(r"([\"'`\u2018\u201c\u00ab])(.*)([\"'`\u2019\u201d\u00bb])")
_COMMENT = re.compile(r"(.*\S) ?\([^()@]*\)")
_MAIL_SCHEME = re.compile(r"(mailto|smtp):/{0,2}(.*)", re.IGNORECASE)
_PHONE_SCHEME = re.compile(r"(?:tel|sms|callto|whatsapp):/{0,2}([^?]*).*", re.IGNORECASE)
_EXTENSION = re.compile(r"[ ,;]*(?:extension|extn|ext|x|#|доб|分机|轉|转|内线)[ .:]*[0-9]{1,7}$", re.IGNORECASE)
_PARAMETER = re.compile(r"[a-z-]+=[^;]*", re.IGNORECASE)
_WHOLE_FLOAT = re.compile(r"(\+?[0-9]{6,})\.0+")
_NUMBER = re.compile(r"[ (]*\+?[0-9 ().\-/\u2010-\u2015\u2212]*")


# -- in Python -----------------------------------------------------------------------------------------------------


def normal(channel: str | None, text: str | None, phone_prefix: str | None) -> str | None:
    """An address in the form in which two spellings of it are equal; None where it cannot be read as one of its channel.

    E-mail in lower case with an ASCII domain, phone numbers in E.164 (a number without a country is of `phone_prefix`), everything else
    composed, without what is invisible and without superfluous spaces. A channel that is not known leaves the first of these that fits.
    """
    if text is None:
        return None
    if channel in EMAIL_CHANNELS:
        return email(text)
    if channel in PHONE_CHANNELS:
        return phone(text, phone_prefix)
    if channel in OTHER_CHANNELS:
        return plain_text(text)
    return email(text) or phone(text, phone_prefix) or plain_text(text)


def word(text: str | None) -> str | None:
    """A word of a closed list as it is compared: `UNSUBSCRIBED` and ` Email ` are spellings, not other words."""
    return None if text is None else clean(text).lower()


def clean(text: str) -> str:
    """Text with full-width and composed characters folded, without control and invisible ones, a single space where there was any."""
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    return unicodedata.normalize("NFC", _CONTROL.sub("", " ".join(_INVISIBLE.sub("", folded).split())))


def plain_text(text: str) -> str | None:
    """The address of a channel without a form of its own (a device token, a postal key): cleaned, its case kept."""
    folded = " ".join(text.split())
    return None if _CONTROL.search(folded) else clean(folded) or None


@functools.lru_cache(maxsize=65_536)
def email(text: str) -> str | None:
    """An e-mail address out of `Name <a@x>`, `mailto:a@x?subject=…`, `"a@x";` and the like."""
    found = plain_text(text) if len(text) <= LONGEST else None
    before = None
    while found and found != before:
        before = found
        found = found.replace("。", ".").lstrip(" ,;").rstrip(" .,;:")
        if scheme := _MAIL_SCHEME.fullmatch(found):
            mailto = scheme[1].lower() == "mailto"
            found = plain_text(unquote(scheme[2].partition("?")[0])) if mailto else scheme[2]
            continue
        found = _unwrapped(found)
        if comment := _COMMENT.fullmatch(found):
            found = comment[1]
        found = found.replace(" @", "@").replace("@ ", "@")
    if not found:
        return None
    return found.lower() if is_plain_email(found) else _validated_email(found)


def is_plain_email(text: str) -> bool:
    return len(text) <= PLAIN_EMAIL_LENGTH and re.fullmatch(PLAIN_EMAIL, text) is not None


def _validated_email(text: str) -> str | None:
    try:
        found = email_validator.validate_email(
            text, check_deliverability=False, globally_deliverable=False, allow_quoted_local=False, allow_smtputf8=True
        )
    except (email_validator.EmailNotValidError, UnicodeError):
        return None
    if not found.ascii_domain or "." not in found.ascii_domain:
        return None
    return unicodedata.normalize("NFC", f"{found.local_part}@{found.ascii_domain}".lower())


def _unwrapped(text: str) -> str:
    """Without the brackets and quotation marks around it, and without the name before a bracket."""
    if bracket := _IN_BRACKETS.fullmatch(text):
        return bracket[1].strip()
    if quotes := _IN_QUOTES.fullmatch(text):
        return quotes[2].strip()
    return text


@functools.lru_cache(maxsize=65_536)
def phone(text: str, prefix: str | None) -> str | None:
    """A phone number in E.164. An extension is dropped: whoever withdraws behind a switchboard stops its number."""
    found = plain_text(text) if len(text) <= LONGEST else None
    if found is None:
        return None
    found = "".join(str(unicodedata.decimal(sign, sign)) for sign in found).rstrip(" .,;:")
    found = _unwrapped(found).lstrip("'=")
    if scheme := _PHONE_SCHEME.fullmatch(found):
        found = scheme[1]
    found, *parameters = found.split(";")
    for parameter in parameters:
        if not _PARAMETER.fullmatch(parameter):
            return None
        name, _, value = parameter.partition("=")
        if name.lower() == "phone-context" and value.startswith("+") and not found.startswith("+"):
            found = value + found
    if whole := _WHOLE_FLOAT.fullmatch(found):
        found = whole[1]
    found = _EXTENSION.sub("", found)
    if not _NUMBER.fullmatch(found):
        return None
    digits = re.sub(r"[^+0-9]", "", found)
    return digits if is_plain_e164(digits) else _parsed_phone(digits, prefix)


def _parsed_phone(digits: str, prefix: str | None) -> str | None:
    """What the library makes of a number, asked until it stays as it is: of some numbers it takes one of two leading zeros at a time."""
    region = _region(prefix)
    if digits.startswith("00") and not (region and re.match(_metadata(region).international_prefix or "(?!)", digits)):
        digits = "+" + digits[2:]
    for _ in range(4):
        try:
            number = phonenumbers.parse(digits, region)
        except NumberParseException:
            return None
        if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
            return None
        found = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        if found == digits:
            return found
        digits = found
    return None


@functools.cache
def _region(prefix: str | None) -> str | None:
    if prefix is None:
        return None
    region = phonenumbers.region_code_for_country_code(int(prefix.removeprefix("+")))
    return None if region in ("ZZ", "001") else region


def _metadata(region: str) -> PhoneMetadata:
    found = PhoneMetadata.metadata_for_region(region, None)
    assert found is not None, region
    return found


@functools.cache
def _plain_national(code: int) -> tuple[re.Pattern[str], re.Pattern[str], tuple[int, ...]] | None:
    """For a country's code: what no prefix is taken from, and the lengths of its numbers; None for a code without a country."""
    region = _region(f"+{code}")
    if region is None:
        return None
    metadata = _metadata(region)
    whole = metadata.general_desc
    assert whole is not None, region
    lengths = tuple(length for length in whole.possible_length if length not in whole.possible_length_local_only)
    return (
        re.compile(metadata.national_prefix_for_parsing or "(?!)"),
        re.compile(metadata.international_prefix or "(?!)"),
        lengths,
    )


def is_plain_e164(digits: str) -> bool:
    """True of a number that the library, asked, would give back as it is."""
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", digits):
        return False
    for length in (1, 2, 3):
        if (country := _plain_national(int(digits[1 : 1 + length]))) is not None:
            prefix, _, lengths = country
            national = digits[1 + length :]
            return national[0] != "0" and len(national) in lengths and not prefix.match(national)
    return False


# -- in SQL --------------------------------------------------------------------------------------------------------


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Give a connection the functions that the SQL below falls back on where a text is not plain."""
    for name, function in (
        ("userops_email", lambda text: None if text is None else email(text)),
        ("userops_phone", lambda text, prefix: None if text is None else phone(text, prefix or None)),
        ("userops_text", lambda text: None if text is None else plain_text(text)),
        ("userops_clean", lambda text: None if text is None else clean(text) or None),
        ("userops_word", word),
    ):
        arguments: list[Any] = [VARCHAR] * function.__code__.co_argcount
        connection.create_function(name, function, arguments, VARCHAR, null_handling=FunctionNullHandling.SPECIAL)


def email_sql(text: str) -> str:
    """`email` over a column."""
    plain = f"regexp_full_match({text}, {quoted(PLAIN_EMAIL)}) and length({text}) <= {PLAIN_EMAIL_LENGTH}"
    return f"case when {plain} then lower({text}) when {text} is not null then userops_email({text}) end"


def phone_sql(text: str, prefix: str | None) -> str:
    """`phone` over a column: numbers of the shop's own country, with or without its prefix, are told in SQL."""
    asked = f"userops_phone({text}, {quoted(prefix or '')})"
    country = _plain_national(int(prefix.removeprefix("+"))) if prefix else None
    if prefix is None or country is None or _region(prefix) is None:
        return f"case when {text} is not null then {asked} end"
    national_prefix, international_prefix, lengths = country
    digits = f"replace(replace({text}, ' ', ''), '-', '')"

    def plain(national: str) -> str:
        return (
            f"regexp_matches({national}, '^[1-9]') and length({national}) in ({', '.join(map(str, lengths))}) "
            f"and not regexp_matches({national}, {_beginning(national_prefix)})"
        )

    own = f"substr({digits}, {len(prefix) + 1})"
    return (
        f"case when {text} is null then null when not regexp_full_match({text}, {quoted(PLAIN_PHONE)}) then {asked} "
        f"when starts_with({digits}, {quoted(prefix)}) and {plain(own)} then {digits} "
        f"when not starts_with({digits}, '+') and not starts_with({digits}, {quoted(prefix.removeprefix('+'))}) "
        f"and not regexp_matches({digits}, {_beginning(international_prefix)}) and {plain(digits)} then {quoted(prefix)} || {digits} "
        f"else {asked} end"
    )


def _beginning(pattern: re.Pattern[str]) -> str:
    """A metadata pattern for RE2, which knows no pattern that never matches but this one."""
    return quoted(r"[^\s\S]" if pattern.pattern == "(?!)" else f"^(?:{pattern.pattern})")


def text_sql(text: str) -> str:
    """`plain_text` over a column."""
    return f"case when regexp_full_match({text}, {quoted(PLAIN_TEXT)}) then {text} when {text} is not null then userops_text({text}) end"


def clean_sql(text: str) -> str:
    """`clean` over a column; null where nothing is left."""
    return f"case when regexp_full_match({text}, {quoted(PLAIN_TEXT)}) then {text} when {text} is not null then userops_clean({text}) end"


def word_sql(text: str) -> str:
    """`word` over a column."""
    return f"case when regexp_full_match({text}, {quoted(PLAIN_WORD)}) then {text} when {text} is not null then userops_word({text}) end"


def normal_sql(channel: str, text: str, prefix: str | None) -> str:
    """`normal` over two columns."""
    e_mail, number, other = email_sql(text), phone_sql(text, prefix), text_sql(text)
    return (
        f"case when {channel} in ({_listed(EMAIL_CHANNELS)}) then {e_mail} when {channel} in ({_listed(PHONE_CHANNELS)}) then {number} "
        f"when {channel} in ({_listed(OTHER_CHANNELS)}) then {other} else coalesce({e_mail}, {number}, {other}) end"
    )


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, words))
