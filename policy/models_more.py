"""Lists, calendars, counters, freezes, backtests, shadow, labels, packs and judges: what a policy leans on."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from audit.ids import uuid7
from tenants.models import Agent, Member, Tenant


class TenantRow(models.Model):
    """A row of one tenant; row-level security covers each table (migrations 0004 and 0007)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", editable=False)

    class Meta:
        abstract = True


class NamedList(TenantRow):
    """A list that rules name: `in_list(x, 'company_domains')`. Acts once published."""

    class Kind(models.TextChoices):
        EXACT = "exact", "Exact values"
        DOMAIN = "domain", "Domains, with their subdomains"
        GLOB = "glob", "Patterns with * and ?"
        CIDR = "cidr", "Network addresses"

    slug = models.SlugField("name", max_length=60, help_text="Rules name it: letters, digits, - and _.")
    kind = models.CharField(max_length=6, choices=Kind.choices, default=Kind.EXACT)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "list"
        ordering: ClassVar[list[str]] = ["slug"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="list_name_is_unique_in_its_tenant"),
        ]

    def __str__(self) -> str:
        return self.slug


class ListEntry(TenantRow):
    """One value of a list."""

    list = models.ForeignKey(NamedList, on_delete=models.CASCADE, related_name="entries")
    value = models.CharField(max_length=255)
    note = models.CharField(max_length=200, blank=True)
    added_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    added_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "list entries"
        ordering: ClassVar[list[str]] = ["value"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["list", "value"], name="list_holds_a_value_once"),
        ]

    def __str__(self) -> str:
        return self.value


class Calendar(TenantRow):
    """Hours that rules name: `within(now, 'office_hours')`. Acts once published."""

    slug = models.SlugField("name", max_length=60)
    time_zone = models.CharField(max_length=60, default="UTC", help_text="Such as Europe/Paris.")
    hours = models.JSONField(
        default=dict, help_text='{"mon": [["09:00", "17:00"]], "tue": …}; a missing day is closed.'
    )
    holidays = models.JSONField(default=list, blank=True, help_text='["2026-12-25", …]: closed.')

    class Meta:
        ordering: ClassVar[list[str]] = ["slug"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="calendar_name_is_unique_in_its_tenant"),
        ]

    def __str__(self) -> str:
        return self.slug


class Counter(TenantRow):
    """Calls or sums over a window: `stats.refunds_1h`. Acts once published."""

    class Kind(models.TextChoices):
        COUNT = "count", "Calls"
        SUM = "sum", "Sum of an amount"

    slug = models.CharField(
        "name", max_length=60, help_text="Rules read refunds_1h as stats.refunds_1h: letters, digits and _."
    )
    scope_actions = ArrayField(models.CharField(max_length=200), verbose_name="actions", default=list)
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.COUNT)
    of = models.CharField(
        max_length=500, blank=True, help_text="For a sum: CEL, such as minor(params.amount, params.currency)."
    )
    key = ArrayField(
        models.CharField(max_length=120),
        verbose_name="per",
        default=list,
        help_text="Paths such as agent.id, user.user_id, action_id, params.currency.",
    )
    window_seconds = models.PositiveIntegerField(
        "window (seconds)", validators=[MinValueValidator(60), MaxValueValidator(31 * 86400)]
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["slug"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="counter_name_is_unique_in_its_tenant"),
        ]

    def __str__(self) -> str:
        return self.slug


class CounterValue(models.Model):
    """Twelfths of the window and the current one; written by one statement in the hot path (counters.py)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    counter = models.CharField(max_length=60)
    key = models.CharField(max_length=64)
    slots = ArrayField(models.BigIntegerField(), size=13)
    head = models.BigIntegerField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "counter", "key"], name="counter_has_one_row_per_key"),
        ]

    def __str__(self) -> str:
        return f"{self.counter} {self.key}"


class CounterReservation(TenantRow):
    """What a held call added to a counter, and to which twelfth: given back if the call is denied or expires."""

    call_id = models.UUIDField()
    counter = models.CharField(max_length=60)
    key = models.CharField(max_length=64)
    head = models.BigIntegerField()
    amount = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["call_id", "counter"], name="call_reserves_a_counter_once"),
        ]

    def __str__(self) -> str:
        return f"{self.counter} {self.amount}"


class Freeze(TenantRow):
    """Denies every call of a tenant, an agent or an action glob, in any mode, until it is lifted."""

    class Scope(models.TextChoices):
        TENANT = "tenant", "Everything"
        AGENT = "agent", "One agent"
        ACTION = "action", "Actions"

    scope = models.CharField(max_length=6, choices=Scope.choices)
    target = models.CharField(max_length=200, blank=True, help_text="The agent's id, or a glob of actions.")
    reason = models.CharField(max_length=300)
    frozen_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    frozen_at = models.DateTimeField(default=timezone.now)
    lifted_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-frozen_at"]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} {self.target}".strip()


class Backtest(TenantRow):
    """A draft replayed over recorded calls: a job row with a cursor, worked off in slices."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    draft_snapshot = models.TextField()
    draft_sha256 = models.CharField(max_length=64)
    live_number = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    since = models.DateTimeField()
    until = models.DateTimeField()
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    cursor = models.BigIntegerField(default=0)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=300, blank=True)
    started_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at"]

    def __str__(self) -> str:
        return f"Backtest of {self.created_at:%Y-%m-%d %H:%M}"


class Shadow(models.Model):
    """A draft evaluated beside what is live, for a share of calls. One row per tenant."""

    tenant = models.OneToOneField(Tenant, primary_key=True, on_delete=models.PROTECT, related_name="+")
    snapshot = models.TextField()
    sha256 = models.CharField(max_length=64)
    percent = models.PositiveSmallIntegerField(default=100, validators=[MaxValueValidator(100)])
    started_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=timezone.now)
    compared = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"Shadow of {self.sha256[:8]}"


class ShadowDifference(TenantRow):
    """A call that the shadowed draft would have decided otherwise."""

    sha256 = models.CharField(max_length=64)
    entry_uid = models.CharField(max_length=36)
    action_id = models.CharField(max_length=200)
    live_effect = models.CharField(max_length=6)
    draft_effect = models.CharField(max_length=6)
    rules = ArrayField(models.CharField(max_length=80), default=list)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.action_id}: {self.live_effect} → {self.draft_effect}"


class CallLabel(TenantRow):
    """A person's word on whether it is right to stop a call: what readiness calls labelled precision."""

    entry_uid = models.CharField(max_length=36)
    action_id = models.CharField(max_length=200)
    rule_id = models.CharField(max_length=80, blank=True)
    is_right = models.BooleanField()
    note = models.CharField(max_length=300, blank=True)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "entry_uid"], name="call_is_labelled_once"),
        ]

    def __str__(self) -> str:
        return f"{self.action_id}: {'right' if self.is_right else 'wrong'}"


class PackAdoption(TenantRow):
    """A risk pack that was copied into the draft, on record."""

    pack_id = models.SlugField(max_length=60)
    version = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)
    sign_off = models.CharField(max_length=300, blank=True, help_text="Who in the firm answers for the classification.")
    adopted_by = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    adopted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "risk pack"
        ordering: ClassVar[list[str]] = ["-adopted_at"]

    def __str__(self) -> str:
        return f"{self.pack_id} {self.version}"


class JudgeSetting(TenantRow):
    """A judge that is on for an action; there is none by default."""

    judge = models.SlugField(max_length=60)
    action_id = models.CharField("action", max_length=200)
    fields = ArrayField(
        models.CharField(max_length=120), default=list, help_text="Params that it may see; all others are left out."
    )
    timeout_ms = models.PositiveSmallIntegerField(
        default=300, validators=[MinValueValidator(10), MaxValueValidator(2000)]
    )

    class Meta:
        verbose_name = "judge"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "judge", "action_id"], name="judge_is_set_once_per_action"),
            models.CheckConstraint(condition=Q(timeout_ms__lte=2000), name="judge_waits_at_most_two_seconds"),
        ]

    def __str__(self) -> str:
        return f"{self.judge} on {self.action_id}"


class ToolDefinition(TenantRow):
    """A tool as its provider describes it; the accepted one labels cards, an offered one waits for an admin."""

    class State(models.TextChoices):
        OFFERED = "offered", "Offered"
        ACCEPTED = "accepted", "Accepted"
        REPLACED = "replaced", "Replaced"

    agent = models.ForeignKey(Agent, null=True, on_delete=models.PROTECT, related_name="+")
    action_id = models.CharField("action", max_length=200)
    definition_text = models.TextField(help_text="Canonical JSON (RFC 8785): name, title, description, schema, hints.")
    sha256 = models.CharField("SHA-256", max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OFFERED)
    # What the provider offers now: a drift shows as the accepted one not being current.
    is_current = models.BooleanField(default=True)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    decided_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["action_id", "-first_seen_at"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "action_id", "sha256"], name="tool_definition_is_kept_once"),
            models.UniqueConstraint(
                fields=["tenant", "action_id"],
                condition=models.Q(state="accepted"),
                name="action_has_one_accepted_tool",
            ),
            models.UniqueConstraint(
                fields=["tenant", "action_id"], condition=models.Q(is_current=True), name="action_has_one_current_tool"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action_id} {self.sha256[:12]}"
