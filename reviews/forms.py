"""Input of the bar: a verdict, a question."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from audit.canonical import NotCanonical, parse_strict
from reviews import flags
from reviews.choices import MAX_MESSAGE, MAX_NOTE, Choice
from reviews.errors import InvalidStep
from reviews.questions import MAX_QUESTION
from reviews.states import VerdictKind
from reviews.verdict_words import CODES, message_for
from reviews.wire import MAX_PARAMS_BYTES

_PANELS: Final = {
    VerdictKind.APPROVE: "approve",
    VerdictKind.APPROVE_WITH_AMENDMENTS: "amend",
    VerdictKind.DENY: "deny",
}
_KINDS: Final = (
    (VerdictKind.APPROVE, _("Approve")),
    (VerdictKind.APPROVE_WITH_AMENDMENTS, _("Approve with changes")),
    (VerdictKind.DENY, _("Deny")),
)


# Version of the review, digest of the call and of the card template that are on the screen.
Seen = tuple[int, str, str]


class AnyOf(forms.MultipleChoiceField):
    """Several values of which the server knows which count: unknown ones are no error of the form."""

    def valid_value(self, value: Any) -> bool:
        """Whether it is short enough to be looked at."""
        return len(str(value)) <= 300


class VerdictForm(forms.Form):
    """A verdict as posted; whether it may stand is for `verdicts.decide`.

    `seen_version`, `seen_digest` and `seen_template` say which card the reviewer read; `form_key` makes the form decide
    once however often it is sent. `typed` and `pick` are two ways to enter the decisive value.
    """

    kind = forms.ChoiceField(choices=_KINDS)
    code = forms.ChoiceField(
        label=_("Reason"), widget=forms.RadioSelect, error_messages={"required": _("Choose a reason.")}
    )
    message = forms.CharField(
        label=_("Message to the agent"),
        required=False,
        max_length=MAX_MESSAGE,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Goes to the model. No customer data."),
    )
    note = forms.CharField(
        label=_("Note for the record"),
        required=False,
        max_length=MAX_NOTE,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Stays here; never leaves."),
    )
    typed = forms.CharField(
        required=False, max_length=300, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )
    pick = forms.CharField(required=False, max_length=300)
    seen = AnyOf(required=False)
    pause = forms.BooleanField(label=_("Also pause this agent until a lead resumes it"), required=False)
    count = forms.IntegerField(label=_("How many may run"), required=False, min_value=1, max_value=10_000)
    params = forms.CharField(required=False, max_length=MAX_PARAMS_BYTES, widget=forms.HiddenInput, strip=False)
    seen_version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    seen_digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    seen_template = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    form_key = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    # What no draft keeps and no refusal carries over: it belongs to the card that was on the screen.
    _OF_THE_CARD: Final = ("seen_version", "seen_digest", "seen_template", "form_key")

    def __init__(self, *args: Any, kind: str, locale: str = "en", **kwargs: Any) -> None:
        known = VerdictKind(kind) if kind in set(VerdictKind) else VerdictKind.DENY
        kwargs.setdefault("auto_id", f"id_{_PANELS[known]}_%s")
        super().__init__(*args, **kwargs)
        self.verdict_kind = known
        self.locale = locale
        self.fields["code"].choices = [(code.value, code.label) for code in CODES[known]]  # type: ignore[attr-defined]

    @property
    def panel(self) -> str:
        """The panel that it stands in: approve, deny or amend."""
        return _PANELS[self.verdict_kind]

    def clean_params(self) -> dict[str, Any] | None:
        """The amended params, read as strictly as intake reads a call."""
        text = self.cleaned_data["params"]
        if not text:
            return None
        try:
            params = parse_strict(text.encode(), max_bytes=MAX_PARAMS_BYTES)
        except NotCanonical:
            raise forms.ValidationError(_("The amended call cannot be read.")) from None
        if not isinstance(params, dict):
            raise forms.ValidationError(_("The amended call cannot be read."))
        return params

    @property
    def choice(self) -> Choice:
        """The verdict for `verdicts.decide`; only after `is_valid`."""
        data = self.cleaned_data
        return Choice(
            kind=data["kind"],
            code=data["code"],
            message=data["message"].strip(),
            note=data["note"].strip(),
            typed=data["typed"].strip() or data["pick"],
            picked=data["pick"],
            seen=frozenset(data["seen"]),
            params=data["params"],
            # What is picked is written as the page writes it.
            locale=self.locale if data["typed"].strip() else "en",
        )

    @property
    def code_messages(self) -> Mapping[str, str]:
        """What the agent is told for each reason, for the script that fills the message."""
        return {code.value: message_for(self.verdict_kind, code) for code in CODES[self.verdict_kind]}

    @property
    def typed_fields(self) -> dict[str, list[str]]:
        """What was posted, by field, for the draft."""
        data: Any = self.data
        return {name: data.getlist(name) for name in data if name not in self._OF_THE_CARD}

    def now_showing(self, seen: Seen) -> None:
        """Keep the draft for the card that is on the screen now: it was written for an earlier one."""
        data = QueryDict(mutable=True)
        for name, values in self.data.lists():  # type: ignore[attr-defined]
            data.setlist(name, values)
        data["seen_version"], data["seen_digest"], data["seen_template"] = str(seen[0]), seen[1], seen[2]
        data["form_key"] = new_form_key()
        self.data = data

    @classmethod
    def empty(
        cls,
        kind: VerdictKind,
        seen: Seen,
        *,
        typed: Mapping[str, Sequence[str]] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> VerdictForm:
        """A panel that nobody has filled in yet, or with what its reviewer typed before: nothing is preselected."""
        initial: dict[str, Any] = {
            name: list(values) if name == "seen" else values[-1] for name, values in (typed or {}).items() if values
        }
        initial |= {
            "kind": kind,
            "seen_version": seen[0],
            "seen_digest": seen[1],
            "seen_template": seen[2],
            "form_key": new_form_key(),
        }
        if params is not None:
            initial["params"] = json.dumps(params, ensure_ascii=False)
        return cls(kind=kind, initial=initial)


class QuestionForm(forms.Form):
    """A question to the agent."""

    text = forms.CharField(
        label=_("Your question"),
        max_length=MAX_QUESTION,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Goes to the model. No customer data. Time runs on while you wait."),
    )


class FlagForm(forms.Form):
    """What was wrong with a verdict; `flags.flag` checks it."""

    note = forms.CharField(
        label=_("What was wrong"),
        max_length=flags.MOST_NOTE,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("10 characters or more. For people at this desk; never leaves."),
    )

    def refuse(self, error: InvalidStep) -> None:
        """Say at each field what is wrong with it."""
        self.errors.clear()
        found = error.details["errors"]
        assert isinstance(found, dict)
        for name, sentence in found.items():
            self.add_error(name, sentence)


def new_form_key() -> str:
    """A key that no other form has."""
    return secrets.token_urlsafe(18)
