"""`/v1`: the wire in and out. No rule lives here. Source: integrations.md section 1."""

from __future__ import annotations

import math
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Router

from audit.canonical import NotCanonical, TooLarge
from audit.errors import DomainError
from audit.scope import as_tenant
from policy import tool_offers
from policy.live import forget, live_policy
from reviews import answers, callers, executions, intake, limits, questions
from reviews.errors import InvalidRequest, NotJson, RateLimited, Unavailable
from reviews.reading import owed_reviews, read_reviews
from reviews.wire import (
    AnswerIn,
    BatchIn,
    CancelIn,
    EvaluateIn,
    ExecutionIn,
    HeartbeatIn,
    OutcomeIn,
    ToolsIn,
    read,
    validate,
)
from tenants.isolation import rows_of
from tenants.keys import Caller
from tenants.models import Agent, Tenant

API_REVISION = 1
REVISION_HEADER = "Guard-Api-Revision"
router = Router()


def _answer(members: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse(members, status=status, headers={REVISION_HEADER: str(API_REVISION), **(headers or {})})


def caller_of(request: HttpRequest, scope: str) -> Caller:
    """The authenticated caller, with the scope. Raises ScopeMissing."""
    caller: Caller = request.auth  # type: ignore[attr-defined]  # set by ninja from KeyAuth
    caller.require(scope)
    return caller


def body_of(request: HttpRequest) -> bytes:
    """The raw body. Raises NotJson, TooLarge."""
    if request.content_type != "application/json":
        raise NotJson
    try:
        return request.body
    except RequestDataTooBig:
        raise TooLarge from None


def _schema(model: Any) -> dict[str, Any]:
    """The request body of an operation, for the OpenAPI document: bodies are read by `wire.read`, strictly."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


@router.post("/evaluate", openapi_extra=_schema(EvaluateIn), summary="Ask whether one call may run")
def evaluate(request: HttpRequest) -> JsonResponse:
    """One call, one answer, one committed entry."""
    caller = caller_of(request, "evaluate")
    _admit(caller, 1)
    now = timezone.now()
    body = b""
    try:
        body = body_of(request)
        call = read(EvaluateIn, body)
        prepared = _prepared(caller, call, request.headers.get("Idempotency-Key"))
    except (NotCanonical, InvalidRequest) as error:
        intake.refuse(caller, body=body, error=error, now=now)
        raise
    answer = intake.take(caller, [prepared], now=now)[0]
    if isinstance(answer, DomainError):
        raise answer
    return _answer(answer)


@router.post("/evaluate/batch", openapi_extra=_schema(BatchIn), summary="Ask for up to 50 calls")
def evaluate_batch(request: HttpRequest) -> JsonResponse:
    """One answer and one entry per call, in order; a bad call does not fail its neighbours."""
    caller = caller_of(request, "evaluate")
    now = timezone.now()
    body = b""
    try:
        body = body_of(request)
        batch = read(BatchIn, body)
    except (NotCanonical, InvalidRequest) as error:
        intake.refuse(caller, body=body, error=error, now=now)
        raise
    _admit(caller, len(batch.calls))
    results: list[dict[str, Any] | None] = []
    prepared: list[tuple[EvaluateIn, Agent]] = []
    places: list[int] = []
    for index, item in enumerate(batch.calls):
        try:
            prepared.append(_prepared(caller, validate(EvaluateIn, item), None))
        except InvalidRequest as error:
            intake.refuse(caller, body=body, error=error, now=now)
            results.append({"error": problem_members(error)})
            continue
        places.append(index)
        results.append(None)
    taken = intake.take(caller, prepared, now=now) if prepared else []
    for index, answer in zip(places, taken, strict=True):
        results[index] = {"error": problem_members(answer)} if isinstance(answer, DomainError) else answer
    return _answer({"results": results})


@router.get("/reviews/{review_id}", summary="A review; with wait, when it changes")
def get_review(request: HttpRequest, review_id: str) -> JsonResponse:
    """A review as it is now. With `wait` the long poll beside Django answers; reaching this, it is answered at once."""
    caller = caller_of(request, "reviews")
    found = read_reviews(caller, [review_id], now=timezone.now())
    return _answer(found[0])


@router.get("/reviews", summary="Several reviews, or what this agent still owes")
def list_reviews(request: HttpRequest) -> JsonResponse:
    """`?id=…&id=…`: those reviews. `?state=approved&execution=none`: approved and not yet run."""
    caller = caller_of(request, "reviews")
    ids = request.GET.getlist("id")
    if ids:
        return _answer({"reviews": read_reviews(caller, ids, now=timezone.now())})
    if request.GET.get("state") == "approved" and request.GET.get("execution") == "none":
        return _answer(owed_reviews(caller, after=request.GET.get("after"), now=timezone.now()))
    raise InvalidRequest(errors=[{"path": "/id", "code": "id_or_state_approved_and_execution_none"}])


@router.post("/reviews/{review_id}/cancel", openapi_extra=_schema(CancelIn), summary="No longer wanted")
def cancel_review(request: HttpRequest, review_id: str) -> JsonResponse:
    """Close the review; nobody needs to decide it."""
    caller = caller_of(request, "reviews")
    reason = read(CancelIn, body_of(request)).reason
    now = timezone.now()
    callers.cancel(caller, review_id, reason=reason, now=now)
    return _answer(read_reviews(caller, [review_id], now=now)[0])


@router.post(
    "/reviews/{review_id}/questions/{question_id}",
    openapi_extra=_schema(AnswerIn),
    summary="Answer what a reviewer asked",
)
def answer_question(request: HttpRequest, review_id: str, question_id: str) -> JsonResponse:
    """The review as it is now; a question is answered once."""
    caller = caller_of(request, "reviews")
    answer = read(AnswerIn, body_of(request)).answer
    now = timezone.now()
    questions.answer(caller, review_id, question_id, text=answer, now=now)
    return _answer(read_reviews(caller, [review_id], now=now)[0])


@router.post("/agents/heartbeat", openapi_extra=_schema(HeartbeatIn), summary="Still waiting, or given up")
def heartbeat(request: HttpRequest) -> JsonResponse:
    """The waiting reviews as they are now."""
    caller = caller_of(request, "reviews")
    beat = read(HeartbeatIn, body_of(request))
    now = timezone.now()
    reviews = callers.heartbeat(
        caller, waiting=[(item.review_id, item.next_check_in_s) for item in beat.waiting], gone=beat.gone, now=now
    )
    return _answer(
        {
            "reviews": [
                {
                    "review_id": review.wire_id,
                    "state": review.wire_state_at(now),
                    "version": review.wire_version_at(now),
                }
                for review in reviews
            ]
        }
    )


@router.post("/executions", openapi_extra=_schema(ExecutionIn), summary="Spend a grant, or report a plain allow")
def execute(request: HttpRequest) -> JsonResponse:
    """201 for a started execution, 200 when this key started it before; 200 for the outcome of a plain allow."""
    caller = caller_of(request, "evaluate")
    wanted = read(ExecutionIn, body_of(request))
    now = timezone.now()
    if wanted.grant_id is not None:
        assert wanted.params is not None
        assert wanted.idempotency_key is not None
        started = executions.start(
            caller, grant_id=wanted.grant_id, params=wanted.params, idempotency_key=wanted.idempotency_key, now=now
        )
        answer = answers.executed(started.execution, call_digest=started.call_digest, replayed=started.replayed)
        return _answer(answer, status=200 if started.replayed else 201)
    assert wanted.call_id is not None
    assert wanted.outcome is not None
    execution = executions.report_allowed(caller, wanted.call_id, wanted.outcome, now=now)
    return _answer(answers.executed(execution, call_digest=None, replayed=False))


@router.post("/executions/{execution_id}/outcome", openapi_extra=_schema(OutcomeIn), summary="What became of it")
def report_outcome(request: HttpRequest, execution_id: str) -> JsonResponse:
    """Recorded once, as the caller's word."""
    caller = caller_of(request, "evaluate")
    execution = executions.report(caller, execution_id, read(OutcomeIn, body_of(request)), now=timezone.now())
    return _answer(answers.executed(execution, call_digest=None, replayed=False))


@router.put("/tools", openapi_extra=_schema(ToolsIn), summary="Offer what the tools' providers say of them")
def offer_tools(request: HttpRequest) -> JsonResponse:
    """By tool its hash and whether it is the accepted one; the same offer again changes nothing."""
    caller = caller_of(request, "evaluate")
    wanted = read(ToolsIn, body_of(request))
    _admit(caller, math.ceil(len(wanted.tools) / 10))
    agent = _agent_of(caller, wanted.agent)
    offered = tool_offers.offer(
        caller.tenant_id,
        definitions=[tool.definition() for tool in wanted.tools],
        agent_id=agent.pk,
        by=callers.agent_actor(caller, agent),
        now=timezone.now(),
    )
    # The calls that this process answers next are judged by what was just offered; the others follow within 5 s.
    forget(caller.tenant_id)
    return _answer(
        {"tools": [{"action_id": one.action_id, "sha256": one.sha256, "state": one.state} for one in offered]}
    )


@router.get("/policy/info", summary="Modes, limits, revision")
def policy_info(request: HttpRequest) -> HttpResponse:
    """The modes that the server will apply; the ETag changes with them."""
    caller = caller_of(request, "evaluate")
    live = live_policy(caller.tenant_id)
    if live.state is None or live.program is None:
        raise Unavailable
    etag = f'"{live.state.version}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers={"ETag": etag, REVISION_HEADER: str(API_REVISION)})
    with as_tenant(caller.tenant_id):
        tenant = Tenant.objects.get(pk=caller.tenant_id)
    plain = (live.state.default_mode, live.state.percent)
    modes = dict.fromkeys(live.program.rules.actions, plain) | dict(live.state.overrides)
    return _answer(
        {
            "tenant": tenant.slug,
            "agent": caller.agent.slug if caller.agent else None,
            "api_revision": API_REVISION,
            "default_mode": live.state.default_mode,
            "percent": live.state.percent,
            "actions": [
                {"action_id": action_id, "mode": mode, "percent": percent}
                for action_id, (mode, percent) in sorted(modes.items())
            ],
            "revision": live.program.rules.number,
        },
        headers={"ETag": etag},
    )


def problem_members(error: DomainError) -> dict[str, Any]:
    """The members of a problem document that say what was refused, for a batch item."""
    members: dict[str, Any] = {"status": error.status, "code": error.code, "detail": error.sentence}
    if "errors" in error.details:
        members["errors"] = error.details["errors"]
    elif isinstance(error, NotCanonical):
        members["errors"] = [{"path": error.path, "code": error.code}]
    return members


def _prepared(caller: Caller, call: EvaluateIn, header_key: str | None) -> tuple[EvaluateIn, Agent]:
    """The call with its idempotency key and its agent. Raises InvalidRequest."""
    if call.idempotency_key is None:
        if header_key is None:
            raise InvalidRequest(errors=[{"path": "/idempotency_key", "code": "missing"}])
        call = validate(EvaluateIn, {**call.model_dump(exclude_unset=True), "idempotency_key": header_key})
    return call, _agent_of(caller, call.agent)


def _agent_of(caller: Caller, named: str | None) -> Agent:
    """The agent of the key, or the one that a gateway names. Raises InvalidRequest."""
    if caller.agent is not None:
        if named is not None and named != caller.agent.slug:
            raise InvalidRequest(errors=[{"path": "/agent", "code": "not_the_agent_of_this_key"}])
        return caller.agent
    if named is None:
        raise InvalidRequest(errors=[{"path": "/agent", "code": "missing"}])
    with as_tenant(caller.tenant_id):
        agent = rows_of(Agent, caller.tenant_id).filter(slug=named).first()
    if agent is None:
        raise InvalidRequest(errors=[{"path": "/agent", "code": "unknown_agent"}])
    return agent


def _admit(caller: Caller, calls: int) -> None:
    wait = limits.admit(caller.key_id, calls=calls)
    if wait:
        raise RateLimited(retry_after=math.ceil(wait))
