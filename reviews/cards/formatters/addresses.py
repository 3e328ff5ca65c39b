"""E-mail addresses and people. Source: reviewer-experience.md section 3, "e-mail" and "person"."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from email.utils import getaddresses
from typing import Final

from audit.pointer import token
from reviews.cards.formatters.base import (
    WrongKindError,
    changes_since,
    distinct,
    in_role,
    option_texts,
    want,
)
from reviews.cards.names import BadNameError, look_alike, mixes_scripts, read_name, reads_like
from reviews.cards.text import flat, reveal
from reviews.cards.types import Caution, Inner, Part, Rendered, Role, Severity, Value

EMAIL_OPTIONS: Final = {
    "own_domains": "Domains that are yours, beside those of the organisation",
    "many": "Warn above this many addresses (default 10)",
}
PERSON_OPTIONS: Final = {
    "own_domains": "Domains that are yours, beside those of the organisation",
    "left": "Key that says the person has left (default: left, terminated, deactivated)",
    "external": "Key that says the person is external (default: external, is_external)",
}

# fmt: off
_FREE_MAIL: Final = frozenset(
    [
        "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "ymail.com",
        "icloud.com", "me.com", "aol.com", "proton.me", "protonmail.com", "gmx.de", "gmx.net", "web.de",
        "mail.com", "mail.ru", "yandex.ru", "qq.com", "163.com", "zoho.com", "tutanota.com", "fastmail.com",
    ]
)
# fmt: on
_MANY: Final = 10
_ADDRESS: Final = re.compile(r"[^\s@\"(),:;<>\[\\\]]+@[^\s@\"(),:;<>\[\\\]]{2,}")
# More in one text are shown as they came: reading them takes time that grows with their square.
_MOST_IN_TEXT: Final = 500


def email(value: Value) -> Rendered:
    """One address or several: local part, **domain**; *Internal*, *External*, *First time*; how many.

    Reads a string (which may hold a list: a parser for one address drops the second) or a list of strings. Anything
    ambiguous (line breaks, more `@` than addresses) raises, so the raw value is shown as not inspected.
    """
    if isinstance(value.value, list):
        written = [want(item, str) for item in value.value]
        covers = frozenset(f"{value.pointer}/{index}" for index in range(len(written))) or frozenset([value.pointer])
    else:
        written = [want(value.value, str)]
        covers = frozenset([value.pointer])
    found = [pair for item in written if item.strip() for pair in _addresses(item)]
    if not found:
        if any(written):
            raise WrongKindError("e-mail")
        return Rendered((Part("none", Role.QUIET),), covers, exact="none")
    own = _own_domains(value)
    parts: list[Part] = []
    cautions: list[Caution] = []
    outside = first_time = 0
    for name, address in found:
        if parts:
            parts.append(Part("\n"))
        local, _, domain = address.rpartition("@")
        parts.extend(_display_name(name, cautions))
        local_seen, domain_seen = reveal(local), reveal(domain)
        cautions.extend((*local_seen.cautions, *domain_seen.cautions))
        parts.extend((*local_seen.parts, Part("@"), *in_role(domain_seen.parts, Role.STRONG)))
        wire = _wire(domain)
        if own is not None:
            is_own = wire in own
            outside += not is_own
            parts.extend((Part(" "), Part("Internal" if is_own else "External", Role.CHIP)))
        known = value.known.known_addresses
        if known is not None and address.casefold() not in known:
            first_time += 1
            parts.extend((Part(" "), Part("First time", Role.CHIP)))
        cautions.extend(domain_cautions(domain, own or frozenset()))
    if first_time:
        severity = Severity.CAUTION if outside or own is None else Severity.INFO
        cautions.insert(0, Caution("first_time", severity, {"count": f"{first_time:,}"}))
    if outside:
        cautions.insert(0, Caution("external", Severity.CAUTION, {"count": f"{outside:,}"}))
    if value.key.casefold() == "bcc":
        cautions.append(Caution("bcc"))
    many = value.options.get("many")
    if len(found) > (many if isinstance(many, int) else _MANY):
        cautions.append(Caution("many_addresses", Severity.CAUTION, {"count": f"{len(found):,}"}))
    repeats = sum(count - 1 for count in Counter(address.casefold() for _, address in found).values())
    if repeats:
        cautions.append(Caution("duplicates", Severity.INFO, {"count": f"{repeats:,}"}))
    cautions.extend(changes_since(value, written))
    short = flat(found[0][1])
    if len(found) > 1:
        summary = f"{len(found):,} addresses{f', {outside:,} outside' if outside else ''}"
        parts.append(Part(f"\n{len(found):,} addresses", Role.QUIET))
        short = summary
    return Rendered(
        tuple(parts),
        covers,
        cautions=distinct(cautions),
        short=short,
        exact="\n".join(address for _, address in found),
        can_copy=True,
    )


def _display_name(name: str, cautions: list[Caution]) -> tuple[Part, ...]:
    if not name:
        return ()
    seen = reveal(name)
    cautions.extend(seen.cautions)
    if "@" in unicodedata.normalize("NFKC", name):
        cautions.append(Caution("address_in_name", Severity.DANGER))
    return (Part('"'), *seen.parts, Part('" '))


def _own_domains(value: Value) -> frozenset[str] | None:
    """Our own domains as A-labels; None where nobody declared any, so that nothing can be called external."""
    declared = [*option_texts(value.options, "own_domains"), *value.known.own_domains]
    return frozenset(_wire(domain) for domain in declared) if declared else None


def _wire(domain: str) -> str:
    try:
        return read_name(domain).ascii
    except BadNameError:
        return domain.casefold()


def domain_cautions(domain: str, own: frozenset[str]) -> list[Caution]:
    """What a domain could be mistaken for, and whether anybody can get an address there."""
    if domain.casefold() in _FREE_MAIL:
        return [Caution("free_mail", Severity.INFO, {"domain": domain.casefold()})]
    found = []
    if mixes_scripts(domain):
        found.append(Caution("mixed_script", Severity.DANGER))
    try:
        name = read_name(domain)
    except BadNameError:
        return found
    if mixes_scripts(name.unicode) and not found:
        found.append(Caution("mixed_script", Severity.DANGER))
    if mine := look_alike(name, own):
        found.append(Caution("look_alike", Severity.DANGER, {"domain": flat(name.unicode), "own": mine}))
    if seen := reads_like(name.unicode):
        found.append(Caution("confusable", Severity.DANGER, {"skeleton": seen}))
    if name.is_international:
        found.append(Caution("punycode", Severity.INFO, {"ascii": name.ascii}))
    return found


def _addresses(written: str) -> list[tuple[str, str]]:
    if any(unicodedata.category(char) == "Cc" for char in written):
        raise WrongKindError("line break in an address")
    if written.count("@") > _MOST_IN_TEXT:
        raise WrongKindError("too many addresses")
    found = [(name.strip(), address) for name, address in getaddresses([written])]
    if any(not _ADDRESS.fullmatch(address) for _, address in found):
        raise WrongKindError("e-mail")
    if sum(name.count("@") + 1 for name, _ in found) != written.count("@"):
        raise WrongKindError("ambiguous address list")
    # The parser drops comments, groups and stray words without a sound; then nothing of it is to be trusted.
    rest = written
    for name, address in found:
        rest = rest.replace(address, "", 1).replace(name, "", 1)
    if rest.strip(' "<>,'):
        raise WrongKindError("an address list with more in it than addresses")
    return found


_NAME_KEYS: Final = ("name", "display_name", "displayName", "full_name", "fullName")
_ID_KEYS: Final = ("id", "user_id", "userId", "employee_id", "employeeId", "login", "username")
_ROLE_KEYS: Final = ("role", "title", "job_title", "jobTitle", "department")
_EMAIL_KEYS: Final = ("email", "mail", "email_address", "emailAddress")
_LEFT_KEYS: Final = ("left", "has_left", "terminated", "deactivated")
_ACTIVE_KEYS: Final = ("active", "is_active", "enabled")
_EXTERNAL_KEYS: Final = ("external", "is_external", "isExternal")
_GONE_WORDS: Final = frozenset({"left", "terminated", "inactive", "deactivated", "disabled", "suspended", "former"})


def person(value: Value) -> Rendered:
    """Name, id and role of a person as the caller gives them: there is no directory, so all of it is a claim.

    Reads a name or id alone, or an object with a name, id or address. What it does not know stays a fact of its own.
    """
    if isinstance(value.value, str):
        written = value.value
        if not written.strip():
            raise WrongKindError("person")
        seen = reveal(written)
        cautions = [*seen.cautions, *_is_requester(value, written)]
        if "@" in written:
            cautions.extend(_person_domain(value, written))
        return Rendered(in_role(seen.parts, Role.STRONG), frozenset([value.pointer]), cautions=distinct(cautions),
                        exact=written, can_copy=True)  # fmt: skip
    item = want(value.value, dict)
    parts: list[Part] = []
    cautions = []
    used: set[str] = set()
    for keys, role in (
        (_NAME_KEYS, Role.STRONG),
        (_ID_KEYS, Role.MONO),
        (_ROLE_KEYS, Role.QUIET),
        (_EMAIL_KEYS, Role.TEXT),
    ):
        key = next((key for key in keys if _is_word(item.get(key))), None)
        if key is None:
            continue
        used.add(key)
        seen = reveal(str(item[key]))
        cautions.extend((*seen.cautions, *_is_requester(value, str(item[key]))))
        if keys is _EMAIL_KEYS:
            cautions.extend(_person_domain(value, str(item[key])))
        if parts:
            parts.append(Part(", ", Role.QUIET))
        parts.extend(in_role(seen.parts, role))
    if not used & {*_NAME_KEYS, *_ID_KEYS, *_EMAIL_KEYS}:
        raise WrongKindError("person")
    cautions.extend(_standing(item, value.options))
    inner = tuple(
        Inner(Value(f"{value.pointer}/{token(key)}", key, member, value.root, value.now, known=value.known))
        for key, member in item.items()
        if key not in used
    )
    covers = frozenset(f"{value.pointer}/{token(key)}" for key in used)
    named = next(key for key in (*_NAME_KEYS, *_EMAIL_KEYS, *_ID_KEYS) if key in used)
    return Rendered(tuple(parts), covers, cautions=distinct(cautions), inner=inner, exact=str(item[named]))


def _is_word(item: object) -> bool:
    return (isinstance(item, str) and bool(item.strip())) or (isinstance(item, int) and not isinstance(item, bool))


def _is_requester(value: Value, written: str) -> list[Caution]:
    is_same = written.strip().casefold() in value.known.requester
    return [Caution("is_requester", Severity.INFO)] if is_same else []


def _person_domain(value: Value, written: str) -> list[Caution]:
    domain, own = written.rpartition("@")[2].strip("<> "), _own_domains(value)
    found = domain_cautions(domain, own or frozenset())
    if own is not None and _wire(domain) not in own:
        found.insert(0, Caution("person_external"))
    return found


def _standing(item: Mapping[str, object], options: Mapping[str, object]) -> list[Caution]:
    left = (*_LEFT_KEYS, str(options.get("left") or ""))
    external = (*_EXTERNAL_KEYS, str(options.get("external") or ""))
    status = str(item.get("status") or item.get("state") or "").casefold()
    found = []
    has_left = any(item.get(key) not in (None, False, "") for key in left if key)
    is_inactive = any(item.get(key) is False for key in _ACTIVE_KEYS)
    if has_left or is_inactive or status in _GONE_WORDS:
        found.append(Caution("person_left"))
    if any(item.get(key) is True for key in external if key) or status in ("external", "guest", "contractor"):
        found.append(Caution("person_external"))
    return found
