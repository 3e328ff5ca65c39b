"""Tenants, people, their roles, agents and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from audit.ids import uuid7
from tenants.roles import ROLE_LABELS, Role


class Tenant(models.Model):
    """A company, or a part of one: the border that no row, key or person crosses."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120)
    is_demo = models.BooleanField(
        default=False, help_text="Seeded with recorded calls; nothing here acts on the world."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Creates people by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A saved user; a password of None cannot sign in until one is set."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in. What they may do comes from their membership, never from flags here."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    objects = UserManager()

    # Set per request by TenantMiddleware; RoleBackend answers permissions from it.
    current_member: Member | None = None

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(Lower("email"), name="user_email_is_unique_whatever_its_case"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """Whether Django admin's own templates may show its links: those whose role opens it."""
        return any(
            self.has_perm(name) for name in ("policy.view_rule", "tenants.change_member", "tenants.change_apikey")
        )


class Member(models.Model):
    """A person in a tenant, with their roles there."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="members")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    roles = ArrayField(models.CharField(max_length=20, choices=[(role.value, ROLE_LABELS[role]) for role in Role]))
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "user"], name="person_is_member_of_a_tenant_once"),
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        """The person's name, or their address."""
        return str(self.user)

    @property
    def role_labels(self) -> list[str]:
        """The roles in words, in the order of `Role`."""
        return [label for role, label in ROLE_LABELS.items() if role in self.roles]


class Team(models.Model):
    """Reviewers to whom rules route calls by the team's id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="teams", editable=False)
    slug = models.SlugField("id", max_length=60, help_text="Rules route calls to it by this id, such as finance.")
    name = models.CharField(max_length=80)
    members = models.ManyToManyField(Member, through="TeamMembership", related_name="teams")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="team_id_is_unique_in_its_tenant"),
        ]

    def __str__(self) -> str:
        return self.name


class TeamMembership(models.Model):
    """That a member is in a team."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="team_memberships")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["team", "member"], name="member_is_in_a_team_once"),
        ]

    def __str__(self) -> str:
        return f"{self.member} in {self.team}"


class Agent(models.Model):
    """An AI agent of a tenant: what an API key speaks for."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="agents")
    slug = models.SlugField(help_text="Named in policy as agent.id.")
    name = models.CharField(max_length=120)
    version = models.CharField(max_length=40, blank=True)
    owner = models.ForeignKey(
        Member, null=True, blank=True, on_delete=models.PROTECT, help_text="Answers for it; never decides its calls."
    )
    tags = ArrayField(models.SlugField(), default=list, blank=True)
    reviews_per_hour = models.PositiveIntegerField(
        null=True, blank=True, help_text="Reviews it may open in an hour; empty for the desk's own number."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="agent_slug_is_unique_in_its_tenant"),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """`gsk_<environment>_<public id>_<secret>`: shown once; only the secret's SHA-256 is stored."""

    class Environment(models.TextChoices):
        LIVE = "live"
        TEST = "test"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="api_keys")
    agent = models.ForeignKey(
        Agent,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        help_text="Empty for a gateway key, which names the agent.",
    )
    name = models.CharField(max_length=80)
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    public_id = models.CharField(max_length=16, unique=True, editable=False)
    secret_sha256 = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=16))
    replaces = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="successors")
    created_by = models.ForeignKey(Member, null=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_by = models.ForeignKey(Member, null=True, editable=False, on_delete=models.PROTECT, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    @property
    def prefix(self) -> str:
        """The part of its token that is no secret."""
        return f"gsk_{self.environment}_{self.public_id}_…"

    def is_usable(self, *, now: datetime) -> bool:
        """Whether a request with this key may be answered at `now` (aware UTC)."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
