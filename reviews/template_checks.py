"""Every mistake in a card template, found before it is saved: the part, the row, the field and a plain sentence.

Source: reviewer-experience.md section 3 ("CardTemplate"); JSON pointers as in RFC 6901. Reads nothing, writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from policy.cel import Engine
from policy.check import check, errors_in
from policy.evaluate import ROOT_NAMES, fields_read
from reviews.cards.registry import FORMATTERS
from reviews.cards.text import is_hidden, name_of
from reviews.cards.types import Severity
from reviews.template_cautions import READABLE
from reviews.template_content import Content
from reviews.template_options import option_mistake

MOST_FACTS: Final = 60
MOST_CAUTIONS: Final = 10
MOST_LINKS: Final = 20
MOST_COMPARED: Final = 5
LONGEST: Final = 200
LONGEST_LABEL: Final = 80

EMPHASES: Final = ("normal", "key", "fold")
AMENDS: Final = ("no", "narrow", "free")
DIRECTIONS: Final = ("", "down", "up")
UNDOS: Final = ("", "yes", "partly", "no")

_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BRACES: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: `part` is a column of the template, `row` counts from 0 where the part has rows."""

    part: str
    sentence: str
    row: int | None = None
    field: str = ""

    def __str__(self) -> str:
        place = self.part.replace("_", " ") + (f" {self.row + 1}" if self.row is not None else "")
        return f"{place.capitalize()}: {self.sentence}"


def mistakes(
    content: Content,
    *,
    engine: Engine | None,
    link_hosts: Sequence[str],
    schema: Mapping[str, object] | None = None,
) -> list[Mistake]:
    """All mistakes, in the order of the editor; empty when it may be saved.

    `engine` is the live policy's, in which cautions will run; `schema` the known schema of the action's params.
    """
    pointers = [str(fact.get("pointer") or "") for fact in content.facts]
    return [
        *_sentence(content),
        *_decisive(content, pointers),
        *_facts(content),
        *_cautions(content, engine=engine, schema=schema),
        *_links(content, pointers, hosts={host.casefold() for host in link_hosts}),
        *_compared(content),
        *_undo(content),
    ]


def pointer_mistake(pointer: str) -> str:
    """What is wrong with a JSON pointer to a value within params, or nothing."""
    if not pointer:
        return "Write where the value stands in params, such as /amount_cents."
    if not pointer.startswith("/"):
        return f"A pointer starts with a slash: /{pointer.lstrip('/')}"
    if _POINTER.fullmatch(pointer) is None:
        return "In a pointer ~ is written ~0, and a slash within a name ~1."
    if len(pointer) > LONGEST:
        return f"A pointer has at most {LONGEST} characters."
    return ""


def words_mistake(text: str, *, most: int = LONGEST) -> str:
    """What is wrong with words that stand in the trusted frame, or nothing."""
    if len(text) > most:
        return f"At most {most} characters; these are {len(text)}."
    hidden = next((char for char in text if is_hidden(char) or char in "\n\t"), None)
    if hidden is not None:
        return (
            f"This holds a character that nobody sees: U+{ord(hidden):04X} {name_of(hidden)}. Write it again by hand."
        )
    return ""


def slot_of(fact: Mapping[str, Any]) -> str:
    """The slot that a fact fills: its own name for it, else the last step of its pointer."""
    return str(fact.get("slot") or "") or str(fact.get("pointer") or "").rpartition("/")[2]


def slots_in(sentence: str) -> list[str]:
    """The names in braces, in order."""
    return [match.group(1) for match in _BRACES.finditer(sentence)]


def _sentence(content: Content) -> Iterator[Mistake]:
    text = content.sentence
    if not text.strip():
        yield Mistake("sentence", "Write what the call does, such as: refund {amount} to {customer}.")
        return
    if wrong := words_mistake(text):
        yield Mistake("sentence", wrong)
    rest = _BRACES.sub("", text)
    if "{" in rest or "}" in rest:
        yield Mistake("sentence", "The braces do not pair: each slot is written {name}, without braces inside.")
        return
    known = {slot_of(fact) for fact in content.facts}
    for name in slots_in(text):
        if _NAME.fullmatch(name) is None:
            yield Mistake("sentence", f"{{{name}}} is no slot: a slot is one name, without dots, signs or logic.")
        elif name not in known:
            yield Mistake("sentence", f"{{{name}}} names no fact below: give one of them this slot.")


def _decisive(content: Content, pointers: Sequence[str]) -> Iterator[Mistake]:
    if not content.decisive:
        return
    if content.decisive not in pointers:
        yield Mistake("decisive", "This is the pointer of none of the facts below.")
        return
    fact = content.facts[pointers.index(content.decisive)]
    if fact.get("formatter") in ("secret", "nested", "binary"):
        yield Mistake("decisive", "People type this value to approve at tier 3: choose one that they can see and type.")


def _facts(content: Content) -> Iterator[Mistake]:
    if len(content.facts) > MOST_FACTS:
        yield Mistake("facts", f"At most {MOST_FACTS} facts: people read them all.")
    seen: set[str] = set()
    slots: set[str] = set()
    for row, fact in enumerate(content.facts):
        pointer, formatter = str(fact.get("pointer") or ""), str(fact.get("formatter") or "")
        found = [("pointer", pointer_mistake(pointer))]
        if pointer in seen:
            found.append(("pointer", "Another fact shows this value already."))
        seen.add(pointer)
        found.append(("label", words_mistake(str(fact.get("label") or ""), most=LONGEST_LABEL)))
        if formatter and formatter not in FORMATTERS:
            found.append(("formatter", "There is no such formatter."))
        else:
            options = fact.get("options") or {}
            if isinstance(options, dict):
                wrong = (option_mistake(formatter, name, value) for name, value in options.items())
                found += [("options", sentence) for sentence in wrong if sentence]
            else:
                found.append(("options", "Write one option on each line, such as currency=USD."))
        slot = str(fact.get("slot") or "")
        if slot and _NAME.fullmatch(slot) is None:
            found.append(("slot", "A slot is one name: letters, digits and _, not starting with a digit."))
        elif slot and slot in slots:
            found.append(("slot", "Another fact fills this slot already."))
        slots.add(slot)
        choices = (("emphasis", EMPHASES, "normal"), ("amend", AMENDS, "no"), ("direction", DIRECTIONS, ""))
        found += [
            (name, f"One of: {', '.join(filter(None, allowed))}.")
            for name, allowed, default in choices
            if (fact.get(name) or default) not in allowed
        ]
        if fact.get("direction") and fact.get("amend") != "narrow":
            found.append(("direction", "A direction says which way a value may be narrowed: choose narrow beside it."))
        yield from (Mistake("facts", sentence, row, name) for name, sentence in found if sentence)


def _cautions(content: Content, *, engine: Engine | None, schema: Mapping[str, object] | None) -> Iterator[Mistake]:
    if len(content.cautions) > MOST_CAUTIONS:
        yield Mistake("cautions", f"At most {MOST_CAUTIONS} cautions.")
        return
    for row, item in enumerate(content.cautions):
        when, text = str(item.get("when") or ""), str(item.get("text") or "")
        for sentence in _condition(when, engine=engine, schema=schema):
            yield Mistake("cautions", sentence, row, "when")
        if not text.strip():
            yield Mistake("cautions", "Write what the reviewer should see.", row, "text")
        elif wrong := words_mistake(text):
            yield Mistake("cautions", wrong, row, "text")
        if (item.get("severity") or Severity.CAUTION) not in list(Severity):
            yield Mistake("cautions", "One of: info, caution, danger.", row, "severity")


def _condition(when: str, *, engine: Engine | None, schema: Mapping[str, object] | None) -> list[str]:
    if not when.strip():
        return ["Write when it holds, such as params.amount_cents > 100000."]
    if engine is None:
        return ["The live policy cannot be read now, so conditions cannot be checked. Try again shortly."]
    if unknown := sorted(set(fields_read(when, ROOT_NAMES)) - READABLE):
        return [
            f"A card does not know {name}: conditions read params, user, agent, action_id, now." for name in unknown
        ]
    return [str(one) for one in errors_in(check(when, engine=engine, schemas=[schema] if schema else []))]


def _links(content: Content, pointers: Sequence[str], *, hosts: set[str]) -> Iterator[Mistake]:
    if len(content.links) > MOST_LINKS:
        yield Mistake("links", f"At most {MOST_LINKS} links.")
    seen: set[str] = set()
    for row, item in enumerate(content.links):
        pointer = str(item.get("pointer") or "")
        if pointer not in pointers:
            yield Mistake("links", "This is the pointer of none of the facts above.", row, "pointer")
        elif pointer in seen:
            yield Mistake("links", "This value has a link already.", row, "pointer")
        seen.add(pointer)
        if wrong := link_mistake(str(item.get("url") or ""), hosts=hosts):
            yield Mistake("links", wrong, row, "url")


def link_mistake(url: str, *, hosts: set[str]) -> str:
    """What is wrong with the address of a link, or nothing. `hosts` are casefolded."""
    if not url:
        return "Write an address, such as https://billing.example/invoices/{value}."
    if len(url) > LONGEST or any(char.isspace() or not char.isprintable() or char == "\\" for char in url):
        return f"An address has no spaces, backslashes or hidden characters, and at most {LONGEST} characters."
    if url.count("{value}") != 1 or re.search(r"[{}]", url.replace("{value}", "", 1)):
        return "Write {value} once, where the value stands in the address."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "This is no address."
    if parts.scheme != "https" or not host:
        return "An address starts with https:// and the name of a host."
    if "{" in parts.netloc:
        return "{value} stands behind the host, never in it: else a call chooses where the link leads."
    if "@" in parts.netloc or port is not None:
        return "The host stands alone: no name, password or port."
    if host.casefold() not in hosts:
        return f"{host} is not among the link hosts of the desk settings."
    return ""


def _compared(content: Content) -> Iterator[Mistake]:
    if len(content.compare_on) > MOST_COMPARED:
        yield Mistake("compare_on", f"At most {MOST_COMPARED} values: similar calls share all of them.")
    if len(set(content.compare_on)) != len(content.compare_on):
        yield Mistake("compare_on", "Each value once.")
    for pointer in content.compare_on:
        if wrong := pointer_mistake(pointer):
            yield Mistake("compare_on", wrong)


def _undo(content: Content) -> Iterator[Mistake]:
    if content.undo not in UNDOS:
        yield Mistake("undo", "One of: yes, partly, no.")
    if wrong := words_mistake(content.undo_how):
        yield Mistake("undo_how", wrong)
    if content.undo_how and content.undo not in ("yes", "partly"):
        yield Mistake("undo_how", "Say yes or partly first: this tells how it is undone.")
