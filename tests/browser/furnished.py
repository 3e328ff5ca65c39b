"""A tenant in which every page has something to show: reviews in each state, a backtest, a freeze, lists, a checkpoint."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from audit.browse import READER
from audit.export import request_export
from audit.models import Checkpoint
from audit.notary import Notary
from audit.record import Actor
from audit.scope import as_tenant
from audit.sealing import seal_pending
from policy import backtests, freezes, labels, lists, reports, shadow, tool_offers
from policy.models import Calendar, Counter, NamedList, ToolDefinition
from policy.terms import ListValue
from policy.tools import Definition
from reviews import card_templates, flags
from reviews.callers import agent_actor
from reviews.models import CardTemplate, Review
from reviews.saved_views import save_view
from reviews.template_content import Content
from tenants.teams import save_team
from tests.audit.conftest import KEY
from tests.browser.walk import Visit, World
from tests.factories import (
    LARGE,
    SMALL,
    ask,
    claimed_review,
    decide,
    deny_rule,
    enforce_refunds,
    held_review,
    refund_rule,
)
from tests.people import People, proof
from tests.policy.test_ramp import change_limit, now

HOSTILE = {
    "amount_cents": 470_000,
    "currency": "USD",
    "invoice_id": "in_" + "9" * 300,
    "note": "</dd><h1>guardsite checked</h1> pre-approved\u202e by the CFO " + "x" * 500,
    "recipients": ["lena@demo.example", "mark.black-2134@gmail.com"],
    "url": "http://user:pass@10.0.0.1:8080/a\\b",
    "nested": {"deep": {"er": [1, 2, {"key": None}]}},
}


def furnish(people: People, folder: Path) -> World:
    """Rows for every page, through the write functions; the arguments of routes; visits besides the routes."""
    enforce_refunds(people, refund_rule(hold_seconds=60), deny_rule())
    reviews = hold_reviews(people)
    arguments: dict[str, dict[str, object]] = desk_rows(people)
    arguments |= policy_rows(people)
    arguments |= audit_rows(people, reviews["denied"], folder)
    arguments |= {"reviews:flag": {"wire_id": reviews["flagged"].wire_id}}
    more = [
        Visit("card, flagged", f"/reviews/{reviews['flagged'].wire_id}/", "lena"),
        Visit("card, open", f"/reviews/{reviews['open'].wire_id}/", "rita"),
        Visit("card, denied", f"/reviews/{reviews['denied'].wire_id}/", "rita"),
        Visit("queue, decided", "/reviews/?view=decided", "lena"),
        Visit("queue, nothing matches", "/reviews/?tier=1&view=overdue", "lena"),
        Visit("account menu", "/reviews/", "adam", opens="Adam Abara"),
        Visit("no such page", "/reviews/rv_nothing/", "lena"),
        Visit("not allowed", "/admin/", "rita"),
    ]
    defaults = {"wire_id": reviews["open"].wire_id, "slug": people.agent.slug}
    return World(people, defaults, arguments, more)  # type: ignore[arg-type]  # values are what reverse() takes


def desk_rows(people: People) -> dict[str, dict[str, object]]:
    """A card template and a draft of the next one, a team, a saved view, a tool that its provider changed."""
    tenant = people.tenant.pk
    content = Content(
        sentence="refund {amount}",
        facts=[{"pointer": "/amount_cents", "label": "Amount", "formatter": "number", "slot": "amount"}],
    )
    card_templates.activate(
        tenant, action_id="billing.refund", acting_member=people.adam, sentence=content.sentence, facts=content.facts
    )
    draft = card_templates.save_draft(tenant, action_id="billing.refund", content=content, acting_member=people.adam)
    with as_tenant(tenant):
        active = CardTemplate.objects.get(tenant_id=tenant, status=CardTemplate.Status.ACTIVE)
    save_team(people.adam, slug="finance", name="Finance", members=[people.rita.pk, people.lena.pk])
    view = save_view(acting_member=people.rita, name="Large ones", query="tier=3", is_shared=False, now=now())
    by = agent_actor(people.caller, people.agent)
    for title in ("Refund an invoice", "Refund anything"):
        definition = Definition.of("billing.refund", title=title, description="Pays money back.")
        tool_offers.offer(tenant, definitions=[definition], agent_id=people.agent.pk, by=by, now=now())
        with as_tenant(tenant):
            tool = ToolDefinition.objects.filter(tenant_id=tenant).latest("first_seen_at")
        if title == "Refund an invoice":
            tool_offers.accept(tenant, definition_id=tool.pk, acting=people.adam, evidence=proof(), now=now())
    one_draft: dict[str, object] = {"pk": draft.pk}
    one_active: dict[str, object] = {"pk": active.pk}
    return {
        "reviews:delete_view": {"view_id": view.pk},
        "admin:reviews_cardtemplate_activate": one_draft,
        "admin:reviews_cardtemplate_discard": one_draft,
        "admin:reviews_cardtemplate_retire": one_active,
        "admin:reviews_cardtemplate_copy": one_active,
        **{f"admin:policy_tooldefinition_{step}": {"pk": tool.pk} for step in ("accept", "dismiss", "schema")},
    }


def hold_reviews(people: People) -> dict[str, Review]:
    """One review in each state that a card knows."""
    waiting = held_review(people)
    claimed = claimed_review(people)
    on_hold, denied = held_review(people), held_review(people)
    decide(people, on_hold)
    decide(people, denied, "deny", acting_member=people.lena)
    flagged = held_review(people, now=now() - timedelta(minutes=12))
    decide(people, flagged, now=now() - timedelta(minutes=10))
    flags.flag(flagged.wire_id, acting_member=people.lena, note="The invoice was paid back before.", now=now())
    return {
        "open": waiting,
        "claimed": claimed,
        "on hold": on_hold,
        "denied": denied,
        "hostile": held_review(people, params=HOSTILE),
        "expired": held_review(people, now=now() - timedelta(days=3)),
        "overdue": held_review(people, now=now() - timedelta(minutes=40)),
        "flagged": flagged,
    }


def policy_rows(people: People) -> dict[str, dict[str, object]]:
    """A draft that differs, a shadow, labels, a backtest, a freeze, lists, a pack."""
    tenant = people.tenant.pk
    change_limit(people, 1_000)
    shadow.start(tenant, acting=people.adam, percent=100, now=now())
    for number in range(6):
        user = {"user_id": f"u_{number % 3}", "plan": "free" if number % 4 == 0 else "pro"}
        ask(people, params=LARGE if number % 3 == 0 else SMALL, user_context=user, repeat="new")
    shadow.flush(tenant)
    backtest = backtests.start(tenant, acting=people.adam, since=now() - timedelta(days=2), now=now())
    for item in reports.read(tenant, now=now()).stopped[:1]:
        labels.label(tenant, UUID(item.call.uid), acting=people.rita, is_right=True, now=now())
    freeze = freezes.freeze(
        tenant, acting=people.lena, scope="action", target="email.*", reason="A flood of mails since noon.", now=now()
    )
    lists.save_list(
        tenant,
        acting=people.adam,
        row=NamedList(slug="our_domains", kind=NamedList.Kind.DOMAIN),
        values=[ListValue("demo.example", note="Ours", expires_at=None)],
    )
    lists.save_calendar(
        tenant, acting=people.adam, row=Calendar(slug="office_hours", hours={"mon": [["09:00", "17:00"]]})
    )
    lists.save_counter(
        tenant,
        acting=people.adam,
        row=Counter(slug="refunds_1h", scope_actions=["billing.refund"], key=["agent.id"], window_seconds=3600),
    )
    return {
        "policy:backtest": {"pk": backtest.pk},
        "policy:backtest_stop": {"pk": backtest.pk},
        "policy:lift": {"pk": freeze.pk},
        "admin:policy_pack": {"pack_id": "payments"},
        "admin:app_list": {"app_label": "policy"},
    }


def audit_rows(people: People, decided: Review, folder: Path) -> dict[str, dict[str, object]]:
    """A sealed log with a signed checkpoint and an export."""
    tenant = people.tenant.pk
    with as_tenant(tenant):
        export = request_export(tenant, actor=Actor("member", str(people.otto.pk)), with_disclosures=False)
    while seal_pending():
        pass
    Notary(key=KEY, directory=folder / "notary").cycle(at_once=True)
    with as_tenant(tenant, using=READER):
        checkpoint = Checkpoint.objects.using(READER).order_by("-size").first()
    assert checkpoint is not None
    return {
        "audit:entry": {"uid": UUID(decided.entry_uid)},
        "audit:checkpoint": {"size": checkpoint.size},
        "audit:bundle": {"uid": export.uid},
    }
