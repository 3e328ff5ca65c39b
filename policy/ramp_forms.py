"""The forms of the ramp: flip, freeze, lift, label, backtest, shadow. They check; the write functions save."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django import forms

from policy.forms import ReasonForm
from policy.models import Freeze, Mode
from policy.readiness import Condition
from tenants.models import Agent

WINDOWS: Final = {1: "The last day", 7: "The last 7 days", 14: "The last 14 days", 30: "The last 30 days"}
# Said of the calls that the chosen mode is for; the page says which these are.
MODES: Final = (
    (Mode.OBSERVE.value, "Observe: record calls, block none"),
    (Mode.ENFORCE.value, "Enforce: deny and hold calls as the rules say"),
)
INHERIT: Final = "inherit"


def forget_fields(form: forms.BaseForm, names: Iterable[str]) -> None:
    """Drop what was typed where the page shows no field: an error there would be of something nobody sees."""
    for name in names:
        form.errors.pop(name, None)
        form.cleaned_data.pop(name, None)


class FlipForm(ReasonForm):
    """A flip. To enforce, a percentage is given, the name is typed and each condition that is not met is ticked.

    The page shows those fields beside Enforce alone, and they are judged there alone. `now` is the mode that stands and
    its percentage: the page offers no flip to it, and one that comes all the same is refused here, before anybody has to
    sign in afresh for nothing. So nothing is filled in, neither mode nor share: what stands would be no change, and
    everybody at once is nobody's first step.
    """

    OF_ENFORCE: Final = ("percent", "accepted", "name")

    mode = forms.ChoiceField(
        choices=(), widget=forms.RadioSelect, error_messages={"required": "Choose what it shall be."}
    )
    percent = forms.IntegerField(
        required=False,
        label="Share of users",
        min_value=1,
        max_value=100,
        help_text="Calls of all other users go on as in observe: recorded, not blocked. Raising the share keeps those who "
        "are in it. A call without a user goes by its agent.",
    )
    accepted = forms.MultipleChoiceField(
        required=False,
        choices=(),
        widget=forms.CheckboxSelectMultiple,
        label="Enforce although these are not met",
        help_text="All of them are needed.",
    )
    name = forms.CharField(required=False, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}))

    field_order = ("mode", "percent", "accepted", "name", "reason")

    def __init__(
        self,
        *args: Any,
        typed_name: str,
        now: tuple[str, int],
        inherited: str = "",
        unmet: Sequence[Condition],
        **kwargs: Any,
    ) -> None:
        """`inherited` is the tenant's mode in words, where an action may go by it."""
        super().__init__(*args, **kwargs)
        self.now = now
        self.typed_name = typed_name
        self.unmet_codes = [condition.code for condition in unmet]
        choices = [*([(INHERIT, f"Follow the tenant’s mode: {inherited}")] if inherited else []), *MODES]
        self.fields["mode"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField
        accepts = [(condition.code, f"I accept: {condition.sentence}") for condition in unmet]
        self.fields["accepted"].choices = accepts  # type: ignore[attr-defined]  # a MultipleChoiceField
        self.fields["name"].label = f"To enforce, type {typed_name}"
        if not unmet:
            del self.fields["accepted"]

    def clean(self) -> dict[str, Any]:
        """Where the flip is to enforce: for whom, the name, every condition not met. Elsewhere it is for everybody."""
        data = super().clean() or {}
        mode, percent = self.now
        if data.get("mode") != Mode.ENFORCE:
            forget_fields(self, self.OF_ENFORCE)
            if data.get("mode") == mode:
                self.add_error("mode", "This is the mode now: nothing would change.")
            return {**data, "percent": 100}
        if data.get("percent") is None and "percent" not in self.errors:
            self.add_error("percent", "Say for which share of users; 100 is everybody.")
        if mode == Mode.ENFORCE and data.get("percent") == percent:
            self.add_error("percent", f"It enforces for {percent} % now: nothing would change.")
        if data.get("name", "").strip() != self.typed_name:
            self.add_error("name", f"Type {self.typed_name} to enforce.")
        if set(self.unmet_codes) - set(data.get("accepted", [])) and "accepted" not in self.errors:
            self.add_error("accepted", "Tick each of them to say that you accept it.")
        return data


class FreezeForm(ReasonForm):
    """What to freeze, and why. Each scope has a field of its own, shown and judged with it alone."""

    FIELD_OF: Final = {"agent": "agent", "action": "actions"}

    scope = forms.ChoiceField(
        choices=(
            (Freeze.Scope.TENANT.value, "Everything"),
            (Freeze.Scope.AGENT.value, "One agent"),
            (Freeze.Scope.ACTION.value, "Some actions"),
        ),
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
    """Whether it is right to stop this call."""

    uid = forms.UUIDField(widget=forms.HiddenInput)
    verdict = forms.ChoiceField(choices=(("right", "Right"), ("wrong", "Wrong")))
    note = forms.CharField(required=False, max_length=300)


class BacktestForm(forms.Form):
    """How far back. `counts` says how many calls there are in each window, by its days."""

    days = forms.TypedChoiceField(coerce=int, choices=tuple(WINDOWS.items()), initial=14, label="Recorded calls of")

    def __init__(self, *args: Any, counts: Mapping[int, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["days"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            (days, f"{words} ({counts[days]:,} call{'' if counts[days] == 1 else 's'})")
            for days, words in WINDOWS.items()
        ]


class ShadowForm(forms.Form):
    """For which share of calls."""

    percent = forms.IntegerField(min_value=1, max_value=100, initial=100, label="Percentage of calls")
