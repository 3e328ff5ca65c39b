"""The vocabulary of cards: facts made of parts, with cautions, a source for every label and value, and what is covered.

Nothing here is HTML. A `Part` is text with a role; whoever renders it escapes the text and chooses the element by role.
Source: reviewer-experience.md section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

# A parsed canonical JSON value.
type_names: Final = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}


class Provenance(StrEnum):
    """Whose word a fact is."""

    CHECKED = "checked"
    APPLICATION = "application"
    AGENT = "agent"

    @property
    def words(self) -> str:
        """As the card says it."""
        return {
            Provenance.CHECKED: "guardsite checked",
            Provenance.APPLICATION: "your application said",
            Provenance.AGENT: "the agent said",
        }[self]


class LabelSource(StrEnum):
    """Where a label comes from, most trusted first."""

    TEMPLATE = "template"
    SCHEMA = "schema"
    KEY = "key"


class Severity(StrEnum):
    """How loudly a caution speaks."""

    INFO = "info"
    CAUTION = "caution"
    DANGER = "danger"


class Role(StrEnum):
    """What a part is, for whoever renders it."""

    TEXT = "text"
    STRONG = "strong"
    QUIET = "quiet"
    MONO = "mono"
    HIDDEN = "hidden"
    AGENT = "agent"
    ACTION = "action"
    PRINCIPAL = "principal"
    SLOT = "slot"
    CHIP = "chip"


@dataclass(frozen=True, slots=True)
class Part:
    """A run of text with one role. The text is never markup."""

    text: str
    role: Role = Role.TEXT


_CAUTIONS: Final[dict[str, str]] = {
    "not_inspected": "guardsite could not read this part. Treat it as unknown.",
    "hidden_characters": "{count} hidden {noun}",
    "hidden_message": "Hidden message in invisible characters",
    "claims_approval": "Claims to be approved - guardsite has no such record",
    "many_marks": "Stacked combining marks",
    "links": "{count} {noun} in the text",
    "float_money": "Sent as a binary float, which cannot hold every amount exactly",
    "unknown_currency": "{currency} is not a known currency",
    "negative": "The amount is negative",
    "external": "{count} outside your organisation",
    "free_mail": "{domain} gives addresses to anyone",
    "bcc": "Blind copy: the other recipients will not see these",
    "address_in_name": "The display name holds another address",
    "duplicates": "{count} repeated",
    "long_list": "{count} entries",
    "not_https": "Not HTTPS",
    "ip_host": "The host is an IP address",
    "userinfo": "A name or password stands before the host",
    "port": "Unusual port {port}",
    "ambiguous_address": "Ambiguous address: programs read it differently",
    "past": "In the past",
    "no_offset": "No time zone given",
    "not_in_enum": "Not one of the declared values",
    "unexpected_secret": "Looks like a secret where none is expected",
    "mixed_script": "Letters of several alphabets in one name",
}


@dataclass(frozen=True, slots=True)
class Caution:
    """Something a reviewer should not miss: a stable code, a severity and what fills its sentence."""

    code: str
    severity: Severity = Severity.CAUTION
    args: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """As the card says it; without a full stop where it is a tag."""
        return _CAUTIONS[self.code].format(**self.args)


@dataclass(frozen=True, slots=True)
class Value:
    """What a formatter is given: one JSON value with all it may need to read it.

    `pointer` is the RFC 6901 pointer within its document, `key` the last raw token, `root` the whole document (for a
    currency that stands beside an amount), `now` aware UTC, `schema` the JSON schema of this value or None.
    """

    pointer: str
    key: str
    value: object
    root: object
    now: datetime
    options: Mapping[str, object] = field(default_factory=dict)
    schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a formatter gives back. `covers` are the pointers of the leaves whose value is in these parts."""

    parts: tuple[Part, ...]
    covers: frozenset[str]
    cautions: tuple[Caution, ...] = ()
    more: tuple[Part, ...] = ()
    more_label: str = ""
    children: tuple[Fact, ...] = ()
    raw: str = ""
    short: str = ""
    inspected: bool = True


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the card: a label, its value in parts, and whose word it is.

    `more` is what stands in a fold below the parts (`more_label` names it); `children` are members of a list or object;
    `raw` is the value as sent where the parts changed its look; `inspected` is false where no formatter could read it;
    `is_hidden` where the value is a secret, which no rendering may show.
    """

    pointer: str
    label: str
    label_source: LabelSource
    parts: tuple[Part, ...]
    raw: str
    cautions: tuple[Caution, ...]
    provenance: Provenance
    inspected: bool
    covers: frozenset[str]
    formatter: str
    emphasis: str = "normal"
    amend: str = "no"
    more: tuple[Part, ...] = ()
    more_label: str = ""
    children: tuple[Fact, ...] = ()
    is_hidden: bool = False
    brief: str = ""

    @property
    def text(self) -> str:
        """The value as one line of plain text, for the sentence, e-mail and CSV."""
        if self.children and not self.parts:
            return f"{len(self.children)} values"
        return "".join(part.text for part in self.parts)

    @property
    def short(self) -> str:
        """The value at a glance, for the sentence and the bar; the whole of it stands in the details."""
        return self.brief or self.text


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that held the call, as the card shows it. `sentences` are its conditions with their values."""

    rule_id: str
    name: str
    effect: str
    reason: str = ""
    note: str = ""
    result: str = "match"
    error: str = ""
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FactTemplate:
    """One declared fact of a card template."""

    pointer: str
    label: str
    formatter: str
    options: Mapping[str, object] = field(default_factory=dict)
    slot: str = ""
    emphasis: str = "normal"
    amend: str = "no"


@dataclass(frozen=True, slots=True)
class Template:
    """A card template as the builder uses it; `sentence` is a verb phrase with `{slots}` only."""

    sentence: str
    facts: tuple[FactTemplate, ...] = ()
    decisive: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class CardInput:
    """A held call, parsed from its canonical bytes, with what policy said. `now` is aware UTC."""

    action_id: str
    params: object
    user_context: object
    agent_name: str
    now: datetime
    on_behalf_of: str = ""
    template: Template | None = None
    schema: Mapping[str, object] | None = None
    hits: tuple[Hit, ...] = ()
    tier: int = 2
    call_digest: str = ""
    call_index: int = 1
    call_count: int = 1


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of *What stands out*: a caution and the label of the fact it is about."""

    caution: Caution
    label: str

    @property
    def sentence(self) -> str:
        """`2 hidden characters in Subject`."""
        return (
            f"{self.caution.sentence} in {self.label}"
            if self.caution.code in _ABOUT_TEXT
            else (f"{self.label}: {self.caution.sentence}")
        )


_ABOUT_TEXT: Final = frozenset({"hidden_characters", "hidden_message", "many_marks"})


@dataclass(frozen=True, slots=True)
class Card:
    """Everything a reviewer is shown about a call.

    `params_shown` of `params_total` counts top-level members of the params. `incomplete` is true where a leaf of params
    or user context is in no fact: such a card cannot be approved.
    """

    action_id: str
    sentence: tuple[Part, ...]
    has_template: bool
    facts: tuple[Fact, ...]
    other_facts: tuple[Fact, ...]
    context_facts: tuple[Fact, ...]
    decisive: tuple[Fact, ...]
    stands_out: tuple[Notice, ...]
    hits: tuple[Hit, ...]
    params_shown: int
    params_total: int
    context_shown: int
    context_total: int
    missing: tuple[str, ...]
    incomplete: bool
    tier: int
    call_digest: str
    call_index: int
    call_count: int

    @property
    def headline(self) -> str:
        """The sentence as plain text."""
        return "".join(part.text for part in self.sentence)

    @property
    def wish(self) -> str:
        """The sentence without the agent and the person: `refund USD 4,700.00 to Lena Ortiz`."""
        return "".join(part.text for part in self.sentence[2:] if part.role is not Role.PRINCIPAL)
