"""The formatters: one module per family. Each takes a `Value` and gives `Rendered`, or raises when it cannot read it.

`registry.fact_for` turns a raise into the raw value marked *Not inspected*. `FORMATTERS` names them; `FORMATTER_OPTIONS`
says, for the template editor, what each can be told. Source: reviewer-experience.md section 3, "Formatter registry".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from reviews.cards.formatters.addresses import EMAIL_OPTIONS, PERSON_OPTIONS, email, person
from reviews.cards.formatters.base import WrongKindError as WrongKindError
from reviews.cards.formatters.binary import BINARY_OPTIONS, binary
from reviews.cards.formatters.dates import DATE_OPTIONS, date_time
from reviews.cards.formatters.diff import DIFF_OPTIONS, diff
from reviews.cards.formatters.ids import ID_OPTIONS, identifier, secret
from reviews.cards.formatters.links import DOMAIN_OPTIONS, URL_OPTIONS, domain, url
from reviews.cards.formatters.lists import LIST_OPTIONS, listed, nested
from reviews.cards.formatters.money import MONEY_OPTIONS, money
from reviews.cards.formatters.numbers import (
    BOOLEAN_OPTIONS,
    BYTES_OPTIONS,
    DURATION_OPTIONS,
    ENUM_OPTIONS,
    NUMBER_OPTIONS,
    PERCENT_OPTIONS,
    boolean,
    duration,
    enum,
    null,
    number,
    percent,
    size,
)
from reviews.cards.formatters.shell import CODE_OPTIONS, SHELL_OPTIONS, code, shell
from reviews.cards.formatters.sql import SQL_OPTIONS, sql
from reviews.cards.formatters.text import TEXT_OPTIONS, html, markdown, text
from reviews.cards.types import Rendered, Value

Formatter = Callable[[Value], Rendered]

FORMATTERS: Final[dict[str, Formatter]] = {
    "money": money,
    "number": number,
    "bytes": size,
    "percent": percent,
    "duration": duration,
    "boolean": boolean,
    "null": null,
    "enum": enum,
    "text": text,
    "html": html,
    "markdown": markdown,
    "id": identifier,
    "date_time": date_time,
    "datetime": date_time,
    "email": email,
    "person": person,
    "url": url,
    "domain": domain,
    "sql": sql,
    "shell": shell,
    "diff": diff,
    "code": code,
    "list": listed,
    "nested": nested,
    "secret": secret,
    "binary": binary,
}

FORMATTER_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "money": MONEY_OPTIONS,
    "number": NUMBER_OPTIONS,
    "bytes": BYTES_OPTIONS,
    "percent": PERCENT_OPTIONS,
    "duration": DURATION_OPTIONS,
    "boolean": BOOLEAN_OPTIONS,
    "null": {},
    "enum": ENUM_OPTIONS,
    "text": TEXT_OPTIONS,
    "html": TEXT_OPTIONS,
    "markdown": TEXT_OPTIONS,
    "id": ID_OPTIONS,
    "date_time": DATE_OPTIONS,
    "datetime": DATE_OPTIONS,
    "email": EMAIL_OPTIONS,
    "person": PERSON_OPTIONS,
    "url": URL_OPTIONS,
    "domain": DOMAIN_OPTIONS,
    "sql": SQL_OPTIONS,
    "shell": SHELL_OPTIONS,
    "diff": DIFF_OPTIONS,
    "code": CODE_OPTIONS,
    "list": LIST_OPTIONS,
    "nested": LIST_OPTIONS,
    "secret": {},
    "binary": BINARY_OPTIONS,
}
