"""What the audit pages take from people: filters in the URL, an export."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from audit.kinds import all_kinds

_EFFECTS: Final = [("", "Any"), ("allow", "Allow"), ("review", "Review"), ("deny", "Deny")]
_MODES: Final = [("", "Any"), ("observe", "Observe"), ("enforce", "Enforce")]


class FilterForm(forms.Form):
    """The filters of the list; every one optional, all kept in the URL."""

    kind = forms.ChoiceField(label="Kind", required=False)
    action_id = forms.CharField(label="Action", required=False, max_length=200)
    effect = forms.ChoiceField(label="Effect", required=False, choices=_EFFECTS)
    decision = forms.ChoiceField(label="Decision", required=False, choices=_EFFECTS)
    mode = forms.ChoiceField(label="Mode", required=False, choices=_MODES)
    rule = forms.CharField(label="Rule", required=False, max_length=200)
    actor = forms.CharField(label="Actor id", required=False, max_length=200)
    review = forms.CharField(label="Review", required=False, max_length=200)
    since = forms.DateTimeField(
        label="From (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    until = forms.DateTimeField(
        label="Until (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    before = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "Any"), *((kind.name, kind.label) for kind in all_kinds())]
        self.fields["kind"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField
        for name in ("action_id", "rule", "actor", "review"):
            self.fields[name].widget.attrs["autocomplete"] = "off"

    def equal(self) -> dict[str, str]:
        """Column → value, for the filters that are set."""
        columns = ("kind", "action_id", "effect", "decision", "mode", "rule", "actor", "review")
        return {name: self.cleaned_data[name] for name in columns if self.cleaned_data.get(name)}


class ExportForm(forms.Form):
    """An export: with or without values, and the earlier checkpoint that it shall be proved to extend."""

    with_disclosures = forms.BooleanField(
        label="With stored values",
        required=False,
        help_text="Params, reasons and names in clear. Without them the bundle proves the same and shows less.",
    )
    previous_size = forms.IntegerField(
        label="Rows of a checkpoint that you kept",
        required=False,
        min_value=1,
        max_value=2**53 - 1,
        help_text="Optional. The bundle then proves that nothing was cut or rewritten since.",
    )

    def __init__(self, *args: Any, may_read_values: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_read_values:
            del self.fields["with_disclosures"]
