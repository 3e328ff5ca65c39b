"""Reviews and what follows from them: verdicts, grants, executions, resume deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from audit.ids import short_review_id, uuid7, wire_id
from reviews.querysets import ReviewQuerySet
from reviews.states import State, VerdictKind, effective_state, wire_state
from tenants.models import Agent, Member, Tenant


def _choices(enum: type[State] | type[VerdictKind]) -> list[tuple[str, str]]:
    return [(item.value, item.value.replace("_", " ").capitalize()) for item in enum]


class CardTemplate(models.Model):
    """How calls of one action read on the card. Versions are kept; one is active."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        RETIRED = "retired"

    class Undo(models.TextChoices):
        YES = "yes", "Yes"
        PARTLY = "partly", "Partly"
        NO = "no", "No"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    action_id = models.CharField(max_length=128)
    version = models.PositiveIntegerField(default=1, editable=False)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.DRAFT)
    sentence = models.CharField(max_length=200, help_text='"refund {amount} to {customer}": slots only, no logic.')
    decisive = models.CharField(max_length=200, blank=True, help_text="JSON pointer of the fact that matters most.")
    facts = models.JSONField(
        default=list,
        blank=True,
        help_text="List of {pointer, label, formatter, options, slot, emphasis, amend, direction}.",
    )
    cautions = models.JSONField(default=list, blank=True, help_text="List of {when, text, severity}; when is CEL.")
    links = models.JSONField(default=list, blank=True, help_text="List of {pointer, url}; the url has one {value}.")
    compare_on = models.JSONField(default=list, blank=True, help_text="JSON pointers by which similar calls are found.")
    undo = models.CharField(max_length=6, choices=Undo.choices, blank=True)
    undo_how = models.CharField(max_length=200, blank=True, help_text="How to undo it, in words.")
    digest = models.CharField(max_length=64, blank=True, editable=False, help_text="SHA-256; kept with each verdict.")
    created_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    activated_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "action_id", "version"], name="card_template_version_is_unique"),
            models.UniqueConstraint(
                fields=["tenant", "action_id"], condition=Q(status="active"), name="action_has_one_active_card_template"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action_id}, version {self.version}"


class Review(models.Model):
    """A held call in the queue, exactly as it will run when approved.

    `params_text` and `user_context_text` are the canonical JSON that the digest, the card and the grant come from.
    """

    class Warned(models.IntegerChoices):
        NOTHING = 0, "of nothing"
        CAUTION = 1, "with a caution"
        DANGER = 2, "with a danger"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT)
    key_environment = models.CharField(max_length=4)
    call_id = models.UUIDField(unique=True)
    entry_uid = models.CharField(max_length=36)
    action_id = models.CharField(max_length=128)
    params_text = models.TextField()
    user_context_text = models.TextField()
    context_text = models.TextField(blank=True)
    resume_text = models.TextField(blank=True)
    call_salt = models.CharField(max_length=32)
    call_digest = models.CharField(max_length=64)
    content_key = models.CharField(max_length=64)
    run_id = models.CharField(max_length=128, blank=True)
    tool_call_id = models.CharField(max_length=128, blank=True)
    call_index = models.PositiveSmallIntegerField(default=1)
    call_count = models.PositiveSmallIntegerField(default=1)

    state = models.CharField(max_length=12, choices=_choices(State), default=State.OPEN)
    version = models.PositiveIntegerField(default=1)
    tier = models.PositiveSmallIntegerField(default=2)
    team = models.CharField(max_length=60, blank=True)
    hold_seconds = models.PositiveSmallIntegerField(default=10)
    rule_id = models.CharField(max_length=80, blank=True)
    rule_name = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=500)
    hits = models.JSONField(default=list)
    revision_id = models.CharField(max_length=36, blank=True)
    revision_number = models.PositiveIntegerField(null=True)
    revision_sha256 = models.CharField(max_length=64, blank=True)

    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    release_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    breached = models.BooleanField(default=False)

    claimed_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="claims")
    claimed_until = models.DateTimeField(null=True)
    claim_used_at = models.DateTimeField(null=True)
    first_claimed_at = models.DateTimeField(null=True)

    caller_seen_at = models.DateTimeField(null=True)
    caller_gone_at = models.DateTimeField(null=True)
    caller_next_check_seconds = models.PositiveIntegerField(null=True)
    duplicate_of = models.ForeignKey("self", null=True, on_delete=models.PROTECT)
    # The oldest waiting copy of the same call in the same run stands for the others in the queue.
    copy_of = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="copies")

    # How many different people must approve: 1, at tier 4 at least 2.
    approvals_needed = models.PositiveSmallIntegerField(default=1)
    assigned_to = models.ForeignKey(Member, null=True, on_delete=models.PROTECT, related_name="assigned_reviews")
    escalate_to = models.CharField(max_length=60, blank=True)
    escalated_at = models.DateTimeField(null=True)
    # Hashes of the tool definition that an admin accepted and that the provider offered when the call was made.
    tool_accepted_sha256 = models.CharField(max_length=64, blank=True)
    tool_offered_sha256 = models.CharField(max_length=64, blank=True)
    suggestions = models.JSONField(default=list, blank=True)
    # Counts each question and each answer, of which one at a time is owed: part of the version on the wire alone.
    question_steps = models.PositiveSmallIntegerField(default=0)
    # How loudly its card warns; NULL until a worker has looked.
    warned = models.PositiveSmallIntegerField(null=True, choices=Warned.choices)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(tier__gte=1, tier__lte=4), name="review_tier_is_1_to_4"),
            models.CheckConstraint(
                condition=Q(state="on_hold", release_at__isnull=False) | ~Q(state="on_hold"),
                name="review_on_hold_knows_when_it_is_released",
            ),
            models.CheckConstraint(
                condition=Q(tier__lt=4) | Q(approvals_needed__gte=2), name="review_of_tier_4_needs_two"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # With what the queue's counts ask for, so that they are read from the index alone.
            models.Index(
                fields=["tenant", "due_at", "id"],
                include=["tier", "team", "expires_at", "copy_of"],
                condition=Q(state="open"),
                name="review_queue",
            ),
            models.Index(fields=["tenant", "content_key", "-created_at"], name="review_repeats"),
            models.Index(fields=["expires_at"], condition=Q(state="open"), name="review_expiry"),
            models.Index(fields=["tenant", "agent", "-id"], name="review_owed"),
            models.Index(fields=["tenant", "agent", "-created_at"], name="review_flood"),
            models.Index(fields=["tenant", "action_id", "-created_at"], name="review_similar"),
            models.Index(
                fields=["tenant", "id"], condition=Q(state="open", approvals_needed__gt=1), name="review_needs_others"
            ),
            models.Index(fields=["tenant", "id"], condition=Q(state="open", warned=None), name="review_unlooked"),
            models.Index(fields=["copy_of"], condition=Q(copy_of__isnull=False), name="review_copies"),
            models.Index(fields=["tenant", "-ended_at", "-id"], condition=~Q(state="open"), name="review_decided"),
        ]

    def __str__(self) -> str:
        return self.short_id

    @property
    def wire_id(self) -> str:
        """`rv_…`, on the wire and in addresses."""
        return wire_id("rv", self.pk)

    @property
    def short_id(self) -> str:
        """`R-4F7A2C`, as people name it."""
        return short_review_id(self.wire_id)

    @property
    def standing_verdicts(self) -> list[Verdict]:
        """The verdicts that are neither undone nor cleared, by slot. Uses a prefetch when there is one."""
        return sorted((verdict for verdict in self.verdicts.all() if verdict.stands), key=lambda verdict: verdict.slot)

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that decided it, or None: a first of two approvals decides nothing, also when time ran out on it."""
        if self.state not in (State.ON_HOLD, State.RELEASED):
            return None
        return next(reversed(self.standing_verdicts), None)

    def state_at(self, now: datetime) -> State:
        """The state that counts at `now`; see `states.effective_state`."""
        return effective_state(self.state, release_at=self.release_at, expires_at=self.expires_at, now=now)

    def told_state_at(self, now: datetime) -> State:
        """The state as its caller may know it: a copy is superseded by a verdict on hold no sooner than that is released."""
        if self.state == State.SUPERSEDED and self.release_at is not None and now < self.release_at:
            return State.ON_HOLD
        return self.state_at(now)

    def wire_state_at(self, now: datetime) -> str:
        """The state in the words of `/v1`."""
        verdict = self.verdict
        return wire_state(self.told_state_at(now), verdict=verdict.kind if verdict else None)

    def wire_version_at(self, now: datetime) -> int:
        """The version in `/v1`: counts questions and answers too, which change no call and so leave a verdict's version.

        One ahead of the row while the clock has ended what no worker has written down yet.
        """
        was_told_late = self.state == State.SUPERSEDED and self.release_at is not None and self.release_at <= now
        return self.version + self.question_steps + (self.state_at(now) != self.state or was_told_late)

    def is_claimed_by_other(self, member: Member, *, now: datetime) -> bool:
        """Whether somebody else's lease on it still runs."""
        return (
            self.claimed_by_id is not None
            and self.claimed_by_id != member.pk
            and self.claimed_until is not None
            and now < self.claimed_until
        )


class Verdict(models.Model):
    """What a person chose, under their own name."""

    class Code(models.TextChoices):
        LOOKS_RIGHT = "looks_right", "Looks right"
        EXPECTED = "expected", "Expected, I know of it"
        CHECKED = "checked", "Checked elsewhere"
        WRONG_AMOUNT = "wrong_amount", "Wrong amount"
        WRONG_TARGET = "wrong_target", "Wrong target"
        NOT_AUTHORISED = "not_authorised", "Not authorised"
        OTHER_APPROACH = "other_approach", "Other approach"
        SUSPICIOUS = "suspicious", "Suspicious"
        OTHER = "other", "Other"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="verdicts")
    slot = models.PositiveSmallIntegerField(default=1)
    member = models.ForeignKey(Member, on_delete=models.PROTECT)
    kind = models.CharField(max_length=24, choices=_choices(VerdictKind))
    code = models.CharField(max_length=16, choices=Code.choices)
    message = models.CharField(max_length=500, blank=True, help_text="Message to the agent.")
    note = models.TextField(blank=True, help_text="Note for the record; never leaves.")
    seen_version = models.PositiveIntegerField()
    call_digest = models.CharField(max_length=64)
    entry_uid = models.CharField(max_length=36)
    created_at = models.DateTimeField(default=timezone.now)
    release_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)
    # A first approval that an amendment by the second person made void.
    cleared_at = models.DateTimeField(null=True)
    via = models.CharField(max_length=8, default="web")
    auth_method = models.CharField(max_length=20, blank=True)
    auth_at = models.DateTimeField(null=True)
    template_digest = models.CharField(max_length=64, blank=True)
    # What runs instead of what was asked, canonical JSON; empty unless amended.
    amended_params_text = models.TextField(blank=True)
    amended_digest = models.CharField(max_length=64, blank=True)
    amended_content_key = models.CharField(max_length=64, blank=True)
    # One post of one form decides once, however often it is sent.
    idempotency_key = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["review", "slot"],
                condition=Q(undone_at=None, cleared_at=None),
                name="review_has_one_verdict_per_slot",
            ),
            models.UniqueConstraint(
                fields=["review", "member"],
                condition=Q(undone_at=None, cleared_at=None),
                name="member_has_one_verdict_per_review",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["tenant", "amended_content_key"],
                condition=~Q(amended_content_key=""),
                name="verdict_amended_repeats",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} by {self.member}"

    @property
    def stands(self) -> bool:
        """Whether it counts: neither undone nor cleared."""
        return self.undone_at is None and self.cleared_at is None


class Grant(models.Model):
    """The single-use permission that an approval gives, bound to the exact params."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="grants")
    verdict = models.OneToOneField(Verdict, on_delete=models.PROTECT)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT)
    params_key = models.CharField(max_length=64)
    call_digest = models.CharField(max_length=64)
    usable_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    voided_at = models.DateTimeField(null=True)
    # When somebody last tried to spend it on other params than were approved.
    mismatched_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        """`gr_…`."""
        return wire_id("gr", self.pk)


class Execution(models.Model):
    """The caller's word on what became of an allowed call."""

    class State(models.TextChoices):
        STARTED = "started"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        NOT_RUN = "not_run"
        UNKNOWN = "unknown"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT)
    call_id = models.UUIDField(unique=True)
    grant = models.OneToOneField(Grant, null=True, on_delete=models.PROTECT, related_name="execution")
    idempotency_key = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.STARTED)
    started_at = models.DateTimeField(default=timezone.now)
    report_by = models.DateTimeField(null=True)
    reported_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    reference = models.CharField(max_length=200, blank=True)
    error = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        """`ex_…`."""
        return wire_id("ex", self.pk)


class ResumeDelivery(models.Model):
    """Outbox row that tells the paused caller: look at your review."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        CANCELLED = "cancelled"
        DEAD = "dead"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="deliveries")
    cause = models.CharField(max_length=12)
    verdict = models.OneToOneField(Verdict, null=True, on_delete=models.PROTECT)
    resumer = models.CharField(max_length=20, default="poll")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "resume deliveries"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="resume_delivery_due"),
        ]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        """`rd_…`: the same on every attempt."""
        return wire_id("rd", self.pk)


class Attempt(models.Model):
    """One try of a resume delivery."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    delivery = models.ForeignKey(ResumeDelivery, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    result = models.CharField(max_length=10)
    detail = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number_is_unique_in_its_delivery"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.result}"


class IdempotencyKey(models.Model):
    """An answered call, so that the same question gets the same answer: in the environment where it was asked."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT)
    environment = models.CharField(max_length=4, default="live")
    key = models.CharField(max_length=200)
    content_key = models.CharField(max_length=64)
    call_id = models.UUIDField(unique=True)
    decision = models.CharField(max_length=8)
    answer_text = models.TextField(blank=True)
    review = models.ForeignKey(Review, null=True, on_delete=models.PROTECT)
    valid_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "environment", "key"], name="idempotency_key_is_unique_per_agent"
            ),
        ]

    def __str__(self) -> str:
        return self.key


from reviews.models_desk import (  # noqa: E402  # Django finds models here
    DeskSettings,
    Draft,
    Escalation,
    Flood,
    Question,
    SavedView,
    Snooze,
    TakeOver,
    VerdictFlag,
)
from reviews.models_notices import Notice, NoticeEvent, NoticeTarget  # noqa: E402  # Django finds models here

__all__ = [
    "Attempt",
    "CardTemplate",
    "DeskSettings",
    "Draft",
    "Escalation",
    "Execution",
    "Flood",
    "Grant",
    "IdempotencyKey",
    "Notice",
    "NoticeEvent",
    "NoticeTarget",
    "Question",
    "ResumeDelivery",
    "Review",
    "SavedView",
    "Snooze",
    "TakeOver",
    "Verdict",
    "VerdictFlag",
]
