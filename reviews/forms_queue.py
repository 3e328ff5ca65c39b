"""Input of the queue: its filters, which are the address, and the small forms of a row or a card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from reviews.handing_on import CODES, LONGEST_NOTE
from reviews.queue_rows import Wanted
from reviews.saved_views import LONGEST_NAME
from reviews.snoozes import SkipCode
from reviews.verdict_words import DENY_CODES
from reviews.verdicts import MAX_MESSAGE, MAX_NOTE

Choices = Sequence[tuple[str, Any]]
_SAID = {"tier": "tier {}", "older": "waiting {}"}


class QueueFilterForm(forms.Form):
    """The filters of the queue, all of them in the address; an unknown value filters nothing."""

    VIEWS = (
        ("mine", _("Mine")),
        ("all", _("All")),
        ("tier3", _("Tier 3+")),
        ("overdue", _("Overdue")),
        ("snoozed", _("Snoozed")),
        ("decided", _("Decided")),
    )
    TIERS = (("", _("Any tier")), ("1", "1"), ("2", "2"), ("3", "3"), ("4", "4"))
    CLOCKS = (("", _("Any")), ("overdue", _("Overdue")), ("soon", _("Due soon")), ("due", _("In time")))
    CAUTIONS = (("", _("Any")), ("caution", _("with a warning")), ("danger", _("with a danger")))
    AGES = (
        ("", _("Any age")),
        ("5", _("over 5 min")),
        ("15", _("over 15 min")),
        ("60", _("over 1 h")),
        ("240", _("over 4 h")),
        ("1440", _("over a day")),
    )

    view = forms.ChoiceField(choices=VIEWS, required=False, widget=forms.HiddenInput)
    q = forms.CharField(
        label=_("Search"),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("id, action, rule, agent, run")}),
    )
    action = forms.ChoiceField(label=_("Action"), required=False)
    rule = forms.ChoiceField(label=_("Rule"), required=False)
    agent = forms.ChoiceField(label=_("Agent"), required=False)
    requester = forms.CharField(
        label=_("On behalf of"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": _("whole name, e-mail or id")}),
    )
    team = forms.ChoiceField(label=_("Team"), required=False)
    tier = forms.ChoiceField(label=_("Tier"), choices=TIERS, required=False)
    sla = forms.ChoiceField(label=_("Clock"), choices=CLOCKS, required=False)
    older = forms.ChoiceField(label=_("Waiting"), choices=AGES, required=False)
    caution = forms.ChoiceField(label=_("Warning"), choices=CAUTIONS, required=False)

    def __init__(
        self, *args: Any, actions: Iterable[str], rules: Choices, agents: Choices, teams: Choices, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._offer("action", _("Any action"), [(name, name) for name in actions])
        self._offer("rule", _("Any rule"), rules)
        self._offer("agent", _("Any agent"), agents)
        self._offer("team", _("Any team"), teams)

    def _offer(self, name: str, empty: Any, choices: Choices) -> None:
        # What the address asks for is offered too: a filter that is gone from policy still says what it is.
        # A NUL is in no name, and no database is asked for one.
        asked = self.data.get(name, "").replace("\x00", "")
        known = {value for value, _label in choices}
        added = [(asked, asked)] if asked and asked not in known else []
        self.fields[name].choices = [("", empty), *choices, *added]  # type: ignore[attr-defined]  # it is a ChoiceField

    @property
    def wanted(self) -> Wanted:
        """The filters that are set and valid."""
        self.is_valid()
        data = self.cleaned_data
        return Wanted(
            view=data.get("view") or "all",
            team=data.get("team", ""),
            tier=int(data["tier"]) if data.get("tier") else None,
            action=data.get("action", ""),
            rule=data.get("rule", ""),
            agent=data.get("agent", ""),
            sla=data.get("sla", ""),
            older=int(data["older"]) if data.get("older") else None,
            caution=data.get("caution", ""),
            requester=data.get("requester", "").strip(),
            q=data.get("q", "").strip(),
        )

    def in_words(self, wanted: Wanted) -> str:
        """The filters that are set as a phrase: `tier 3, mine`."""
        said = []
        for name in ("tier", "action", "rule", "agent", "team", "sla", "older", "caution"):
            value = getattr(wanted, name)
            if value:
                labels = dict(self.fields[name].choices)  # type: ignore[attr-defined]
                label = str(labels.get(str(value), value))
                said.append(_SAID.get(name, "{}").format(label))
        said += [f"“{text}”" for text in (wanted.requester, wanted.q) if text]
        views = dict(self.VIEWS)
        if wanted.view != "all":
            said.append(str(views[wanted.view]).lower())
        return ", ".join(said)


class SaveViewForm(forms.Form):
    """A name for the filters that are set."""

    name = forms.CharField(label=_("Name of this view"), max_length=LONGEST_NAME)
    query = forms.CharField(max_length=500, required=False, widget=forms.HiddenInput)
    is_shared = forms.BooleanField(label=_("For everybody"), required=False)


def _length(minutes: int) -> str:
    """A length as people say it: 45 min, 4 h."""
    return f"{minutes // 60} h" if minutes and minutes % 60 == 0 else f"{minutes} min"


class SnoozeForm(forms.Form):
    """For how long a review is put off."""

    minutes = forms.TypedChoiceField(label=_("For"), coerce=int, widget=forms.RadioSelect)

    def __init__(self, *args: Any, lengths: Iterable[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["minutes"].choices = [(minutes, _length(minutes)) for minutes in lengths]  # type: ignore[attr-defined]


class SkipForm(forms.Form):
    """Why a claimed review is passed on."""

    code = forms.ChoiceField(label=_("Why"), choices=SkipCode.choices, widget=forms.RadioSelect)


class HandOnForm(forms.Form):
    """To whom a review goes, and why. `to` is `team:<id>` or `member:<id>`."""

    to = forms.ChoiceField(label=_("To"))
    code = forms.ChoiceField(
        label=_("Why"), choices=[(code.value, code.label) for code in CODES], widget=forms.RadioSelect
    )
    note = forms.CharField(
        label=_("Note for them"), max_length=LONGEST_NOTE, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args: Any, teams: Choices, people: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups: list[tuple[str, Any]] = [("", _("Choose"))]
        if teams:
            groups.append((str(_("Teams")), list(teams)))
        if people:
            groups.append((str(_("People")), list(people)))
        self.fields["to"].choices = groups  # type: ignore[attr-defined]

    @property
    def target(self) -> dict[str, str]:
        """The arguments of `handing_on.hand_on`; only after `is_valid`."""
        kind, _sep, name = self.cleaned_data["to"].partition(":")
        return {"to_team": name if kind == "team" else "", "to_member": name if kind == "member" else ""}


class BulkDenyForm(forms.Form):
    """One reason for several denials."""

    code = forms.ChoiceField(
        label=_("Why they are denied"),
        choices=[(code.value, code.label) for code in DENY_CODES],
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose a reason.")},
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


class BulkApproveForm(forms.Form):
    """The number of calls, typed."""

    count = forms.IntegerField(
        label=_("How many calls are ticked"),
        min_value=0,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off", "size": 4}),
        error_messages={"required": _("Type how many."), "invalid": _("Type how many, in digits.")},
    )


def filters_of(data: QueryDict) -> str:
    """The address's filters alone, for links to other pages and for the tick."""
    kept = data.copy()
    for name in ("page", "v", "n", "m", "t"):
        kept.pop(name, None)
    return kept.urlencode()
