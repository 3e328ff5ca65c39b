"""A card template as fields of a page: rows of facts, cautions and links, plain inputs and submit buttons, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django import forms

from reviews.cards.registry import FORMATTERS
from reviews.models import CardTemplate
from reviews.template_checks import MOST_CAUTIONS, MOST_FACTS, MOST_LINKS, Mistake
from reviews.template_content import Content
from reviews.template_options import BadOption, read_options, write_options

MONO: Final = {"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}
SPARE_FACTS: Final = 1

EMPHASES: Final = (("normal", "normal"), ("key", "key: large, and in the bar"), ("fold", "folded"))
AMENDS: Final = (("no", "no"), ("narrow", "only narrower"), ("free", "freely"))
DIRECTIONS: Final = (("", "either way"), ("down", "down only"), ("up", "up only"))
SEVERITIES: Final = (("caution", "caution"), ("info", "info"), ("danger", "danger"))


def _formatters() -> list[tuple[str, str]]:
    hidden = {"datetime"}  # another spelling of date_time
    return [("", "by its look"), *((name, name.replace("_", " ")) for name in sorted(FORMATTERS) if name not in hidden)]


class RowForm(forms.Form):
    """One row; an empty one is left out. `mistakes` are sentences, each at its field."""

    anchor = ""
    heading = ""

    def __init__(self, *args: Any, number: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = number
        self.mistakes: list[str] = []
        for name, found in self.fields.items():
            found.widget.attrs["aria-label"] = f"{found.label or name.capitalize()}, {self.heading} {number + 1}"

    def typed(self, name: str) -> str:
        """What was typed."""
        return str(self[name].value() or "").strip()

    @property
    def is_empty(self) -> bool:
        """Whether nothing tells it from a row that nobody touched."""
        return not any(self.typed(name) for name in self.telling)

    telling: Sequence[str] = ()
    optional: Sequence[str] = ()  # what may stay empty in a row that says something; choices always have a value

    def show(self, mistake: Mistake) -> None:
        """Put a mistake at its field."""
        self.mistakes.append(mistake.sentence)
        if mistake.field in self.fields:
            self.fields[mistake.field].widget.attrs["aria-invalid"] = "true"


class FactForm(RowForm):
    """One fact of the card."""

    heading = "fact"
    telling = ("pointer", "label", "slot")
    optional = ("label", "options", "slot")

    pointer = forms.CharField(
        required=False, widget=forms.TextInput(attrs=MONO | {"list": "known-pointers", "placeholder": "/amount_cents"})
    )
    label = forms.CharField(required=False, widget=forms.TextInput(attrs={"placeholder": "Amount"}))
    formatter = forms.ChoiceField(required=False, choices=_formatters)
    options = forms.CharField(
        required=False, widget=forms.Textarea(attrs=MONO | {"rows": 2, "placeholder": "currency_pointer=/currency"})
    )
    slot = forms.CharField(required=False, widget=forms.TextInput(attrs=MONO | {"placeholder": "amount"}))
    emphasis = forms.ChoiceField(required=False, choices=EMPHASES)
    amend = forms.ChoiceField(required=False, choices=AMENDS, label="Reviewers may change it")
    direction = forms.ChoiceField(required=False, choices=DIRECTIONS)


class CautionForm(RowForm):
    """One caution."""

    heading = "caution"
    telling = ("when", "text")

    when = forms.CharField(
        required=False, widget=forms.Textarea(attrs=MONO | {"rows": 2, "placeholder": "params.amount_cents > 1000000"})
    )
    text = forms.CharField(
        required=False, widget=forms.TextInput(attrs={"placeholder": "More than finance pays at once"})
    )
    severity = forms.ChoiceField(required=False, choices=SEVERITIES, initial="caution")


class LinkForm(RowForm):
    """One link."""

    heading = "link"
    telling = ("pointer", "url")

    pointer = forms.CharField(
        required=False, widget=forms.TextInput(attrs=MONO | {"list": "known-pointers", "placeholder": "/invoice_id"})
    )
    url = forms.CharField(
        required=False,
        label="Address",
        widget=forms.TextInput(attrs=MONO | {"placeholder": "https://billing.example/invoices/{value}"}),
    )


class WholeForm(forms.Form):
    """What belongs to no row."""

    # No field is required of the form: what is missing is found with every other mistake.
    optional = ("decisive", "compare_on", "undo_how")

    action_id = forms.CharField(
        required=False,
        label="Action",
        help_text="Its id, such as billing.refund. The field offers the actions that are known.",
        widget=forms.TextInput(attrs=MONO | {"list": "known-actions"}),
    )
    sentence = forms.CharField(
        required=False,
        help_text="What the call does, after “… wants to”. Slots in braces are filled by the facts below; no logic.",
        widget=forms.TextInput(attrs={"placeholder": "refund {amount} to {customer}", "autocomplete": "off"}),
    )
    decisive = forms.CharField(
        required=False,
        label="Typed to approve at tier 3",
        help_text="The pointer of the one fact that matters most.",
        widget=forms.TextInput(attrs=MONO | {"list": "known-pointers", "placeholder": "/amount_cents"}),
    )
    compare_on = forms.CharField(
        required=False,
        help_text="Pointers, one on each line: calls that share these values count as similar.",
        widget=forms.Textarea(attrs=MONO | {"rows": 2, "placeholder": "/customer"}),
    )
    undo = forms.ChoiceField(
        required=False, label="Can be undone", choices=[("", "not known"), *CardTemplate.Undo.choices]
    )
    undo_how = forms.CharField(
        required=False,
        label="How to undo it",
        help_text="Cards show this sentence. Where it is empty, they show the action's own: How to undo, under Actions.",
    )
    seen_digest = forms.CharField(required=False, widget=forms.HiddenInput)


@dataclass
class Editor:
    """The whole page: read from what was posted, or from what is stored."""

    whole: WholeForm
    facts: list[FactForm] = field(default_factory=list)
    cautions: list[CautionForm] = field(default_factory=list)
    links: list[LinkForm] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        """What was typed into a field that belongs to no row."""
        return str(self.whole[name].value() or "").strip()

    def read(self) -> tuple[Content, list[Mistake]]:
        """What the page says, and the options that cannot be read; empty rows are left out."""
        found: list[Mistake] = []
        facts = []
        for row, form in enumerate(self._filled(self.facts)):
            fact: dict[str, Any] = {name: form.typed(name) for name in form.fields if name != "options"}
            try:
                fact["options"] = read_options(form.typed("options"))
            except BadOption as error:
                fact["options"] = {}
                found.append(Mistake("facts", str(error), row, "options"))
            facts.append(fact)
        content = Content(
            sentence=self.text("sentence"),
            decisive=self.text("decisive"),
            facts=facts,
            cautions=[{name: form.typed(name) for name in form.fields} for form in self._filled(self.cautions)],
            links=[{name: form.typed(name) for name in form.fields} for form in self._filled(self.links)],
            compare_on=[line.strip() for line in self.text("compare_on").splitlines() if line.strip()],
            undo=self.text("undo"),
            undo_how=self.text("undo_how"),
        )
        return content, found

    def show(self, mistakes: Sequence[Mistake]) -> None:
        """Put each mistake at its row or field; `mistakes` keeps them all for the head of the page."""
        self.mistakes = list(mistakes)
        rows: dict[str, list[Any]] = {
            "facts": self._filled(self.facts),
            "cautions": self._filled(self.cautions),
            "links": self._filled(self.links),
        }
        for mistake in mistakes:
            forms_here = rows.get(mistake.part)
            if forms_here is not None and mistake.row is not None and mistake.row < len(forms_here):
                forms_here[mistake.row].show(mistake)
            elif mistake.part in self.whole.fields:
                self.whole.fields[mistake.part].widget.attrs["aria-invalid"] = "true"

    @property
    def by_field(self) -> dict[str, list[str]]:
        """The sentences at fields that belong to no row, and those about a part as a whole."""
        found: dict[str, list[str]] = {}
        for mistake in self.mistakes:
            if mistake.row is None:
                found.setdefault(mistake.part, []).append(mistake.sentence)
        return found

    @staticmethod
    def _filled(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if not row.is_empty]


def posted(data: Mapping[str, Any]) -> Editor:
    """The page as it was posted, with the row that a button asked for, or a row moved up."""
    data = _moved(data)
    wanted = str(data.get("_add", ""))
    editor = Editor(WholeForm(data, prefix="t"))
    editor.facts = _rows(FactForm, "f", "pointer", data, spare=SPARE_FACTS if wanted == "facts" else 0, most=MOST_FACTS)
    editor.cautions = _rows(CautionForm, "c", "when", data, spare=int(wanted == "cautions"), most=MOST_CAUTIONS)
    editor.links = _rows(LinkForm, "l", "pointer", data, spare=int(wanted == "links"), most=MOST_LINKS)
    return editor


def _rows(form: type[Any], prefix: str, mark: str, data: Mapping[str, Any], *, spare: int, most: int) -> list[Any]:
    size = 0
    while size < most and f"{prefix}{size}-{mark}" in data:
        size += 1
    size = min(max(size + spare, 1), most)
    return [form(data, prefix=f"{prefix}{number}", number=number) for number in range(size)]


def _moved(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data with the fact that `_up` names and the one above it changing places."""
    wanted = str(data.get("_up", ""))
    if not wanted.isdecimal() or not 0 < int(wanted) < MOST_FACTS:
        return data
    here, above = f"f{int(wanted)}-", f"f{int(wanted) - 1}-"
    swapped = {}
    for name in data:
        target = name.replace(here, above, 1) if name.startswith(here) else name.replace(above, here, 1)
        swapped[target if name.startswith((here, above)) else name] = data[name]
    return swapped


def facts_in_words(content: Content) -> list[dict[str, str]]:
    """Each fact as the editor's choices say it, for a page on which nothing is edited."""
    formatters, emphases, amends, directions = (
        dict(choices) for choices in (_formatters(), EMPHASES, AMENDS, DIRECTIONS)
    )
    found = []
    for fact in content.facts:
        amend = str(fact.get("amend") or "no")
        direction = str(fact.get("direction") or "")
        found.append(
            {name: str(fact.get(name) or "") for name in ("pointer", "label", "slot")}
            | {
                "formatter": formatters.get(str(fact.get("formatter") or ""), str(fact.get("formatter"))),
                "options": write_options(fact.get("options") or {}),
                "emphasis": emphases.get(str(fact.get("emphasis") or "normal"), ""),
                "amend": f"{amends.get(amend, amend)}{f', {directions[direction]}' if direction in ('down', 'up') else ''}",
            }
        )
    return found


def stored(content: Content | None, *, action_id: str = "", digest: str = "") -> Editor:
    """The page of a stored or proposed content, with room for more."""
    content = content or Content(sentence="")
    initial = {
        "action_id": action_id,
        "sentence": content.sentence,
        "decisive": content.decisive,
        "compare_on": "\n".join(content.compare_on),
        "undo": content.undo,
        "undo_how": content.undo_how,
        "seen_digest": digest,
    }
    editor = Editor(WholeForm(initial=initial, prefix="t"))
    facts = [{**item, "options": write_options(item.get("options") or {})} for item in content.facts]
    spare: list[dict[str, Any]] = [{} for _ in range(SPARE_FACTS)]
    editor.facts = [
        FactForm(initial=item, prefix=f"f{number}", number=number) for number, item in enumerate([*facts, *spare])
    ]
    editor.cautions = [
        CautionForm(initial=dict(item), prefix=f"c{number}", number=number)
        for number, item in enumerate([*content.cautions, {}])
    ]
    editor.links = [
        LinkForm(initial=dict(item), prefix=f"l{number}", number=number)
        for number, item in enumerate([*content.links, {}])
    ]
    return editor
