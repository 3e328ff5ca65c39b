"""The vocabulary of cards: facts made of parts, with cautions, a source for every label and value, and what is covered.

Nothing here is HTML. A `Part` is text with a role; whoever renders it escapes the text and chooses the element by role.
Source: reviewer-experience.md section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Final

from reviews.cards.sentences import SENTENCES

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
    TOOL = "tool"
    CLAIM = "claim"
    SCHEMA = "schema"
    KEY = "key"

    @property
    def is_trusted(self) -> bool:
        """Whether an admin vouched for the label; only such a label stands in the trusted frame."""
        return self in (LabelSource.TEMPLATE, LabelSource.TOOL)


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
    # A line that a diff adds or removes (its sign is in the text, so that nothing hangs on colour), a line's number.
    INS = "ins"
    DEL = "del"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Part:
    """A run of text with one role. The text is never markup."""

    text: str
    role: Role = Role.TEXT


@dataclass(frozen=True, slots=True)
class Caution:
    """Something a reviewer should not miss: a stable code, a severity and what fills its sentence."""

    code: str
    severity: Severity = Severity.CAUTION
    args: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """As the card says it; without a full stop where it is a tag."""
        return SENTENCES[self.code].format(**self.args)


class Absent(Enum):
    """There is no such value, which JSON null cannot say."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Known:
    """What the desk knows while it reads a call.

    `own_domains` are casefolded; `known_addresses` those written to before, None where nobody keeps them; `zone` is the
    reader's (IANA); `fingerprint_key` keys the fingerprints of secrets, empty for none; `requester` names the person
    whom the call is made for, every spelling casefolded; `context` is the user context, the application's word.
    """

    own_domains: frozenset[str] = frozenset()
    known_addresses: frozenset[str] | None = None
    zone: str = "UTC"
    fingerprint_key: bytes = b""
    requester: frozenset[str] = frozenset()
    context: object = None


@dataclass(frozen=True, slots=True)
class Value:
    """What a formatter is given: one JSON value with all it may need to read it.

    `pointer` is the RFC 6901 pointer within its document, `key` the last raw token, `root` the whole document (for a
    currency that stands beside an amount), `now` aware UTC, `schema` the JSON schema of this value or None, `last` the
    value at the same place in the call before, ABSENT where there is none.
    """

    pointer: str
    key: str
    value: object
    root: object
    now: datetime
    options: Mapping[str, object] = field(default_factory=dict)
    schema: Mapping[str, object] | None = None
    known: Known = field(default_factory=Known)
    last: object = ABSENT


@dataclass(frozen=True, slots=True)
class Inner:
    """A member of a list or object that is to become a fact of its own; an empty label is made from the key."""

    value: Value
    label: str = ""
    formatter: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a formatter gives back. `covers` are the pointers of the leaves whose value is in these parts.

    `exact` is what a person types to confirm the value and what *Copy* copies: a plain decimal for amounts, lines for
    several values, never a secret; `unit` what may be typed before or after the decimal; `choices` the declared values
    it is one of. `hides` are the pointers of values that are masked here. `inner` become the children of the fact.
    """

    parts: tuple[Part, ...]
    covers: frozenset[str]
    cautions: tuple[Caution, ...] = ()
    more: tuple[Part, ...] = ()
    more_label: str = ""
    inner: tuple[Inner, ...] = ()
    raw: str = ""
    short: str = ""
    inspected: bool = True
    exact: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()
    can_copy: bool = False
    hides: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Link:
    """A way to look a value up: made by a template alone, on a host that an admin allowed, always HTTPS."""

    url: str
    host: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the card: a label, its value in parts, and whose word it is.

    `more` is what stands in a fold below the parts (`more_label` names it); `children` are members of a list or object;
    `raw` is the value as sent where the parts changed its look; `inspected` is false where no formatter could read it;
    `is_hidden` where the value is a secret, which no rendering may show; `is_default` where the call leaves the value
    out and the schema says what then holds. `hides` are the pointers of all masked values in it, children's too, which
    no rendering may show. `claim` is what a tool definition that nobody accepted calls the value, as
    a whole sentence; the label stays ours. `exact`, `unit` and `choices` as in `Rendered`.
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
    link: Link | None = None
    is_default: bool = False
    direction: str = ""
    claim: str = ""
    exact: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()
    can_copy: bool = False
    hides: frozenset[str] = frozenset()

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
class Condition:
    """One test of a rule as policy froze it: its source text, "true", "false" or "error", and policy's own sentence.

    `values` are those that it read when the call was asked, by path such as `params.amount`.
    """

    source: str
    result: str
    sentence: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that held the call. `sentences` are its conditions with their values, in the card's words on a card."""

    rule_id: str
    name: str
    effect: str
    reason: str = ""
    note: str = ""
    result: str = "match"
    error: str = ""
    conditions: tuple[Condition, ...] = ()
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FactTemplate:
    """One declared fact of a card template. `direction`: which way an amended number may move, "down", "up" or ""."""

    pointer: str
    label: str
    formatter: str
    options: Mapping[str, object] = field(default_factory=dict)
    slot: str = ""
    emphasis: str = "normal"
    amend: str = "no"
    direction: str = ""


@dataclass(frozen=True, slots=True)
class TemplateCaution:
    """What a template warns of: `when` is CEL over the call, evaluated by the caller of `build_card`."""

    when: str
    text: str
    severity: Severity = Severity.CAUTION


@dataclass(frozen=True, slots=True)
class TemplateLink:
    """Where a value can be looked up: `url` holds one `{value}`, `host` is one that an admin allowed."""

    pointer: str
    url: str
    host: str


@dataclass(frozen=True, slots=True)
class Template:
    """A card template as the builder uses it; `sentence` is a verb phrase with `{slots}` only.

    `compare_on` are the pointers by which the nearest earlier calls are found; `undo` is "yes", "partly", "no" or "".
    """

    sentence: str
    facts: tuple[FactTemplate, ...] = ()
    decisive: str = ""
    version: int = 0
    cautions: tuple[TemplateCaution, ...] = ()
    links: tuple[TemplateLink, ...] = ()
    compare_on: tuple[str, ...] = ()
    undo: str = ""
    undo_how: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ToolLabels:
    """What a tool definition says of itself. Ours to repeat only where `is_accepted`: an admin pinned it by its hash.

    `property_titles` maps top-level params to their title, or the first sentence of their description; `annotations`
    are MCP's hints (`readOnlyHint`, `destructiveHint`, `idempotentHint`, `openWorldHint`).
    """

    title: str = ""
    description: str = ""
    property_titles: Mapping[str, str] = field(default_factory=dict)
    is_accepted: bool = False
    annotations: Mapping[str, bool] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The title, else the first sentence of the description."""
        return self.title.strip() or self.description.strip().partition(". ")[0].partition("\n")[0].removesuffix(".")

    @property
    def claims(self) -> tuple[str, ...]:
        """The annotations as sentences: `Provider says: read-only (not verified)`."""
        return tuple(
            f"Provider says: {yes if self.annotations[hint] else no} (not verified)"
            for hint, (yes, no) in _HINTS.items()
            if isinstance(self.annotations.get(hint), bool)
        )


# Model Context Protocol, ToolAnnotations.
_HINTS: Final = {
    "readOnlyHint": ("read-only", "changes things"),
    "destructiveHint": ("may destroy or overwrite", "only adds"),
    "idempotentHint": ("running it twice changes no more than once", "running it twice counts twice"),
    "openWorldHint": ("reaches the outside world", "stays within a closed system"),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of *What stands out*: a caution and the label of the fact it is about, empty for the whole call."""

    caution: Caution
    label: str = ""

    @property
    def sentence(self) -> str:
        """`2 hidden characters in Subject`."""
        if not self.label:
            return self.caution.sentence
        if self.caution.code in _ABOUT_TEXT:
            return f"{self.caution.sentence} in {self.label}"
        return f"{self.label}: {self.caution.sentence}"


_ABOUT_TEXT: Final = frozenset({"hidden_characters", "hidden_message", "many_marks"})


@dataclass(frozen=True, slots=True)
class CardInput:
    """A held call, parsed from its canonical bytes, with what policy said. `now` is aware UTC.

    `zone` is the reader's, `own_domains` the tenant's, casefolded; `known_addresses` those written to before, None
    where nobody keeps them. `findings` are lines that guardsite checked itself, `template_cautions` those of the
    template whose condition held: both join *What stands out*. `last_params` are those of the call to compare with.
    """

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
    tool: ToolLabels | None = None
    own_domains: frozenset[str] = frozenset()
    known_addresses: frozenset[str] | None = None
    zone: str = "UTC"
    fingerprint_key: bytes = b""
    findings: tuple[Notice, ...] = ()
    template_cautions: tuple[Caution, ...] = ()
    last_params: object | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """Everything a reviewer is shown about a call.

    `params_shown` of `params_total` counts top-level members of the params. `decisive_fact` is what is typed at tier 3,
    None where the template names none or the call leaves it out; `decisive` adds the key facts. `incomplete` is true
    where a leaf of params or user context is in no fact: such a card cannot be approved.
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
    undo: str = ""
    undo_how: str = ""
    provider: ToolLabels | None = None
    template_digest: str = ""
    decisive_fact: Fact | None = None

    @property
    def headline(self) -> str:
        """The sentence as plain text."""
        return "".join(part.text for part in self.sentence)

    def sentence_with(self, verb: str) -> tuple[Part, ...]:
        """The sentence once it was decided: the agent *asked to*, or *may*; it no longer *wants to*."""
        agent, _, *rest = self.sentence
        return (agent, Part(f" {verb} "), *rest)

    @property
    def wish(self) -> str:
        """The sentence without the agent and the person: `refund USD 4,700.00 to Lena Ortiz`."""
        return "".join(part.text for part in self.sentence[2:] if part.role is not Role.PRINCIPAL)
