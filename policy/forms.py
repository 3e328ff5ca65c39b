"""The forms of Django admin for rules, actions, publishing and modes. They check; the write functions save."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms

from audit.errors import DomainError
from policy import drafts
from policy.acting import LEAST_REASON, checked_reason, require
from policy.check import errors_in
from policy.evaluate import Rule as PureRule
from policy.explain import reads_as
from policy.findings import Finding
from policy.models import Action, Mode, PolicyState, Rule
from policy.ruletests import BadTest, TestResult, checked_tests
from tenants.isolation import rows_of
from tenants.models import Member

_MONO = {"spellcheck": "false", "autocapitalize": "off", "class": "vLargeTextField mono"}
REASON_HELP = f"At least {LEAST_REASON} characters. It goes on the record."


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A rule; refused with line, column and a plain sentence at the field. With Check nothing is saved."""

    tenant_id: UUID
    findings: list[Finding]
    test_results: list[TestResult]
    reads_as: str = ""

    class Meta:
        model = Rule
        fields = (
            *("slug", "name", "scope_actions", "condition", "effect", "reason", "note", "mode", "rollout"),
            *("tier", "team", "due_in_seconds", "expires_in_seconds", "hold_seconds"),
            *("on_error", "suppresses", "priority", "tests"),
        )
        widgets = {  # noqa: RUF012  # Django reads it once
            "condition": forms.Textarea(attrs={"rows": 5, **_MONO}),
            "tests": forms.Textarea(attrs={"rows": 5, **_MONO}),
            "reason": forms.Textarea(attrs={"rows": 2}),
            "note": forms.Textarea(attrs={"rows": 2}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.findings, self.test_results = [], []
        if "mode" in self.fields and self.instance._state.adding:  # noqa: SLF001  # Django documents it
            field = self.fields["mode"]
            assert isinstance(field, forms.ChoiceField)
            field.required = False
            field.initial = ""
            choices = [("", "As fits: observe if an action in scope enforces, else enforce"), *Rule.RuleMode.choices]
            field.choices = choices

    @property
    def is_check_only(self) -> bool:
        """Whether the Check button was pressed: look, do not save."""
        return "_check" in self.data

    def clean_slug(self) -> str:
        """The id, unused in this tenant."""
        slug: str = self.cleaned_data["slug"]
        if rows_of(Rule, self.tenant_id).filter(slug=slug).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("Another rule has this id.")
        return slug

    def clean(self) -> dict[str, Any]:
        """Every check of the draft; in a check, an error that stops the save."""
        data = super().clean() or {}
        self._check_condition(data)
        for sentence in drafts.scope_mistakes(data["scope_actions"]) if "scope_actions" in data else []:
            self.add_error("scope_actions", sentence)
        if "effect" in data:
            for sentence in drafts.suppression_mistakes(data["effect"], data.get("suppresses") or []):
                self.add_error("suppresses", sentence)
        if not data.get("mode"):
            data["mode"] = drafts.starting_mode(self.tenant_id, data.get("scope_actions") or [])
        self._check_tests(data)
        if self.is_check_only:
            self.add_error(None, forms.ValidationError("Checked, not saved.", code="checked"))
        return data

    def _check_condition(self, data: dict[str, Any]) -> None:
        # An empty condition has its message already; white space must not hide a position.
        condition = data.get("condition")
        if not condition:
            return
        self.findings = drafts.rule_findings(
            self.tenant_id,
            condition=condition,
            effect=data.get("effect") or "review",
            globs=data.get("scope_actions") or [],
        )
        mistakes = errors_in(self.findings)
        for finding in mistakes:
            self.add_error("condition", str(finding))
        if not mistakes:
            self.reads_as = reads_as(condition)

    def _check_tests(self, data: dict[str, Any]) -> None:
        try:
            data["tests"] = checked_tests(data.get("tests") or [])
        except BadTest as error:
            self.add_error("tests", str(error))
            return
        if self.reads_as and data.get("scope_actions"):
            self.test_results = drafts.try_tests(
                PureRule(
                    id="draft",
                    name="draft",
                    actions=tuple(data["scope_actions"]),
                    when=data["condition"],
                    effect="review",
                    tests=tuple(data["tests"]),
                )
            )

    @property
    def warnings(self) -> list[Finding]:
        """What informs and does not refuse."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    @property
    def failed_tests(self) -> list[TestResult]:
        """The rule's own tests that did not come as expected."""
        return [result for result in self.test_results if not result.passed]


class ActionForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An action; in an enforcing tenant a new one also says whether it enforces at once."""

    tenant_id: UUID
    acting: Member

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
        widgets = {"schema": forms.Textarea(attrs={"rows": 8, **_MONO})}  # noqa: RUF012

    def clean_action_id(self) -> str:
        """The action's id, mapped once."""
        action_id: str = self.cleaned_data["action_id"]
        if rows_of(Action, self.tenant_id).filter(action_id=action_id).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("This action is mapped already.")
        return action_id

    def clean_schema(self) -> object:
        """A JSON object, or nothing."""
        schema: object = self.cleaned_data["schema"]
        if schema is not None and not isinstance(schema, dict):
            raise forms.ValidationError("Write a JSON object.")
        return schema

    def clean(self) -> dict[str, Any]:
        """To map an action as observing where the tenant enforces is a flip: its permission and a reason."""
        data = super().clean() or {}
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


class ModeForm(ReasonForm):
    """A flip; to enforce, the name is typed too."""

    mode = forms.ChoiceField(choices=())
    percent = forms.IntegerField(
        min_value=0, max_value=100, initial=100, help_text="Of subjects, sticky; counts where it enforces."
    )
    name = forms.CharField(required=False)

    field_order = ("mode", "percent", "name", "reason")

    def __init__(self, *args: Any, typed_name: str, can_inherit: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.typed_name = typed_name
        inherit = [("inherit", "As the tenant")] if can_inherit else []
        self.fields["mode"].choices = [*inherit, *Mode.choices]  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["name"].label = f"To enforce, type {typed_name}"

    def clean(self) -> dict[str, Any]:
        """The name, where the flip is to enforce."""
        data = super().clean() or {}
        if data.get("mode") == Mode.ENFORCE and data.get("name", "").strip() != self.typed_name:
            self.add_error("name", f"Type {self.typed_name} to enforce.")
        return data
