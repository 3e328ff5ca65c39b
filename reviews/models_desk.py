"""What people at the desk keep beside reviews: drafts, questions, snoozes, saved views, floods, settings."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from audit.ids import uuid7, wire_id
from reviews.models import Review, Verdict
from tenants.models import Agent, Member, Tenant


class DeskRow(models.Model):
    """A row of one tenant, with an id that sorts by time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", editable=False)

    class Meta:
        abstract = True


class DeskSettings(models.Model):
    """How a tenant's desk works; a tenant without a row has the defaults."""

    tenant = models.OneToOneField(Tenant, primary_key=True, on_delete=models.PROTECT, related_name="+", editable=False)
    reviews_per_hour = models.PositiveIntegerField(
        default=30, help_text="Reviews an agent may open in an hour; what is beyond is denied and shown as a flood."
    )
    reserved_percent = models.PositiveSmallIntegerField(
        default=20,
        validators=[MaxValueValidator(90)],
        help_text="Share of that number kept for tiers 3 and 4, in percent.",
    )
    stepup_minutes = models.PositiveSmallIntegerField(
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(720)],
        help_text="How old a sign-in may be to approve at tiers 3 and 4.",
    )
    own_domains = ArrayField(
        models.CharField(max_length=253),
        default=list,
        blank=True,
        help_text="Domains of your organisation, separated by commas: addresses elsewhere are marked as external.",
    )
    link_hosts = ArrayField(
        models.CharField(max_length=253),
        default=list,
        blank=True,
        help_text="Hosts that links of card templates may point to, separated by commas.",
    )

    class Meta:
        verbose_name = "desk settings"
        verbose_name_plural = "desk settings"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(reserved_percent__lte=90), name="desk_reserves_at_most_90_percent"),
        ]

    def __str__(self) -> str:
        return "Desk settings"


class Draft(DeskRow):
    """What somebody has typed into a panel and not sent; theirs alone."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="drafts")
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    panel = models.CharField(max_length=10)
    fields = models.JSONField(default=dict)
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["review", "member", "panel"], name="member_has_one_draft_per_panel"),
        ]

    def __str__(self) -> str:
        return f"draft of {self.panel}"


class Question(DeskRow):
    """What a reviewer asked the agent before deciding, and what it answered."""

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="questions")
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    text = models.CharField(max_length=500)
    asked_at = models.DateTimeField(default=timezone.now)
    answer = models.CharField(max_length=2000, blank=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        """`qu_…`."""
        return wire_id("qu", self.pk)


class Snooze(DeskRow):
    """A review that one person does not want to see for a while."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="snoozes")
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    until = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["review", "member"], name="member_snoozes_a_review_once"),
        ]

    def __str__(self) -> str:
        return f"until {self.until:%H:%M}"


class Escalation(DeskRow):
    """A review handed to a team or a person, by a person or by the clock."""

    class Code(models.TextChoices):
        NEEDS_EXPERT = "needs_expert", "Needs somebody who knows this"
        NOT_MINE = "not_mine", "Not for this team"
        UNSURE = "unsure", "Unsure"
        CONFLICT = "conflict", "Conflict of interest"
        OVERDUE = "overdue", "Overdue"
        OTHER = "other", "Other"

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="escalations")
    by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    to_team = models.CharField(max_length=60, blank=True)
    to_member = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    from_team = models.CharField(max_length=60, blank=True)
    code = models.CharField(max_length=16, choices=Code.choices)
    note = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return f"to {self.to_team or self.to_member}"


class TakeOver(DeskRow):
    """A claim that somebody took from its holder, and why: the holder is told, the history shows it."""

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="take_overs")
    from_member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return f"from {self.from_member} by {self.by}"


class VerdictFlag(DeskRow):
    """One person's word that a released verdict was a mistake, until they take it back."""

    verdict = models.ForeignKey(Verdict, on_delete=models.PROTECT, related_name="flags")
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=500)
    flagged_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["verdict", "member"], condition=Q(withdrawn_at=None), name="member_flags_a_verdict_once"
            ),
        ]

    def __str__(self) -> str:
        return f"flag of {self.member}"


class SavedView(DeskRow):
    """A name for a set of queue filters; a shared one is everybody's."""

    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=500)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "member", "name"], name="saved_view_name_is_unique_per_member"),
        ]

    def __str__(self) -> str:
        return self.name


class Flood(DeskRow):
    """One agent asking for more reviews than an hour holds; one row until it calms down."""

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)
    suppressed_count = models.PositiveIntegerField(default=0)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["tenant", "agent"], condition=Q(ended_at=None), name="agent_has_one_flood_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"flood of {self.agent}"
