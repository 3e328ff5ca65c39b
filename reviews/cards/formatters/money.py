"""Amounts of money. Source: reviewer-experience.md section 3, "money"."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from audit.pointer import MissingError, resolve
from policy.money import EXPONENTS
from reviews.cards.formatters.base import exact_of, number_of, number_text, one, option_decimal, option_texts, want
from reviews.cards.text import flat
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

MONEY_OPTIONS: Final = {
    "currency_pointer": "Where the call names its currency (default /currency)",
    "currency": "The currency where the call names none (ISO 4217)",
    "minor": "Whether the number counts minor units, such as cents (default true)",
    "exponent": "Decimals of the currency, where the provider's differ from ISO 4217",
    "limit": "Warn above this amount, in major units",
    "limit_minor": "Warn above this amount, in minor units",
    "usual": "Currencies that are usual here; others are said (default: the currency above)",
}


def money(value: Value) -> Rendered:
    """`USD 4,700.00`, raw "470000 minor units".

    The exponent comes from the template, else from ISO 4217: providers, CLDR and ISO differ (UGX, HUF). A limit is
    compared as a decimal, in the currency of the call.
    """
    amount = number_of(value.value)
    code = _currency(value)
    cautions: list[Caution] = []
    declared = value.options.get("exponent")
    exponent = want(declared, int) if declared is not None else EXPONENTS[code]
    if not 0 <= exponent <= 8:
        raise ValueError("no such exponent")
    if code not in EXPONENTS:
        cautions.append(Caution("unknown_currency", Severity.CAUTION, {"currency": flat(code)}))
    usual = [item.strip().upper() for item in option_texts(value.options, "usual")]
    if not usual and isinstance(value.options.get("currency"), str):
        usual = [str(value.options["currency"]).strip().upper()]
    if usual and code not in usual:
        args = {"currency": flat(code), "usual": ", ".join(usual)}
        cautions.append(Caution("unusual_currency", Severity.CAUTION, args))
    is_minor = value.options.get("minor", True) is True
    if isinstance(amount, float):
        cautions.append(Caution("float_money"))
    exact = exact_of(amount)
    major = exact.scaleb(-exponent) if is_minor else exact
    if major < 0:
        cautions.append(Caution("negative"))
    limit = option_decimal(value.options, "limit")
    limit_minor = option_decimal(value.options, "limit_minor")
    if limit is None and limit_minor is not None:
        limit = limit_minor.scaleb(-exponent)
    if limit is not None and major > limit:
        args = {"limit": _written(flat(code), limit, exponent)}
        cautions.insert(0, Caution("over_limit", Severity.DANGER, args))
    text = _written(flat(code), major, exponent)
    raw = f"{number_text(amount)} {'minor' if is_minor else 'major'} units"
    plain = text.rpartition(" ")[2].replace(",", "")
    return one(value, Part(text, Role.STRONG), cautions=cautions, raw=raw, exact=plain, unit=flat(code))


def _written(code: str, major: Decimal, exponent: int) -> str:
    places = max(exponent, -int(major.as_tuple().exponent))
    return f"{code} {major:,.{places}f}"


def _currency(value: Value) -> str:
    """The code that the call itself names, else the template's: a template must not talk over the call."""
    try:
        named = resolve(value.root, str(value.options.get("currency_pointer", "/currency")))
    except MissingError:
        named = value.options.get("currency")
    return want(named, str).strip().upper()
