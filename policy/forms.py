"""The forms of Django admin for actions, publishing and modes. They check; the write functions save."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django import forms

from audit.errors import DomainError
from policy.acting import LEAST_REASON, checked_reason, require
from policy.defaults_in_words import MAPPED, UNMAPPED
from policy.metaschema import BadSchema, schema_in
from policy.models import Action, Mode, PolicyState
from tenants.isolation import rows_of
from tenants.models import Member

MONO = {"spellcheck": "false", "autocapitalize": "off", "class": "vLargeTextField mono"}
TIER_FLOORS = (
    (0, "None: the rules say"),
    (1, "1 or more: one reviewer, one click"),
    (2, "2 or more: a reviewer with a reason"),
    (3, "3 or more: types the decisive value"),
    (4, "4: two people"),
)
REASON_HELP = f"At least {LEAST_REASON} characters. It goes on the record."


class SchemaField(forms.JSONField):
    """A JSON Schema in a roomy box; what is wrong is said with its line, or its place in the schema."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 18, **MONO}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Indented, so that lines can be counted; what was typed stays as it is."""
        return value if value is None or isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed."""
        return initial if self.disabled else data

    def to_python(self, value: Any) -> Any:
        """The schema, or None where nothing was typed."""
        if self.disabled:
            return value
        if not value or not value.strip():
            return None
        try:
            return schema_in(value)
        except BadSchema as error:
            raise forms.ValidationError(str(error)) from error


class ActionForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An action; in an enforcing tenant a new one also says whether it enforces at once."""

    tenant_id: UUID
    acting: Member
    refusal: DomainError | None = None

    tier_floor = forms.TypedChoiceField(
        coerce=int,
        empty_value=0,  # type: ignore[arg-type]  # the stubs know text only
        required=False,
        choices=TIER_FLOORS,
        help_text="The least care that its reviews get, whichever rule holds them.",
    )
    mode = forms.ChoiceField(
        required=False,
        choices=Mode.choices,
        initial=Mode.OBSERVE,
        help_text="This tenant enforces: what the new action does until you change it.",
    )
    mode_reason = forms.CharField(
        required=False,
        max_length=500,
        label="Reason for observing",
        help_text=f"To observe is a flip. {REASON_HELP}",
    )

    class Meta:
        model = Action
        fields = ("action_id", "title", "schema", "tier_floor", "undo_text")
        field_classes = {"schema": SchemaField}  # noqa: RUF012  # Django reads it once
        labels = {"action_id": "Id"}  # noqa: RUF012
        help_texts = {  # noqa: RUF012
            "undo_text": "Cards show this sentence, unless their card template has one of its own. "
            "If it cannot be undone, say so: empty means that nobody knows.",
        }

    def clean_action_id(self) -> str:
        """The action's id, mapped once."""
        action_id: str = self.cleaned_data["action_id"]
        if rows_of(Action, self.tenant_id).filter(action_id=action_id).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("This action is mapped already.")
        return action_id

    def clean(self) -> dict[str, Any]:
        """To map an action as observing where the tenant enforces is a flip: its permission and a reason."""
        data = super().clean() or {}
        if self.refusal is not None:
            field = str(self.refusal.details.get("field", ""))
            self.add_error(field if field in self.fields else None, self.refusal.sentence)
        is_flip = (
            self.instance._state.adding  # noqa: SLF001  # Django documents it
            and rows_of(PolicyState, self.tenant_id).get().default_mode == Mode.ENFORCE
            and data.get("mode") != Mode.ENFORCE
        )
        if is_flip:
            try:
                require(self.acting, "policy.change_mode", tenant_id=self.tenant_id)
                checked_reason(data.get("mode_reason", ""))
            except DomainError as error:
                self.add_error("mode_reason", error.sentence)
        return data


class DefaultsForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What a call gets that no rule decides, in the words of the page that leads here."""

    class Meta:
        model = PolicyState
        fields = ("unmapped", "mapped_default", "on_engine_failure")
        labels = {"unmapped": UNMAPPED, "mapped_default": MAPPED}  # noqa: RUF012  # Django reads it once
        help_texts = {  # noqa: RUF012
            "unmapped": "What their calls get where the tenant enforces. Acts once published.",
            "mapped_default": "Acts once published.",
        }


class ReasonForm(forms.Form):
    """A reason on the record."""

    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), max_length=1000, help_text=REASON_HELP)

    def clean_reason(self) -> str:
        """Long enough to say something."""
        try:
            return checked_reason(self.cleaned_data["reason"])
        except DomainError as error:
            raise forms.ValidationError(error.sentence) from error


class PublishForm(ReasonForm):
    """Publish exactly the draft that was shown."""

    accept_untested = forms.BooleanField(
        required=False, label="Publish deny rules without tests", help_text="Which ones stands in the revision's notes."
    )
    sha256 = forms.CharField(widget=forms.HiddenInput, max_length=64)
