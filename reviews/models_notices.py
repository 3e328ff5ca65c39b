"""Notices: who is told of what, and the outbox of what they are told. Of `reviews.models`, apart for length."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from audit.ids import wire_id
from reviews.models import Review
from reviews.models_desk import DeskRow
from tenants.models import Agent, Member


class NoticeEvent(models.TextChoices):
    """What people and programs are told of."""

    OPENED = "opened", "A call is held"
    DUE_SOON = "due_soon", "Its time is nearly over"
    OVERDUE = "overdue", "It is overdue"
    ESCALATED = "escalated", "It went to another team"
    DECIDED = "decided", "It was decided"
    EXPIRED = "expired", "Nobody decided: denied"
    FLOOD = "flood", "An agent floods the desk"
    UNTOLD = "untold", "An agent could not be told"


class NoticeTarget(DeskRow):
    """Who is told of what, and how."""

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Signed webhook"

    class Audience(models.TextChoices):
        ROUTED = "routed", "The team it is routed to"
        TEAM = "team", "One team"
        LEADS = "leads", "Leads and owners"
        MEMBER = "member", "One person"
        ADDRESS = "address", "An address"

    class Cadence(models.TextChoices):
        EACH = "each", "One mail per event"
        DIGEST = "digest", "Together, every full hour"

    name = models.CharField(max_length=80)
    channel = models.CharField(max_length=7, choices=Channel.choices)
    audience = models.CharField("to", max_length=7, choices=Audience.choices, blank=True)
    team = models.SlugField(max_length=60, blank=True)
    member = models.ForeignKey(Member, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    address = models.EmailField(blank=True)
    url = models.CharField(
        "URL", max_length=500, blank=True, help_text="https://… on port 443 or 8443; a public address."
    )
    # Sealed with a key of this deployment (notice_secrets); the former one signs too until it ends.
    secret_sealed = models.TextField(blank=True, editable=False)
    former_secret_sealed = models.TextField(blank=True, editable=False)
    former_until = models.DateTimeField(null=True, editable=False)
    events = ArrayField(models.CharField(max_length=10, choices=NoticeEvent.choices), verbose_name="when")
    cadence = models.CharField("how often", max_length=6, choices=Cadence.choices, default=Cadence.EACH)
    is_active = models.BooleanField("active", default=True)
    stopped_because = models.CharField(max_length=200, blank=True, editable=False)
    created_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "notice"
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "name"], name="notice_target_name_is_unique_in_its_tenant"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def events_in_words(self) -> str:
        """What it is told of."""
        return ", ".join(NoticeEvent(event).label for event in self.events)


class Notice(DeskRow):
    """One thing that one recipient is told: written beside what happened, sent by a worker. It carries no content."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        DEAD = "dead", "Given up"
        CANCELLED = "cancelled", "Cancelled"

    target = models.ForeignKey(NoticeTarget, on_delete=models.PROTECT, related_name="notices")
    event = models.CharField(max_length=10, choices=NoticeEvent.choices)
    # What makes it the same notice as another: the review, flood or verdict it is of.
    subject = models.CharField(max_length=64)
    review = models.ForeignKey(Review, null=True, on_delete=models.PROTECT, related_name="notices")
    agent = models.ForeignKey(Agent, null=True, on_delete=models.PROTECT, related_name="+")
    member = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+")
    address = models.EmailField(blank=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    attempt_count = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True)
    # When it was first tried, or replayed: after three days it is given up.
    trying_since = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["target", "event", "subject", "address"], name="recipient_is_told_a_thing_once"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="notice_due"),
            models.Index(fields=["tenant", "-created_at"], condition=Q(state="dead"), name="notice_dead"),
        ]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        """`no_…`: the same on every attempt."""
        return wire_id("no", self.pk)
