"""Input of the desk: a verdict, and the filters of the queue."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from reviews.states import VerdictKind
from reviews.verdicts import APPROVE_CODES, DENY_CODES, MAX_MESSAGE, MAX_NOTE, Choice

CODES = {VerdictKind.APPROVE: APPROVE_CODES, VerdictKind.DENY: DENY_CODES}


class VerdictForm(forms.Form):
    """A verdict as posted; whether it may stand is for `verdicts.decide`.

    `seen_version` and `seen_digest` say which card the reviewer read.
    """

    kind = forms.ChoiceField(choices=[(VerdictKind.APPROVE, _("Approve")), (VerdictKind.DENY, _("Deny"))])
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
    seen_version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    seen_digest = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = VerdictKind(kind) if kind in set(CODES) else VerdictKind.DENY
        self.verdict_kind = known
        self.fields["code"].choices = [(code.value, code.label) for code in CODES[known]]  # type: ignore[attr-defined]

    @property
    def choice(self) -> Choice:
        """The verdict for `verdicts.decide`; only after `is_valid`."""
        data = self.cleaned_data
        return Choice(kind=data["kind"], code=data["code"], message=data["message"].strip(), note=data["note"].strip())

    def now_showing(self, *, version: int, digest: str) -> None:
        """Keep the draft for the card that is on the screen now: it was written for an earlier one."""
        data = QueryDict(mutable=True)
        data.update({name: str(self.data.get(name, "")) for name in self.fields})
        data["seen_version"], data["seen_digest"] = str(version), digest
        self.data = data

    @classmethod
    def empty(cls, kind: VerdictKind, *, version: int, digest: str) -> VerdictForm:
        """A panel that nobody has filled in yet: nothing is preselected."""
        return cls(
            kind=kind, auto_id=f"id_{kind}_%s", initial={"kind": kind, "seen_version": version, "seen_digest": digest}
        )


class QueueFilterForm(forms.Form):
    """The filters of the queue, all of them in the address."""

    VIEWS = (
        ("mine", _("Mine")),
        ("all", _("All")),
        ("tier3", _("Tier 3+")),
        ("overdue", _("Overdue")),
        ("decided", _("Decided")),
    )
    TIERS = (("", _("Any tier")), ("1", "1"), ("2", "2"), ("3", "3"), ("4", "4"))

    view = forms.ChoiceField(choices=VIEWS, required=False, widget=forms.HiddenInput)
    action = forms.ChoiceField(label=_("Action"), required=False)
    rule = forms.ChoiceField(label=_("Rule"), required=False)
    agent = forms.ChoiceField(label=_("Agent"), required=False)
    tier = forms.ChoiceField(label=_("Tier"), choices=TIERS, required=False)

    def __init__(
        self, *args: Any, actions: list[str], rules: list[str], agents: list[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._offer("action", _("Any action"), [(name, name) for name in actions])
        self._offer("rule", _("Any rule"), [(name, name) for name in rules])
        self._offer("agent", _("Any agent"), agents)

    def _offer(self, name: str, empty: Any, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = [("", empty), *choices]  # type: ignore[attr-defined]  # it is a ChoiceField

    @property
    def wanted(self) -> dict[str, str]:
        """The filters that are set and valid; an unknown value in the address filters nothing."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
