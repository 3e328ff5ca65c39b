"""Seeds the demo tenant through the write functions that everybody uses, so that queue, chain and history are real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from audit.errors import DomainError
from audit.scope import as_tenant
from policy import drafts, live, modes, revisions
from policy.models import Action, Rule
from policy.setup import open_policy
from reviews import card_templates, intake, verdicts
from reviews.demo import cast, samples
from reviews.demo.files import write_private
from reviews.models import Review
from reviews.wire import EvaluateIn, validate
from tenants.agents import save_agent
from tenants.keys import Caller, issue
from tenants.members import add_member, open_tenant
from tenants.models import Agent, Member, Tenant
from tenants.stepup import by_operator
from tenants.teams import save_team

CORPUS = Path(__file__).parent / "agentdojo_calls.jsonl"
KEY_FILE = "demo_agent.json"
BATCH = 50


@dataclass(frozen=True)
class Recorded:
    """One recorded call of the corpus."""

    suite: str
    task: str
    number: int
    action_id: str
    params: dict[str, Any]
    prompt: str


def seed(*, password: str, state_dir: Path, base_url: str, now: datetime) -> Tenant:
    """The demo tenant with people, rules, recorded calls and some verdicts; writes the demo agent's key file (0600).

    Raises DomainError when a write function refuses: a demo that cannot be made is a bug.
    """
    tenant = open_tenant("Demo", slug="demo", is_demo=True)
    open_policy(tenant.pk)
    people = _people(tenant, password)
    for slug, name, members in cast.TEAMS:
        save_team(people["adam"], slug=slug, name=name, members=[people[short].pk for short in members])
    agents = _agents(people["adam"], people["devi"])
    _policy(tenant, people["adam"])
    for template in (*cast.TEMPLATES, *samples.TEMPLATES):
        card_templates.activate(tenant.pk, **template, acting_member=people["adam"])
    for suite, agent in agents.items():
        if suite is not None:
            _replay(tenant, agent, suite, now=now)
    _play_samples(tenant, people["devi"], agents[None], now=now)
    _decide(tenant, people, now=now)
    token = issue(tenant.pk, name="demo_agent", agent=agents[None], acting_member=people["devi"]).token
    write_private(state_dir / KEY_FILE, json.dumps({"base_url": base_url, "api_key": token}))
    return tenant


def _people(tenant: Tenant, password: str) -> dict[str, Member]:
    people: dict[str, Member] = {}
    for short, name, role in cast.PEOPLE:
        people[short] = add_member(
            tenant,
            email=f"{short}@demo.example",
            name=name,
            roles=[role],
            password=password,
            acting_member=people.get("adam"),
        )
    return people


def _agents(acting: Member, owner: Member) -> dict[str | None, Agent]:
    return {
        suite: save_agent(acting, Agent(slug=slug, name=name, owner=owner, reviews_per_hour=cast.REVIEWS_PER_HOUR))
        for slug, name, suite in cast.AGENTS
    }


def _policy(tenant: Tenant, adam: Member) -> None:
    with as_tenant(tenant.pk):
        actions = (*cast.ACTIONS, *samples.ACTIONS)
        described = {action_id for action_id, *_ in actions}
        # What the corpus calls besides is mapped by name alone, so that only rules hold and deny.
        recorded = {call.action_id for suite in cast.PRINCIPALS for call in corpus(suite)}
        for action_id in sorted(recorded - described):
            title = action_id.partition(".")[2].replace("_", " ").capitalize()
            drafts.save_action(tenant.pk, acting=adam, action=Action(action_id=action_id, title=title))
        for action_id, title, schema, undo_text in actions:
            action = Action(action_id=action_id, title=title, schema=schema, undo_text=undo_text)
            drafts.save_action(tenant.pk, acting=adam, action=action)
        for rule in (*cast.RULES, *samples.RULES):
            drafts.save_rule(tenant.pk, acting=adam, rule=Rule(**rule))
        revisions.publish(
            tenant.pk, acting=adam, reason="First rules of the demo.", evidence=by_operator(timezone.now())
        )
        for action_id in (*cast.ENFORCED, *(action_id for action_id, *_ in samples.ACTIONS)):
            modes.set_action_mode(
                tenant.pk,
                acting=adam,
                action_id=action_id,
                mode="enforce",
                evidence=by_operator(timezone.now()),
                reason="The demo shows held calls.",
            )
    live.forget(tenant.pk)


def corpus(suite: str) -> Iterator[Recorded]:
    """The recorded calls of a suite, in order."""
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        task = json.loads(line)
        if task["suite"] != suite:
            continue
        for number, call in enumerate(task["calls"], start=1):
            yield Recorded(
                suite=suite,
                task=task["task"],
                number=number,
                action_id=f"{suite}.{call['function']}",
                params=call["args"],
                prompt=task["prompt"],
            )


def _caller(tenant: Tenant, agent: Agent) -> Caller:
    return Caller(
        tenant_id=tenant.pk,
        key_id=agent.pk,
        key_public_id="recorded",
        environment="test",
        scopes=frozenset({"evaluate"}),
        agent=agent,
    )


def _play_samples(tenant: Tenant, owner: Member, refund_bot: Agent, *, now: datetime) -> None:
    """The calls of `samples`, each asked by itself as its agent would."""
    agents = {slug: save_agent(owner, Agent(slug=slug, name=name, owner=owner)) for slug, name in samples.AGENTS}
    agents[refund_bot.slug] = refund_bot
    for number, (slug, action_id, params, run_id, said) in enumerate(samples.CALLS, start=1):
        request = validate(
            EvaluateIn,
            {
                "idempotency_key": f"sample:{number}",
                "action_id": action_id,
                "params": params,
                "user_context": samples.PRINCIPAL,
                "run_id": run_id,
                "repeat": "new",
                "context": {"messages": [said]},
            },
        )
        answer = intake.take(_caller(tenant, agents[slug]), [(request, agents[slug])], now=now)[0]
        if isinstance(answer, DomainError):
            raise answer


def _replay(tenant: Tenant, agent: Agent, suite: str, *, now: datetime) -> None:
    caller = _caller(tenant, agent)
    calls = [(_request(call), agent) for call in corpus(suite)]
    for start in range(0, len(calls), BATCH):
        for answer in intake.take(caller, calls[start : start + BATCH], now=now):
            if isinstance(answer, DomainError):
                raise answer


def _request(call: Recorded) -> EvaluateIn:
    return validate(
        EvaluateIn,
        {
            "idempotency_key": f"agentdojo:{call.suite}:{call.task}:{call.number}",
            "action_id": call.action_id,
            "params": call.params,
            "user_context": cast.PRINCIPALS[call.suite],
            "run_id": f"{call.suite}-{call.task}",
            "context": {"messages": [call.prompt]},
        },
    )


def _decide(tenant: Tenant, people: dict[str, Member], *, now: datetime) -> None:
    with as_tenant(tenant.pk):
        for review in Review.objects.of_tenant(tenant.pk).for_queue():
            suite, _, task = review.run_id.partition("-")
            decided = cast.DECIDED.get((suite, task))
            if decided is None or review.copy_of_id is not None:
                continue  # a copy goes with the call that it is a copy of
            who, kind, code, note = decided
            verdicts.decide(
                review.wire_id,
                acting_member=people[who],
                choice=verdicts.Choice(kind=kind, code=code, note=note),
                seen_version=review.version,
                seen_digest=review.call_digest,
                now=now,
            )
