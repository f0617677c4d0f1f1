"""The forms that names, numbers and places have in notes, made from the lists of schemas/deid_note.toml.

In:  the lists. Out: regular expressions whose first group is what must go.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from clinic_mm.deid.policy import read_policy
from clinic_mm.deid.words import clinical_words

CAPITAL: Final = r"[A-ZÄÖÜÀ-ÖØ-Þ]"
NAME: Final = rf"{CAPITAL}[\w'’\-]{{0,40}}"
PART: Final = rf"{CAPITAL}[\w'’]{{0,40}}"
LONG_NAME: Final = rf"{CAPITAL}[\w'’\-]{{1,40}}"
INITIAL: Final = rf"{CAPITAL}\."
IDENTIFIER: Final = r"[A-Za-z0-9][A-Za-z0-9\-/]{0,30}\d[A-Za-z0-9\-/]{0,30}"
NEEDS_SIGN: Final = frozenset(
    {"no", "nr", "id", "acc", "chart", "account", "policy", "identifier", "case no", "order no"}
)
"""Leads that are also common words: a number follows them only after a sign."""


@dataclass(frozen=True, slots=True)
class Forms:
    """Everything that notes are searched with."""

    links: tuple[tuple[re.Pattern[str], str], ...]
    numbers: tuple[re.Pattern[str], ...]
    age: re.Pattern[str]
    streets: tuple[re.Pattern[str], ...]
    places: tuple[re.Pattern[str], ...]
    names: tuple[tuple[re.Pattern[str], bool], ...]
    name_word: re.Pattern[str]
    particles: frozenset[str]
    not_names: frozenset[str]
    clinical: frozenset[str]
    institution_words: tuple[str, ...]
    general: frozenset[str]


@cache
def forms_of() -> Forms:
    """Compile once."""
    lists = read_policy().lists["note"]
    particle = rf"(?:(?:{_either(lists['particles'])})[ ])"
    a_name = rf"(?:{NAME}|{INITIAL})"
    full = rf"{particle}{{0,2}}{a_name}(?:,?[ \t]{{1,2}}\n?{particle}{{0,2}}{a_name}){{0,3}}"
    return Forms(
        links=_links(),
        numbers=_numbers(lists),
        age=re.compile(
            r"(?<![\d.])(9\d|1[0-3]\d)(?=[ -]?(?:years?|yrs?|y/?o\b|yo\b|jahre|jährige?r?|J\.)|[ -]year)", re.IGNORECASE
        ),
        streets=_streets(lists),
        places=_places(lists),
        names=((_sure(lists, full), True), *((form, False) for form in _names(lists, full))),
        name_word=re.compile(rf"{NAME}\.?|{_either(lists['particles'])}"),
        particles=frozenset(lists["particles"]),
        not_names=frozenset(lists["not_names"]) | frozenset(one.upper() for one in lists["not_names"]),
        clinical=clinical_words() - frozenset(one.lower() for one in (*lists["first_names"], *lists["surnames"])),
        general=frozenset(lists["ordinary"]) | {part.lower() for one in lists["institutions"] for part in one.split()},
        institution_words=tuple(sorted(lists["institutions"], key=len, reverse=True)),
    )


def _links() -> tuple[tuple[re.Pattern[str], str], ...]:
    return (
        (re.compile(r"(?<![\w.+\-])([\w.+\-]{1,64}@[\w\-]{1,64}(?:\.[\w\-]{1,64}){1,8})"), "name@example.org"),
        (re.compile(r"((?:https?://|www\.)[^\s<>\"')]+[^\s<>\"').,;])", re.IGNORECASE), "https://example.org"),
        (re.compile(r"(?<![\d.])((?:\d{1,3}\.){3}\d{1,3})(?![\d.])"), "192.0.2.1"),
    )


def _numbers(lists: dict[str, Any]) -> tuple[re.Pattern[str], ...]:
    leads = _either([one for one in lists["id_leads"] if one not in NEEDS_SIGN])
    signed = _either(sorted(NEEDS_SIGN))
    phones = _either(lists["phone_leads"])
    sign = r"[ \t]*(?:number|no\.?|nr\.?|id|#)?[ \t]*(?:[:#=.]|is|of)?[ \t]*#?[ \t]*"
    return (
        re.compile(rf"\b(?:{leads})\.?{sign}({IDENTIFIER})(?![\w/])", re.IGNORECASE),
        re.compile(rf"\b(?:{signed})\.?[ \t]*[:#=][ \t]*#?[ \t]*({IDENTIFIER})(?![\w/])", re.IGNORECASE),
        re.compile(r"(?<![\w-])#[ ]?(\d{4,}[\w\-]*)"),
        re.compile(r"(?<![\w.-])(\d{3}-\d{2}-\d{4})(?![\w-])"),
        re.compile(r"(?<![\w.])((?:\+?1[ .\-]?)?\(?\d{3}\)?[ .\-/]\d{3}[ .\-]\d{4})(?![\w-])"),
        re.compile(r"(?<![\w.])((?:\+|00)\d{1,3}[ .\-/]?(?:\(0\))?[ .\-/]?\d{2,5}(?:[ .\-/]?\d{2,8}){1,4})(?![\w-])"),
        re.compile(r"(?<![\w.])(0\d{2,5}[ ]?[/\-][ ]?\d{3,9}(?:[ \-]\d{1,6})?)(?![\w-])"),
        re.compile(rf"\b(?:{phones})\.?{sign}(\d(?:[ .\-/()]{{0,2}}\d){{6,14}})(?![\w%])", re.IGNORECASE),
        re.compile(r"\b(?:ext|extension|pager|beeper|durchwahl|apparat)\.?[: ]{1,3}(\d{3,6})(?!\w)", re.IGNORECASE),
        re.compile(r"(?<![\w.,/])(\d{7,}(?:[\-]\d+)*)(?![\w.,/]|[ ]?(?:mm|mg|ml|IU|units|/))"),
        re.compile(r"(?<![\w-])([A-Z]{1,4}-?\d{6,}[A-Z]?)(?![\w-])"),
    )


def _streets(lists: dict[str, Any]) -> tuple[re.Pattern[str], ...]:
    kinds, ends = _either(lists["streets"]), "|".join(lists["street_ends"])
    apart = "|".join(end.capitalize() for end in lists["street_ends"])
    box = r"(?:(?:P\.?[ ]?O\.?[ ]?Box|Postfach)[ ]\d+)"
    unit = r"(?:,?[ ](?:Apt|Apartment|Suite|Unit|Ste|#)\.?[ ]?\w+)?"
    return (
        re.compile(rf"(?<!\w)(\d{{1,6}}[ ](?:[NSEW]\.?[ ])?(?:{NAME}[ ]){{1,4}}(?:{kinds})\b\.?{unit})"),
        re.compile(rf"(?<![\w\-])({PART}(?:[ \-]{PART}){{0,2}}(?:{ends})[ ]\d{{1,4}}[ ]?[a-z]?)(?!\w)"),
        re.compile(rf"(?<![\w\-])({PART}(?:[ \-]{PART}){{0,2}}[ \-](?:{apart})[ ]\d{{1,4}}[ ]?[a-z]?)(?!\w)"),
        re.compile(rf"({box})"),
    )


def _places(lists: dict[str, Any]) -> tuple[re.Pattern[str], ...]:
    leads, ends, starts = (_either(lists[name]) for name in ("place_leads", "institutions", "institution_leads"))
    some = rf"(?>{LONG_NAME}(?:[ ](?:of[ ]|am[ ]|an[ ]der[ ]|im[ ])?{NAME}){{0,3}})"
    country = rf"(?:,[ ](?:[A-Z]{{2}}\b(?:[ ]\d{{5}}(?:-\d{{4}})?)?|{NAME}(?:[ ]{NAME})?))?"
    saint = r"(?:St\.?|Saint|Sankt|St\.-)[ ]?"
    return (
        re.compile(rf"\b(?i:{leads})[ ]?:?[ ]+(?:the[ ](?:city|town)[ ]of[ ])?((?:{saint})?{some}{country})"),
        re.compile(rf"(?<!\w)((?:{saint})?(?:{NAME}[ ](?:(?:of|and|&)[ ])?){{1,5}}?(?:{ends}))\b"),
        re.compile(
            rf"(?<!\w)((?:{starts})[ ](?:am[ ]|an[ ]der[ ]|im[ ]|der[ ])?(?:{saint})?{NAME}(?:[ ]{NAME}){{0,2}})"
        ),
        re.compile(rf"(?<!\w)({NAME}(?:[ ]{NAME}){{0,2}},[ ][A-Z]{{2}}[ ]\d{{5}}(?:-\d{{4}})?)(?!\w)"),
        re.compile(rf"(?<![\w.,])((?:D-)?\d{{5}}[ ]{NAME}(?:[ ](?:(?:am|an der|im)[ ])?{NAME}){{0,2}})(?!\w)"),
        re.compile(r"(?:\b[A-Z]{2}[ ]|(?i:zip(?: code)?|plz|postal code)[ ]?:?[ ]?)(\d{5}(?:-\d{4})?)(?!\w)"),
    )


def _sure(lists: dict[str, Any], full: str) -> re.Pattern[str]:
    """After a title in its short form stands a name."""
    titles = _either(lists["sure_titles"])
    return re.compile(
        rf"\b(?:{titles})\.?[ \t]{{1,2}}(?:(?:{titles}|med|rer|nat|dent|phil|habil)\.?[ ]){{0,4}}({full})"
    )


def _names(lists: dict[str, Any], full: str) -> tuple[re.Pattern[str], ...]:
    titles, relatives = _either(lists["titles"]), _either(lists["relatives"])
    leads, degrees = _either(lists["name_leads"]), _either(lists["degrees"])
    lead = rf"(?<![\w])(?i:{leads})(?:[ ]?(?:is|was|by|von|durch))?"
    bare = _either(lists["bare_name_leads"])
    first, last = _either(lists["first_names"]), _either(lists["surnames"])
    title = rf"(?:(?:{titles}|{titles.upper()})\.?(?:[ ](?:med|rer|nat|dent|phil|habil|h\.?c)\.?)*[ \t]+)"
    return (
        re.compile(rf"\b{title}{{1,4}}(?:-Ing\.[ ])?({full})"),
        # A sentence may follow "Patient:" in a dialogue; a name stands alone, or before a comma.
        re.compile(rf"{lead}[ ]?[:.\-][ \t]*\n?[ \t]*(?:{title}){{0,3}}((?>{full}))(?![ \t]+[a-zäöü]{{2}})"),
        re.compile(rf"(?<![\w])(?i:{bare})[ \t]+(?:{title}){{0,3}}({full})"),
        re.compile(rf"\b(?i:{relatives}),?[ ]+(?:is[ ]|was[ ]|named[ ]|called[ ])?({full})"),
        re.compile(rf"(?<![\w])({full})(?=,?[ ](?:{degrees})(?![\w]))"),
        re.compile(rf"\b(?i:my name is|name is|known as|goes by|i am|this is|heißt|namens)[ ]({full})"),
        # "Jane Roe is a 62 year-old", "Jane Roe, a 62-year-old", "Jane Roe, DOB"
        re.compile(
            rf"(?<![\w])({full})(?=,?\s{{1,3}}(?:(?:is|was)\s{{1,3}})?(?:an?|the)\s{{1,3}}\d{{1,3}}[ -]?(?:y|m|w|d))"
        ),
        re.compile(rf"(?<![\w])({full})(?=,?[ ](?i:aged?|dob|geb\.|geboren|ist (?:ein|eine) \d)\b)"),
        re.compile(rf"\b((?:{first})(?:[ ]{INITIAL})?[ ]{NAME}(?:[ ]{NAME})?)"),
        re.compile(rf"\b({NAME},[ ](?:{first})(?:[ ](?:{INITIAL}|{NAME}))?)\b"),
        re.compile(rf"\b((?:{last}),[ ]{NAME})\b"),
        re.compile(rf"\b((?:{first}))\b(?=[ ,.'’;:]|$)(?![ ]+(?:sign|test|disease|syndrome|murphy))"),
        re.compile(rf"^[ \t]*[-–_/]{{1,3}}[ \t]*({full})[ \t]*$", re.MULTILINE),
    )


def _either(parts: list[str]) -> str:
    return "|".join(re.escape(one) for one in sorted(parts, key=len, reverse=True))
