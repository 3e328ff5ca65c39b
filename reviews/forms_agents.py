"""The form that pauses an agent. It checks what was typed; `agents.pause_agent` decides."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from reviews.agents import MOST_NOTE, PauseCode


class PauseForm(forms.Form):
    """Why an agent is paused. Nothing is preselected."""

    code = forms.ChoiceField(
        label=_("Why"),
        choices=PauseCode.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose a reason.")},
    )
    note = forms.CharField(
        label=_("Note for the record"),
        required=False,
        max_length=MOST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Leads read it when they decide whether to resume. Required for “Another reason”."),
    )
