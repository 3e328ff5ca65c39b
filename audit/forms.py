"""What the audit pages take from people: filters in the URL, an export."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django import forms

from audit import browse
from audit.kinds import Kind, all_kinds
from audit.models import Checkpoint

_EFFECTS: Final = [("", "Any"), ("allow", "Allow"), ("review", "Review"), ("deny", "Deny")]
_MODES: Final = [("", "Any"), ("observe", "Observe"), ("enforce", "Enforce")]


class FilterForm(forms.Form):
    """The filters of the list; every one optional, all kept in the URL. Call inside `as_tenant(using=READER)`."""

    kind = forms.ChoiceField(label="Kind", required=False)
    about = forms.CharField(label="Id of what changed", required=False, max_length=200)
    action_id = forms.CharField(label="Action", required=False, max_length=200)
    effect = forms.ChoiceField(label="Effect", required=False, choices=_EFFECTS)
    decision = forms.ChoiceField(label="Decision", required=False, choices=_EFFECTS)
    mode = forms.ChoiceField(label="Mode", required=False, choices=_MODES)
    rule = forms.CharField(label="Rule", required=False, max_length=200)
    actor = forms.CharField(label="Actor", required=False, max_length=200)
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

    def __init__(self, *args: Any, tenant_id: UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tenant_id = tenant_id
        self._meant: dict[str, list[str]] = {}  # filter → the ids that its words stand for
        choices = [("", "Any"), *((kind.name, kind.label) for kind in all_kinds())]
        labels = dict(choices)
        asked = str(self.data.get("kind") or "")
        if "," in asked and all(kind in labels for kind in asked.split(",")):
            # Several kinds together are no choice of their own, but a history may ask for them.
            choices.append((asked, ", ".join(labels[kind] for kind in asked.split(","))))
        self.fields["kind"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField
        for name in ("about", "action_id", "rule", "actor", "review"):
            self.fields[name].widget.attrs["autocomplete"] = "off"

    def clean_review(self) -> str:
        """A review as the list and the queue print it, or its whole id."""
        words: str = self.cleaned_data["review"]
        if words:
            found = browse.reviews_called(self._tenant_id, words)
            if found is None:
                raise forms.ValidationError("No review has such an id. One looks like R-4F7A2C.")
            self._meant["review"] = found
        return words

    def clean_actor(self) -> str:
        """A name, an e-mail address or an id."""
        words: str = self.cleaned_data["actor"]
        if words:
            self._meant["actor"] = browse.actors_meant(self._tenant_id, words)
            if not self._meant["actor"]:
                raise forms.ValidationError("Nobody here is called so.")
        return words

    def clean(self) -> dict[str, Any]:
        """Which part of an entry is the id of what changed, its kind says."""
        data = super().clean() or {}
        if data.get("about") and "kind" not in self.errors and not self._path_of_about():
            self.add_error("about", "Choose a kind that is about one thing, such as Team changed.")
        return data

    def _path_of_about(self) -> str:
        kinds: dict[str, Kind] = {kind.name: kind for kind in all_kinds()}
        chosen = kinds.get(self.cleaned_data.get("kind", ""))
        return chosen.about if chosen else ""

    def subject(self) -> tuple[str, str] | None:
        """(path in the body, id) of what the entries are about, where that was asked for."""
        wanted = self.cleaned_data.get("about")
        return (self._path_of_about(), wanted) if wanted else None

    def given(self) -> dict[str, str]:
        """Filter → value, for those of them that are set and name something."""
        names = ("kind", "about", "action_id", "effect", "decision", "mode", "rule", "actor", "review")
        return {name: self.cleaned_data[name] for name in names if self.cleaned_data.get(name)}

    def equal(self) -> dict[str, str | list[str]]:
        """Lookup → value, for the columns of an entry that are filtered."""
        lookups: dict[str, str | list[str]] = {}
        for name, value in self.given().items():
            if name == "kind":
                lookups["kind__in"] = value.split(",")
            elif name in self._meant:
                lookups[f"{name}__in"] = self._meant[name]
            elif name != "about":
                lookups[name] = value
        return lookups

    def in_words(self) -> list[str]:
        """Each filter that is set, as the form calls it."""
        said = []
        for field in self.visible_fields():
            value = self.cleaned_data.get(field.name)
            if value:
                words = dict(getattr(field.field, "choices", ())).get(value, value)
                said.append(
                    f"{field.label}: {words:%-d %b %Y, %H:%M}"
                    if isinstance(words, datetime)
                    else f"{field.label}: {words}"
                )
        return said


class ExportForm(forms.Form):
    """An export: with or without values, and the earlier checkpoint that it shall be proved to extend."""

    with_disclosures = forms.BooleanField(
        label="Include parameters, reasons and names (personal data)",
        required=False,
        help_text="Without them the bundle proves the same and shows less.",
    )
    kept = forms.ChoiceField(
        label="A checkpoint that you kept",
        required=False,
        help_text="The bundle then proves that nothing was cut or rewritten since.",
    )
    previous_size = forms.IntegerField(
        label="Or an older one, by its number of rows",
        required=False,
        min_value=1,
        max_value=2**53 - 1,
        help_text="The second line of the file that you kept.",
    )

    def __init__(
        self, *args: Any, may_read_values: bool, checkpoints: Sequence[Checkpoint] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if not may_read_values:
            del self.fields["with_disclosures"]
        self.fields["kept"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            ("", "None"),
            *((str(one.size), f"{one.size} rows, {one.signed_at:%-d %b %Y, %H:%M:%S} UTC") for one in checkpoints),
        ]

    def clean(self) -> dict[str, Any]:
        """`previous_size` is whichever of the two was given."""
        data = super().clean() or {}
        kept, typed = data.pop("kept", ""), data.get("previous_size")
        if kept and typed and int(kept) != typed:
            self.add_error("previous_size", "You chose another one above. Give one of the two.")
        elif kept:
            data["previous_size"] = int(kept)
        return data
