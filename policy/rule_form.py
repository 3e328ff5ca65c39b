"""The form of a rule: its fields, the builder's rows, its tests, and what Check and Try found. The draft saves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django import forms
from django.utils.text import slugify

from audit.errors import DomainError
from policy import builder_forms, drafts, lists
from policy.builder import BadRows, Group, Row, Rows, condition_of, default_missing, from_json, to_json
from policy.check import errors_in
from policy.duration_field import DurationField
from policy.evaluate import Rule as PureRule
from policy.fields import offer
from policy.findings import Finding
from policy.forms import MONO
from policy.models import Calendar, Rule
from policy.preview import Preview, test_from_call, try_rule
from policy.routing import routing_mistakes
from policy.ruletests import BadTest, TestResult, checked_tests
from policy.rulewords import rule_sentence
from policy.testlines import BadLine
from tenants.isolation import rows_of
from tenants.models import Team

# What a rule cannot do without, and how the page asks for it.
_LONGEST: Final = 365 * 86_400
_NEEDED: Final = (
    ("name", "a name"),
    ("scope_actions", "the actions that it is about"),
    ("condition", "when it holds"),
    ("effect", "what happens then"),
)
_LOOKS: Final = ("_check", "_try", "_keep", "_apply", "_use_rows", "_add_row", "_add_group")


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A rule with its builder and its tests; refused with line, column and a plain sentence at the field.

    Rows that were posted are compiled into the condition, unless the condition was edited by hand: then it counts and
    the rows are set aside. A button that only looks (Check and its kin) never saves.
    """

    due_in_seconds = DurationField(
        required=False,
        least=1,
        most=_LONGEST,
        label="Due in",
        help_text="The target: a call that waits longer is overdue. Empty: 15 minutes.",
    )
    expires_in_seconds = DurationField(
        required=False,
        least=1,
        most=_LONGEST,
        label="Denied if undecided after",
        help_text="Then nobody can approve it any more, and the agent is told. Empty: 2 hours.",
    )

    data: Any  # Django's own type forbids what is written below: the form works on a copy
    tenant_id: UUID
    may_see_values: bool = False
    findings: list[Finding]
    test_results: list[TestResult]
    reads_as: str = ""  # the whole rule as a sentence, once it can be said
    missing: tuple[str, ...] = ()  # what keeps it from being one
    builder: builder_forms.Builder | None = None
    test_forms: list[builder_forms.TestForm]
    preview: Preview | None = None
    notices: list[str]
    refusal: DomainError | None = None
    teams: list[str]

    class Meta:
        model = Rule
        fields = (
            *("slug", "name", "scope_actions", "condition", "effect", "reason", "note", "mode", "rollout"),
            *("tier", "team", "quorum", "due_in_seconds", "escalate_to", "expires_in_seconds", "hold_seconds"),
            *("calendar", "out_of_hours", "suggest"),
            *("on_error", "suppresses", "priority", "tests"),
        )
        widgets = {  # noqa: RUF012  # Django reads it once
            "condition": forms.Textarea(attrs={"rows": 5, **MONO}),
            "tests": forms.Textarea(attrs={"rows": 5, **MONO}),
            "reason": forms.Textarea(attrs={"rows": 2}),
            "note": forms.Textarea(attrs={"rows": 2}),
            "suggest": forms.Textarea(attrs={"rows": 2, **MONO}),
            "calendar": forms.Select(),
        }
        help_texts = {"note": "What the reviewer is asked, first on the card. It never leaves."}  # noqa: RUF012  # as above

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.findings, self.test_results, self.test_forms, self.notices = [], [], [], []
        self._rows: Rows | None = None
        self._row_mistakes: tuple[str, ...] = ()
        self._bad_line = ""
        if "mode" in self.fields and self.instance._state.adding:  # noqa: SLF001  # Django documents it
            field = self.fields["mode"]
            assert isinstance(field, forms.ChoiceField)
            field.required = False
            field.initial = ""
            choices = [("", "As fits: observe if an action in scope enforces, else enforce"), *Rule.RuleMode.choices]
            field.choices = choices
        if "condition" not in self.fields:  # somebody who may only look
            return
        self._offer_routing()
        self.fields["condition"].required = False
        self.fields["scope_actions"].widget.attrs |= {"list": "known-actions", "class": "vTextField"}
        if self.is_bound:
            self.data = self.data.copy()
            self._name_the_rule()
        self.offer = offer(self.tenant_id, self._globs())
        if self.is_bound:
            self._take_rows()
            self._take_tests()
        else:
            rule = self.instance
            rows = _proposed(self.initial) if rule._state.adding else _rows_of(rule)  # noqa: SLF001  # as above
            rule.condition = rule.condition or (condition_of(rows) if rows else "")
            self.builder = builder_forms.stored(
                rows, self.offer, effect=rule.effect or "review", condition=rule.condition
            )
            self.test_forms = builder_forms.stored_tests(rule.tests)
            if rule.condition:
                self._say({name: getattr(rule, name) for name in self.Meta.fields})

    def _offer_routing(self) -> None:
        """Teams and calendars to choose from; what is left out is as it is for a new rule."""
        for name in ("quorum", "out_of_hours", "suggest"):
            self.fields[name].required = False
        for name in ("team", "escalate_to"):
            self.fields[name].widget.attrs["list"] = "known-teams"
        self.teams = list(rows_of(Team, self.tenant_id).values_list("slug", flat=True))
        found = list(rows_of(Calendar, self.tenant_id).values_list("slug", flat=True))
        stored = self.instance.calendar
        if stored and stored not in found:
            found.append(stored)
        widget = self.fields["calendar"].widget
        assert isinstance(widget, forms.Select)
        widget.choices = [("", "None: the time runs day and night"), *((slug, slug) for slug in found)]

    @property
    def is_check_only(self) -> bool:
        """Whether a button was pressed that looks and does not save."""
        return any(name in self.data for name in _LOOKS)

    def _say(self, data: Mapping[str, Any]) -> None:
        """The rule in one sentence, or what it lacks. A field with a mistake is not missing: it says so itself."""
        typed = self.data if self.is_bound else data
        self.missing = tuple(words for name, words in _NEEDED if not typed.get(name))
        if data.get("condition") and data.get("scope_actions") and data.get("effect") and not self.missing:
            self.reads_as = rule_sentence(
                data["condition"],
                actions=data["scope_actions"],
                effect=data["effect"],
                tier=data.get("tier"),
                team=data.get("team") or "",
                due_in_seconds=data.get("due_in_seconds"),
            )

    def _globs(self) -> list[str]:
        if self.is_bound:
            text = str(self.data.get("scope_actions", ""))
        else:
            found = self.initial.get("scope_actions") or []
            text = found if isinstance(found, str) else ",".join(found)
        return [part.strip() for part in text.split(",") if part.strip()]

    def _name_the_rule(self) -> None:
        """An id from the name, where nobody wrote one."""
        field = self.fields.get("slug")
        if field is None:
            return
        field.required = False
        name = str(self.data.get("name", ""))
        if not str(self.data.get("slug", "")).strip() and name.strip():
            taken = set(rows_of(Rule, self.tenant_id).values_list("slug", flat=True))
            self.data["slug"] = _free_slug(name, taken)

    def _take_rows(self) -> None:
        """Compile the rows into the condition, or set them aside where the condition was written by hand."""
        data = self.data
        if "_apply" in data:
            data["condition"] = str(data["_apply"])
        typed = _lines_of(data.get("condition"))
        if "b-groups" not in data:
            self._rows = _rows_of(self.instance) if typed == self.instance.condition else None
            self.builder = builder_forms.stored(self._rows, self.offer, effect="review", condition=typed)
            return
        wants_rows = "_use_rows" in data
        was_by_hand = data.get("b-by_hand") == "1"
        was_edited = "_apply" in data or typed != _lines_of(data.get("b-shown"))
        by_hand = bool(typed) and (was_by_hand or was_edited) and not wants_rows
        builder = builder_forms.posted(data, self.offer)
        if builder.rows and not by_hand:
            typed = self._compiled(builder, typed)
        elif builder.rows and not was_by_hand:
            self.notices.append(
                "You changed the CEL by hand. The CEL is what counts, so the rows are set aside; "
                "“Use the rows” puts them back."
            )
        elif builder.rows:
            self.notices.append(
                "The rows are filled in and not used: the condition is written by hand, and the CEL is what counts. "
                "“Use the rows” replaces it by them."
            )
        data["condition"] = data["b-shown"] = typed
        data["b-by_hand"] = "1" if typed and (by_hand or not builder.rows) else ""
        data["b-groups"] = str(len(builder.groups))
        builder.is_open = bool(builder.rows and not by_hand) or not typed
        self.builder = builder

    def _compiled(self, builder: builder_forms.Builder, typed: str) -> str:
        rows = builder.read(self.offer, effect=str(self.data.get("effect") or "review"))
        try:
            condition = condition_of(rows)
        except BadRows as error:
            builder.show(error.mistakes)
            self._row_mistakes = tuple(mistake.sentence for mistake in error.mistakes)
            return typed
        self._rows = rows
        return condition

    def _take_tests(self) -> None:
        if "t0-call" not in self.data:
            self.test_forms = builder_forms.stored_tests(self.instance.tests)
            return
        self.test_forms = builder_forms.bound_tests(self.data)
        try:
            self.data["tests"] = builder_forms.posted_tests(self.data)
        except BadLine as error:
            self._bad_line = str(error)
            self.data["tests"] = "[]"

    def clean_quorum(self) -> int:
        """One, where nothing was said."""
        return int(self.cleaned_data["quorum"] or 1)

    def clean_out_of_hours(self) -> str:
        """Wait, where nothing was said."""
        return self.cleaned_data["out_of_hours"] or Rule.OutOfHours.WAIT

    def clean_suggest(self) -> object:
        """An object, empty where nothing was said."""
        return self.cleaned_data["suggest"] or {}

    def clean_slug(self) -> str:
        """The id, unused in this tenant."""
        slug: str = self.cleaned_data["slug"]
        if rows_of(Rule, self.tenant_id).filter(slug=slug).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("Another rule has this id.")
        return slug

    def clean(self) -> dict[str, Any]:
        """Every check of the draft; in a check, an error that stops the save."""
        data = super().clean() or {}
        if self.refusal is not None:
            self.add_error(None, self.refusal.sentence)
        self._check_condition(data)
        for sentence in drafts.scope_mistakes(data["scope_actions"]) if "scope_actions" in data else []:
            self.add_error("scope_actions", sentence)
        if "scope_actions" in data:
            self.notices += drafts.unknown_actions(data["scope_actions"], self.offer.actions)
        if "effect" in data:
            for sentence in drafts.suppression_mistakes(data["effect"], data.get("suppresses") or []):
                self.add_error("suppresses", sentence)
        self._check_routing(data)
        if not data.get("mode"):
            data["mode"] = drafts.starting_mode(self.tenant_id, data.get("scope_actions") or [])
        self._check_tests(data)
        self._say(data)
        if self.is_check_only:
            self._look(data)
            self.add_error(None, forms.ValidationError("Checked, not saved.", code="checked"))
        self.instance.builder = to_json(self._rows) if self._rows else None
        return data

    def _check_condition(self, data: dict[str, Any]) -> None:
        if self._row_mistakes:
            self.add_error("condition", f"The rows are not complete: {' '.join(self._row_mistakes)}")
            return
        # White space must not hide a position.
        condition = data.get("condition")
        if not condition:
            if "condition" not in self.errors:
                self.add_error("condition", self.fields["condition"].error_messages["required"])
            return
        self.findings = drafts.rule_findings(
            self.tenant_id,
            condition=condition,
            effect=data.get("effect") or "review",
            globs=data.get("scope_actions") or [],
        )
        for finding in errors_in(self.findings):
            self.add_error("condition", str(finding))

    def _check_routing(self, data: dict[str, Any]) -> None:
        names = ("team", "quorum", "escalate_to", "calendar", "out_of_hours", "suggest")
        if not all(name in data for name in names):
            return
        given: dict[str, Any] = {name: data[name] or None for name in ("team", "escalate_to", "calendar")}
        given |= {name: data[name] for name in ("quorum", "out_of_hours", "suggest")}
        rule = PureRule(id="", name="", actions=(), when="", effect="review", **given)
        for name, sentence in routing_mistakes(rule, lists.calendars_of(self.tenant_id)):
            self.add_error(name, sentence)
        self.notices += drafts.unknown_teams(self.tenant_id, data["team"], data["escalate_to"])

    def _check_tests(self, data: dict[str, Any]) -> None:
        if self._bad_line:
            self.add_error("tests", self._bad_line)
            return
        try:
            data["tests"] = checked_tests(data.get("tests") or [])
        except BadTest as error:
            self.add_error("tests", str(error))
            return
        rule = self._tried(data)
        if rule is None:
            return
        if "_check" in self.data and not data["tests"] and self._rows and "t0-call" in self.data:
            self._suggest_tests(data, rule)
            rule = replace(rule, tests=tuple(data["tests"]))
        self.test_results = drafts.try_tests(rule, tenant_id=self.tenant_id)

    def _tried(self, data: dict[str, Any]) -> PureRule | None:
        """The rule as far as it can be tried; None while its condition has mistakes."""
        if not data.get("condition") or not data.get("scope_actions"):
            return None
        return PureRule(
            id=data.get("slug") or self.instance.slug or "draft",
            name=data.get("name") or "draft",
            actions=tuple(data["scope_actions"]),
            when=data["condition"],
            effect=data.get("effect") or "review",
            tests=tuple(data.get("tests") or ()),
        )

    def _suggest_tests(self, data: dict[str, Any], rule: PureRule) -> None:
        """Two tests from the rows, those that come out as meant."""
        assert self._rows is not None
        suggested = drafts.example_tests(self.tenant_id, rule, self._rows)
        if suggested:
            data["tests"] = suggested
            self.test_forms = builder_forms.stored_tests(suggested)
            self.notices.append("Example tests were made from the rows. Change them to what you know must happen.")

    def _look(self, data: dict[str, Any]) -> None:
        """The last real calls, where they were asked for; one of them as a test."""
        rule = self._tried(data)
        if rule is None or not ({"_try", "_keep"} & set(self.data)):
            return
        if "_keep" in self.data and self.may_see_values and "tests" not in self.errors:
            taken = [str(test["name"]) for test in rule.tests]
            kept = test_from_call(self.tenant_id, rule, uid=_uuid_of(self.data["_keep"]), taken=taken)
            if kept is None:
                self.notices.append("This call is gone, or its values were erased.")
            else:
                data["tests"] = [*rule.tests, kept]
                self.test_forms = builder_forms.stored_tests(data["tests"])
                self.test_results = drafts.try_tests(
                    replace(rule, tests=tuple(data["tests"])), tenant_id=self.tenant_id
                )
                self.notices.append("The call is among the tests now. Save the rule to keep it.")
        self.preview = try_rule(self.tenant_id, rule)

    @property
    def warnings(self) -> list[Finding]:
        """What informs and does not refuse."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    @property
    def failed_tests(self) -> list[TestResult]:
        """The rule's own tests that did not come as expected."""
        return [result for result in self.test_results if not result.passed]


def _lines_of(text: object) -> str:
    """What was typed, with the line ends of the database."""
    return str(text or "").replace("\r\n", "\n").strip()


def _rows_of(rule: Rule) -> Rows | None:
    """The stored rows, while the condition is what they give: an import may have changed it since."""
    rows = from_json(rule.builder)
    try:
        return rows if rows and condition_of(rows) == _lines_of(rule.condition) else None
    except BadRows:
        return None


def _proposed(initial: Mapping[str, Any]) -> Rows | None:
    """The row that a link proposes for a new rule, `?field=params.amount_cents&at_least=470000`; None where it has none."""
    row = Row(str(initial.get("field") or ""), "at_least", str(initial.get("at_least") or ""))
    rows = Rows((Group((row,)),), missing=default_missing("review"))
    try:
        condition_of(rows)
    except BadRows:
        return None
    return rows


def _free_slug(name: str, taken: set[str]) -> str:
    base = slugify(name)[:76] or "rule"
    return next(
        slug for slug in (base, *(f"{base}-{number}" for number in range(2, len(taken) + 3))) if slug not in taken
    )


def _uuid_of(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        return UUID(int=0)
