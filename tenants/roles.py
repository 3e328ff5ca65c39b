"""Role → permissions. Pure: what a role may do is read here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """What a member is in a tenant; a member may hold several."""

    OWNER = "owner"
    POLICY_AUTHOR = "policy_author"
    REVIEWER = "reviewer"
    LEAD = "lead"
    AUDITOR = "auditor"
    DEVELOPER = "developer"


ROLE_LABELS: dict[Role, str] = {
    Role.OWNER: "Owner",
    Role.POLICY_AUTHOR: "Policy author",
    Role.REVIEWER: "Reviewer",
    Role.LEAD: "Lead",
    Role.AUDITOR: "Auditor",
    Role.DEVELOPER: "Developer",
}

_READ_REVIEWS = frozenset({"reviews.view_review"})
_READ_POLICY = frozenset({"policy.view_rule"})
_READ_AUDIT = frozenset({"audit.view_entry"})

PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.OWNER: frozenset(
        {
            "reviews.view_review",
            "reviews.decide_review",
            "reviews.lead_queue",
            "reviews.change_cardtemplate",
            "reviews.change_desk",
            "policy.view_rule",
            "policy.change_rule",
            "policy.publish_revision",
            "policy.change_mode",
            "audit.view_entry",
            "audit.export_log",
            "audit.read_disclosure",
            "tenants.change_member",
            "tenants.change_apikey",
        }
    ),
    Role.POLICY_AUTHOR: _READ_REVIEWS | _READ_POLICY | {"policy.change_rule", "reviews.change_cardtemplate"},
    Role.REVIEWER: _READ_REVIEWS | {"reviews.decide_review"},
    Role.LEAD: _READ_REVIEWS
    | _READ_AUDIT
    | _READ_POLICY
    | {"reviews.decide_review", "reviews.lead_queue", "reviews.change_desk"},
    Role.AUDITOR: _READ_REVIEWS | _READ_AUDIT | _READ_POLICY | {"audit.export_log", "audit.read_disclosure"},
    Role.DEVELOPER: _READ_REVIEWS | _READ_POLICY | {"tenants.change_apikey"},
}


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """Every permission that these roles give together; unknown roles give none."""
    granted: frozenset[str] = frozenset()
    for role in roles:
        if role in set(Role):
            granted |= PERMISSIONS[Role(role)]
    return granted
