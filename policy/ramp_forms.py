"""The forms of the ramp: flip, freeze, lift, label, backtest, shadow. They check; the write functions save."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django import forms

from policy.forms import ReasonForm
from policy.models import Freeze, Mode
from policy.readiness import Gate
from tenants.models import Agent

WINDOWS: Final = (
    ("1", "The last day"),
    ("7", "The last 7 days"),
    ("14", "The last 14 days"),
    ("30", "The last 30 days"),
)


def forget_fields(form: forms.BaseForm, names: Iterable[str]) -> None:
    """Drop what was typed where the page shows no field: an error there would be of something nobody sees."""
    for name in names:
        form.errors.pop(name, None)
        form.cleaned_data.pop(name, None)


class FlipForm(ReasonForm):
    """A flip. To enforce, a percentage is given, the name is typed and each open gate is ticked.

    The page shows those fields beside Enforce alone, and they are judged there alone.
    """

    OF_ENFORCE: Final = ("percent", "accepted", "name")

    mode = forms.ChoiceField(choices=(), widget=forms.RadioSelect)
    percent = forms.IntegerField(
        required=False,
        label="Percentage",
        min_value=0,
        max_value=100,
        initial=100,
        help_text="Share of users to enforce for; raising it keeps those who are in already.",
    )
    accepted = forms.MultipleChoiceField(
        required=False, choices=(), widget=forms.CheckboxSelectMultiple, label="Enforce in spite of"
    )
    name = forms.CharField(required=False, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}))

    field_order = ("mode", "percent", "accepted", "name", "reason")

    def __init__(
        self, *args: Any, typed_name: str, can_inherit: bool, open_gates: Sequence[Gate], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.typed_name = typed_name
        self.open_codes = [gate.code for gate in open_gates]
        inherit = [("inherit", "As the tenant")] if can_inherit else []
        self.fields["mode"].choices = [*inherit, *Mode.choices]  # type: ignore[attr-defined]  # a ChoiceField
        gates = [(gate.code, gate.sentence) for gate in open_gates]
        self.fields["accepted"].choices = gates  # type: ignore[attr-defined]  # a MultipleChoiceField
        self.fields["name"].label = f"To enforce, type {typed_name}"
        if not open_gates:
            del self.fields["accepted"]

    def clean(self) -> dict[str, Any]:
        """Where the flip is to enforce: for whom, the name, and every gate that is open. Elsewhere it is for everybody."""
        data = super().clean() or {}
        if data.get("mode") != Mode.ENFORCE:
            forget_fields(self, self.OF_ENFORCE)
            return {**data, "percent": 100}
        if data.get("percent") is None and "percent" not in self.errors:
            self.add_error("percent", "Say for which share of users; 100 is everybody.")
        if data.get("name", "").strip() != self.typed_name:
            self.add_error("name", f"Type {self.typed_name} to enforce.")
        if set(self.open_codes) - set(data.get("accepted", [])) and "accepted" not in self.errors:
            self.add_error("accepted", "Tick each of them to say that you enforce in spite of it.")
        return data


class FreezeForm(ReasonForm):
    """What to freeze, and why. Each scope has a field of its own, shown and judged with it alone."""

    FIELD_OF: Final = {"agent": "agent", "action": "actions"}

    scope = forms.ChoiceField(
        choices=Freeze.Scope.choices,
        widget=forms.RadioSelect,
        label="What",
        error_messages={"required": "Choose what to freeze."},
    )
    agent = forms.ChoiceField(required=False, choices=())
    actions = forms.CharField(
        required=False,
        max_length=200,
        help_text="The id of an action, or a pattern with * and ?, such as billing.*.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off"}),
    )

    field_order = ("scope", "agent", "actions", "reason")

    def __init__(self, *args: Any, agents: Sequence[Agent], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].widget.attrs["rows"] = 2
        choices = [("", "Choose an agent"), *((agent.slug, f"{agent.name} ({agent.slug})") for agent in agents)]
        self.fields["agent"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    def clean(self) -> dict[str, Any]:
        """The target that the scope asks for."""
        data = super().clean() or {}
        asked = self.FIELD_OF.get(data.get("scope", ""), "")
        forget_fields(self, set(self.FIELD_OF.values()) - {asked})
        data["target"] = (data.get(asked) or "").strip()
        if asked and not data["target"] and asked not in self.errors:
            self.add_error(asked, "Choose the agent." if asked == "agent" else "Name the actions.")
        return data


class LabelForm(forms.Form):
    """Whether stopping this call would be right."""

    uid = forms.UUIDField(widget=forms.HiddenInput)
    verdict = forms.ChoiceField(choices=(("right", "Right"), ("wrong", "Wrong")))
    note = forms.CharField(required=False, max_length=300)


class BacktestForm(forms.Form):
    """How far back."""

    days = forms.ChoiceField(choices=WINDOWS, initial="14", label="Recorded calls of")


class ShadowForm(forms.Form):
    """For which share of calls."""

    percent = forms.IntegerField(min_value=1, max_value=100, initial=100, label="Percentage of calls")
