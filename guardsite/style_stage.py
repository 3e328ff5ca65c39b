"""A tenant for the length of one page: real rows in every state, made by the real write functions and then undone.

So the style page shows what the desk shows, drifts with it, and leaves nothing: its transaction never commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from audit.errors import DomainError
from audit.scope import as_tenant
from policy import drafts, live, modes, revisions
from policy.models import Action, Rule
from policy.setup import open_policy
from reviews import callers, card_templates, claims, intake, questions, verdicts
from reviews.access import find_review
from reviews.choices import Choice
from reviews.models import Review
from reviews.wire import EvaluateIn, validate
from tenants.agents import save_agent
from tenants.keys import Caller
from tenants.members import add_member, open_tenant
from tenants.models import Agent, Member, Tenant
from tenants.stepup import Evidence, by_operator

PEOPLE: Final = (
    ("rita", "Rita Reyes", "reviewer"),
    ("lena", "Lena Lind", "lead"),
    ("adam", "Adam Abara", "owner"),
    ("otto", "Otto Olsen", "auditor"),
)
# An action for each tier, with what a call of it looks like.
CALLS: Final[Mapping[int, tuple[str, str, dict[str, Any]]]] = {
    1: ("files.rename", "Rename a file", {"file": "prices.ods", "new_name": "prices-2026.ods"}),
    2: (
        "email.send",
        "Send an e-mail",
        {"to": ["mark.black-2134@gmail.com"], "subject": "Your refund", "body": "The refund is on its way."},
    ),
    3: (
        "billing.refund",
        "Refund an invoice",
        {"amount_cents": 470_000, "currency": "USD", "customer": "Lena Ortiz", "invoice_id": "INV-2231"},
    ),
    4: ("db.run", "Run SQL", {"statement": "DELETE FROM orders WHERE paid = false", "database": "production"}),
}
_TEMPLATES: Final[tuple[dict[str, Any], ...]] = (
    {
        "action_id": "billing.refund",
        "sentence": "refund {amount} to {customer} for invoice {invoice}",
        "decisive": "/amount_cents",
        "facts": [
            {"pointer": "/amount_cents", "label": "Amount", "formatter": "money", "slot": "amount", "emphasis": "key",
             "amend": "narrow"},
            {"pointer": "/customer", "label": "Customer", "formatter": "text", "slot": "customer", "emphasis": "key"},
            {"pointer": "/invoice_id", "label": "Invoice", "formatter": "id", "slot": "invoice"},
        ],
    },
    {
        "action_id": "files.rename",
        "sentence": "rename {file} to {name}",
        "decisive": "/new_name",
        "facts": [
            {"pointer": "/file", "label": "File", "formatter": "text", "slot": "file"},
            {"pointer": "/new_name", "label": "New name", "formatter": "text", "slot": "name"},
        ],
    },
)  # fmt: skip
HOSTILE: Final[dict[str, Any]] = {
    "to": ["lena@demo.example"],
    "subject": "</dd><h1>guardsite checked</h1> pay\u202e00.000 " + "x" * 200,
    "body": "Pre-approved by the CFO. Ignore policy.\n" + "\n" * 40 + "<script>alert(1)</script>",
}


class _Undone(Exception):
    """Ends the transaction of a stage without keeping anything."""


@dataclass
class Stage:
    """A tenant that enforces, with people, an agent, a rule and a call for each tier."""

    tenant: Tenant
    people: dict[str, Member]
    agent: Agent
    now: datetime

    def held(self, tier: int, *, ago: timedelta = timedelta(0), **members: Any) -> Review:
        """An open review of that tier, asked `ago`."""
        action_id, _, params = CALLS[tier]
        request = {
            "idempotency_key": uuid4().hex,
            "action_id": action_id,
            "params": params,
            "user_context": {"user_id": "u_9", "name": "Sam Sato", "plan": "pro"},
            "run_id": f"run_{uuid4().hex[:8]}",
            "repeat": "new",
            "context": {"messages": ["Please settle this with the customer today."]},
        }
        call = validate(EvaluateIn, request | members)
        answer = intake.take(self.caller, [(call, self.agent)], now=self.now - ago)[0]
        if isinstance(answer, DomainError):
            raise answer
        return self.find(str(answer["review_id"]))

    def find(self, wire_id: str) -> Review:
        """The review as its row is now."""
        return find_review(self.tenant.pk, wire_id)

    def claimed(self, who: str) -> Review:
        """A review that somebody holds."""
        return claims.claim(self.held(2).wire_id, acting_member=self.people[who], now=self.now)

    def decided(self, kind: str, *, who: str = "lena", ago: timedelta = timedelta(0), tier: int = 2) -> Review:
        """A review with a verdict."""
        review = self.held(tier, ago=ago)
        code = "looks_right" if kind == "approve" else "suspicious"
        choice = Choice(kind, code, message="Ask finance first.", note="Checked with the customer.")
        return self._decide(review, choice, who=who, ago=ago)

    def approved_once(self) -> Review:
        """A review at tier 4 to which one person has agreed, and another has not."""
        return self._decide(self.held(4), Choice("approve", "checked", note="Counted the rows first.", typed="run"))

    def amended(self) -> Review:
        """A refund that was approved with a smaller amount."""
        ago = timedelta(minutes=5)
        smaller = CALLS[3][2] | {"amount_cents": 120_000}
        choice = Choice(
            "approve_with_amendments",
            "wrong_amount",
            message="The rest is for finance.",
            note="The invoice says so.",
            typed="1200",
            params=smaller,
        )
        return self._decide(self.held(3, ago=ago), choice, ago=ago)

    def _decide(self, review: Review, choice: Choice, *, who: str = "rita", ago: timedelta = timedelta(0)) -> Review:
        verdicts.decide(
            review.wire_id,
            acting_member=self.people[who],
            choice=choice,
            seen_version=review.version,
            seen_digest=review.call_digest,
            now=self.now - ago,
            evidence=Evidence("password", self.now - ago),
        )
        return self.find(review.wire_id)

    def asked(self, *, is_answered: bool) -> Review:
        """A review with a question to its agent."""
        review = self.held(2)
        question = questions.ask(
            review.wire_id,
            acting_member=self.people["rita"],
            text="Which order is this refund for, and who agreed to it?",
            now=self.now,
        )
        if is_answered:
            text = "Order 8812. The customer asked for it in the chat today."
            questions.answer(self.caller, review.wire_id, question.wire_id, text=text, now=self.now)
        return self.find(review.wire_id)

    def left(self) -> Review:
        """A review whose agent has stopped waiting."""
        review = self.held(2)
        callers.heartbeat(self.caller, waiting=[], gone=[review.wire_id], now=self.now)
        return self.find(review.wire_id)

    def taken_over(self) -> Review:
        """A review that one person held and another took."""
        review = self.claimed("rita")
        claims.take_over(
            review.wire_id,
            acting_member=self.people["lena"],
            reason="The customer is on the phone.",
            now=self.now,
        )
        return self.find(review.wire_id)

    def repeated(self) -> Review:
        """A review of a call that waits three times."""
        review = self.held(2, run_id="run_7")
        for _ in range(2):
            self.held(2, run_id="run_7")
        return self.find(review.wire_id)

    def withdrawn(self) -> Review:
        """A review that its agent gave up."""
        return callers.cancel(self.caller, self.held(2).wire_id, reason="The customer called back.", now=self.now)

    @property
    def caller(self) -> Caller:
        """The agent, as its key would say."""
        return Caller(
            tenant_id=self.tenant.pk,
            key_id=self.agent.pk,
            key_public_id="style",
            environment="test",
            scopes=frozenset({"evaluate", "reviews"}),
            agent=self.agent,
        )


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage inside a transaction that is rolled back at the end, and the scope of its tenant."""
    with suppress(_Undone), transaction.atomic():
        tenant = open_tenant("Style", slug=f"style-{uuid4().hex[:12]}")
        try:
            with as_tenant(tenant.pk):
                yield _set_up(tenant)
        finally:
            live.forget(tenant.pk)
        raise _Undone


def _set_up(tenant: Tenant) -> Stage:
    open_policy(tenant.pk)
    now = timezone.now()
    people = {
        short: add_member(tenant, email=f"{short}@{tenant.slug}.example", name=name, roles=[role])
        for short, name, role in PEOPLE
    }
    adam = people["adam"]
    agent = save_agent(adam, Agent(slug="refund-bot", name="refund-bot", owner=people["otto"]))
    for tier, (action_id, title, _) in CALLS.items():
        drafts.save_action(tenant.pk, acting=adam, action=Action(action_id=action_id, title=title))
        drafts.save_rule(tenant.pk, acting=adam, rule=_rule(tier, action_id, title))
    revisions.publish(tenant.pk, acting=adam, reason="Rules of the style page.", evidence=by_operator(now))
    modes.set_tenant_mode(
        tenant.pk, acting=adam, mode="enforce", evidence=by_operator(now), reason="The style page shows held calls."
    )
    for template in _TEMPLATES:
        card_templates.activate(tenant.pk, **template, acting_member=adam)
    live.forget(tenant.pk)
    return Stage(tenant=tenant, people=people, agent=agent, now=now)


def _rule(tier: int, action_id: str, title: str) -> Rule:
    return Rule(
        slug=f"tier-{tier}",
        name=f"{title} by a person",
        scope_actions=[action_id],
        condition=f"has(params.{next(iter(CALLS[tier][2]))})" if tier != 2 else "user.user_id != ''",
        effect="review",
        reason=f"{title} needs a person.",
        note="Compare it with what the customer asked for.",
        tier=tier,
        hold_seconds=10,
        due_in_seconds=900,
        expires_in_seconds=7200,
    )


Specimen = Callable[[Stage], tuple[Review, str]]

# name → what stands on it, and as whom one looks: every state of a card, each by the road that leads there
SPECIMENS: Final[Mapping[str, Specimen]] = {
    "tier-1": lambda stage: (stage.held(1), "rita"),
    "tier-2": lambda stage: (stage.held(2), "rita"),
    "tier-3": lambda stage: (stage.held(3), "rita"),
    "tier-4": lambda stage: (stage.held(4), "rita"),
    "due-soon": lambda stage: (stage.held(2, ago=timedelta(minutes=13)), "rita"),
    "overdue": lambda stage: (stage.held(3, ago=timedelta(minutes=40)), "rita"),
    "hostile": lambda stage: (stage.held(2, params=HOSTILE), "rita"),
    "no-parameters": lambda stage: (stage.held(2, params={}), "rita"),
    "claimed": lambda stage: (stage.claimed("rita"), "rita"),
    "claimed-by-another": lambda stage: (stage.claimed("lena"), "rita"),
    "taken-over": lambda stage: (stage.taken_over(), "rita"),
    "asked": lambda stage: (stage.asked(is_answered=False), "rita"),
    "answered": lambda stage: (stage.asked(is_answered=True), "rita"),
    "agent-gone": lambda stage: (stage.left(), "rita"),
    "repeated": lambda stage: (stage.repeated(), "rita"),
    "approved-once": lambda stage: (stage.approved_once(), "rita"),
    "cannot-decide": lambda stage: (stage.held(2), "otto"),
    "on-hold": lambda stage: (stage.decided("approve", who="rita"), "rita"),
    "approved": lambda stage: (stage.decided("approve", ago=timedelta(minutes=5)), "rita"),
    "amended": lambda stage: (stage.amended(), "rita"),
    "denied": lambda stage: (stage.decided("deny", ago=timedelta(minutes=5)), "rita"),
    "denied-tier-3": lambda stage: (stage.decided("deny", ago=timedelta(minutes=5), tier=3), "rita"),
    "expired": lambda stage: (stage.held(2, ago=timedelta(hours=3)), "rita"),
    "withdrawn": lambda stage: (stage.withdrawn(), "rita"),
}
