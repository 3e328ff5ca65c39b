"""Actions, draft rules, immutable revisions, and the switches that say who is enforced."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from audit.ids import uuid7
from tenants.models import Member, Tenant

_PERCENT = [MinValueValidator(0), MaxValueValidator(100)]


class Mode(models.TextChoices):
    """What the server does with an effect."""

    OBSERVE = "observe", "Observe: record, block nothing"
    ENFORCE = "enforce", "Enforce"


class Effect(models.TextChoices):
    """What policy says about a call."""

    ALLOW = "allow", "Allow"
    REVIEW = "review", "Review"
    DENY = "deny", "Deny"


class Action(models.Model):
    """A mapped action: what agents may ask for, and what is known about it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", editable=False)
    action_id = models.CharField(
        "action",
        max_length=200,
        validators=[RegexValidator(r"\A[A-Za-z0-9][A-Za-z0-9._:/-]*\Z", "Letters, digits and . _ : / - only.")],
        help_text="As the agent names it, such as billing.refund.",
    )
    title = models.CharField(max_length=120, help_text="What it does, in a few words.")
    schema = models.JSONField(
        null=True, blank=True, help_text="JSON Schema of params. Checks and cards use it; empty if not known."
    )
    tier_floor = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(4)], help_text="The least tier of its reviews, 0 to 4."
    )
    undo_text = models.CharField(
        "how to undo", max_length=200, blank=True, help_text="What a person does to reverse it; empty if it cannot be."
    )
    # Written by modes.py only: a flip has a reason and an entry.
    mode_override = models.CharField(max_length=8, choices=Mode.choices, blank=True, editable=False)
    percent = models.PositiveSmallIntegerField(default=100, validators=_PERCENT, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["action_id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "action_id"], name="action_is_mapped_once_in_its_tenant"),
            models.CheckConstraint(condition=models.Q(tier_floor__lte=4), name="action_tier_is_at_most_4"),
            models.CheckConstraint(condition=models.Q(percent__lte=100), name="action_percent_is_at_most_100"),
        ]

    def __str__(self) -> str:
        return self.action_id


class SeenAction(models.Model):
    """An action that was called and is not mapped."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    action_id = models.CharField("action", max_length=200)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "unmapped action"
        ordering: ClassVar[list[str]] = ["action_id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "action_id"], name="unmapped_action_is_reported_once"),
        ]

    def __str__(self) -> str:
        return self.action_id


class Rule(models.Model):
    """A rule in the draft; it acts once a revision that holds it is published."""

    class OnError(models.TextChoices):
        REVIEW = "review", "Hold for review"
        DENY = "deny", "Deny"

    class RuleMode(models.TextChoices):
        OFF = "off", "Off"
        OBSERVE = "observe", "Observe: record what it would do"
        ENFORCE = "enforce", "Enforce, where the call's mode enforces"

    class OutOfHours(models.TextChoices):
        WAIT = "wait", "Wait: the time runs in working hours"
        PAGE = "page", "Page: the time runs on"
        DENY = "deny", "Deny"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", editable=False)
    slug = models.SlugField("id", max_length=80, help_text="Stable: entries and other rules cite it.")
    name = models.CharField(max_length=120)
    scope_actions = ArrayField(
        models.CharField(max_length=200),
        verbose_name="actions",
        default=list,
        help_text="Globs with * and ?, separated by commas, such as billing.refund*. One * is every action.",
    )
    condition = models.TextField("when", help_text="One CEL expression that is true or false.")
    effect = models.CharField(max_length=6, choices=Effect.choices)
    suppresses = ArrayField(
        models.SlugField(max_length=80),
        default=list,
        blank=True,
        help_text="Allow rules only: ids of review rules that a match switches off.",
    )
    on_error = models.CharField(
        max_length=6,
        choices=OnError.choices,
        default=OnError.REVIEW,
        help_text="When it cannot be evaluated. An allow rule in error never allows.",
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Told to the agent: plain text, no placeholders.")
    note = models.CharField(max_length=500, blank=True, help_text="For the reviewer; never leaves.")
    tier = models.PositiveSmallIntegerField(
        default=2,
        validators=[MinValueValidator(1), MaxValueValidator(4)],
        help_text="1 reversible and internal, 2 leaves or moves money, 3 hard to reverse, 4 two people.",
    )
    team = models.SlugField(max_length=60, blank=True)
    due_in_seconds = models.PositiveIntegerField("due in (seconds)", null=True, blank=True)
    expires_in_seconds = models.PositiveIntegerField(
        "expires in (seconds)", null=True, blank=True, help_text="Undecided by then, the call is denied."
    )
    hold_seconds = models.PositiveSmallIntegerField(
        "hold (seconds)",
        default=10,
        validators=[MaxValueValidator(60)],
        help_text="How long a verdict can be undone before the agent goes on, 0 to 60.",
    )
    quorum = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(5)],
        help_text="How many different people must approve, 1 to 5; at tier 4 never fewer than 2.",
    )
    escalate_to = models.SlugField(
        "escalate to", max_length=60, blank=True, help_text="The team that gets it when it is overdue."
    )
    calendar = models.SlugField(
        max_length=80, blank=True, help_text="The calendar of working hours in which the time to decide runs."
    )
    out_of_hours = models.CharField(
        max_length=4,
        choices=OutOfHours.choices,
        default=OutOfHours.WAIT,
        help_text="What happens to a call that comes while the calendar is closed.",
    )
    suggest = models.JSONField(
        default=dict,
        blank=True,
        help_text='What the card offers instead, such as {"params.amount_cents": 500000}.',
    )
    mode = models.CharField(max_length=8, choices=RuleMode.choices, default=RuleMode.ENFORCE)
    rollout = models.PositiveSmallIntegerField(
        default=100, validators=_PERCENT, help_text="Percent of subjects, sticky; outside it the rule observes."
    )
    priority = models.IntegerField(default=100, help_text="Which of equally strong rules is named first: the higher.")
    tests = models.JSONField(
        default=list,
        blank=True,
        help_text='[{"name": "large", "context": {"params": {"amount": 6000}}, "expect": "match"}]; '
        "expect is match, no match or error. Run at every publish.",
    )
    # What the builder shows; the condition is what counts. None: written by hand, or edited since.
    builder = models.JSONField(null=True, blank=True, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["slug"]
        permissions: ClassVar = [
            ("publish_revision", "May publish the draft and roll back"),
            ("change_mode", "May switch between observe and enforce"),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="rule_id_is_unique_in_its_tenant"),
            models.CheckConstraint(condition=models.Q(hold_seconds__lte=60), name="rule_holds_at_most_a_minute"),
            models.CheckConstraint(condition=models.Q(tier__gte=1, tier__lte=4), name="rule_tier_is_1_to_4"),
            models.CheckConstraint(condition=models.Q(rollout__lte=100), name="rule_rollout_is_at_most_100"),
        ]

    def __str__(self) -> str:
        return self.name


class Revision(models.Model):
    """A published rule set. The database refuses to change or delete one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", editable=False)
    number = models.PositiveIntegerField()
    snapshot = models.TextField(help_text="Canonical JSON (RFC 8785): what the hash covers.")
    sha256 = models.CharField("SHA-256", max_length=64)
    reason = models.TextField()
    notes = models.TextField(blank=True, help_text="What was waived, such as missing tests.")
    published_at = models.DateTimeField(default=timezone.now)
    published_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    published_by_name = models.CharField("published by", max_length=120)

    class Meta:
        ordering: ClassVar[list[str]] = ["-number"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "number"], name="revision_number_is_used_once"),
        ]

    def __str__(self) -> str:
        return f"Revision {self.number}"


class PolicyState(models.Model):
    """What is live for a tenant, and who is enforced. One row; `version` changes with every change."""

    class Unmapped(models.TextChoices):
        OBSERVE = "observe", "Observe"
        REVIEW = "review", "Review"
        DENY = "deny", "Deny"

    class OnFailure(models.TextChoices):
        DENY = "deny", "Deny"
        REVIEW = "review", "Review"

    tenant = models.OneToOneField(Tenant, primary_key=True, on_delete=models.PROTECT, related_name="+", editable=False)
    live = models.ForeignKey(Revision, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    default_mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.OBSERVE, editable=False)
    percent = models.PositiveSmallIntegerField(default=100, validators=_PERCENT, editable=False)
    unmapped = models.CharField(
        "unmapped actions",
        max_length=8,
        choices=Unmapped.choices,
        default=Unmapped.REVIEW,
        help_text="What an action nobody mapped gets where the tenant enforces. Acts once published.",
    )
    mapped_default = models.CharField(
        "mapped actions",
        max_length=6,
        choices=Effect.choices,
        default=Effect.ALLOW,
        help_text="What a mapped action gets when no rule matches. Acts once published.",
    )
    on_engine_failure = models.CharField(
        max_length=6,
        choices=OnFailure.choices,
        default=OnFailure.DENY,
        help_text="When the live revision cannot be loaded. Acts at once.",
    )
    # From a sequence, not counted up: a rolled-back change never shares its number with another.
    version = models.BigIntegerField(editable=False)

    class Meta:
        verbose_name = "mode and defaults"
        verbose_name_plural = "mode and defaults"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=models.Q(percent__lte=100), name="policy_percent_is_at_most_100"),
        ]

    def __str__(self) -> str:
        return f"{self.get_default_mode_display()}"


from policy.models_more import (  # noqa: E402  # Django finds models here
    Backtest,
    Calendar,
    CallLabel,
    Counter,
    CounterReservation,
    CounterValue,
    Freeze,
    JudgeSetting,
    ListEntry,
    NamedList,
    PackAdoption,
    Shadow,
    ShadowDifference,
    ToolDefinition,
)

__all__ = [
    "Action",
    "Backtest",
    "Calendar",
    "CallLabel",
    "Counter",
    "CounterReservation",
    "CounterValue",
    "Effect",
    "Freeze",
    "JudgeSetting",
    "ListEntry",
    "Mode",
    "NamedList",
    "PackAdoption",
    "PolicyState",
    "Revision",
    "Rule",
    "SeenAction",
    "Shadow",
    "ShadowDifference",
    "ToolDefinition",
]
