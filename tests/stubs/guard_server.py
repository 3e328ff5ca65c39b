"""A guard on loopback that speaks /v1 strictly, records every request, and fails on demand.

It holds the SDK to the contract where the real server can't be made to: answering HTML, hanging, dropping the
connection after the work was done. Whatever a request gets wrong is a 422 here, and `GuardServer.complaints` names it.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

API_KEY = "gsk_test_0193abcd_THE-SECRET-PART"
EVALUATE_REQUIRED = {"idempotency_key": str, "action_id": str, "params": dict, "user_context": dict}
EVALUATE_OPTIONAL = {
    "run_id": str,
    "tool_call_id": str,
    "agent": str,
    "floor": str,
    "repeat": str,
    "context": dict,
    "resume": dict,
    "refused": str,
    "raw_arguments": str,
    "ran_unanswered": bool,
}


@dataclass
class Recorded:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class StubReview:
    """A held call in the stub's queue."""

    review_id: str
    call_id: str
    action_id: str
    params: dict[str, Any]
    state: str = "pending"
    version: int = 1
    message: str = ""
    amended: bool = False
    grant_id: str | None = None
    execution_key: str | None = None
    outcome: dict[str, Any] | None = None


@dataclass
class Fault:
    """What to do instead of answering, for the next `count` requests whose path starts with `path`."""

    kind: str
    path: str = "/v1/"
    count: int = 1_000_000
    seconds: float = 0.0


@dataclass
class GuardServer:
    """The stub's whole state; `url` is its address."""

    url: str = ""
    rules: dict[str, str] = field(default_factory=dict)
    modes: list[dict[str, Any]] = field(default_factory=list)
    requests: list[Recorded] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    answered: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    reviews: dict[str, StubReview] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: dict[str, str] = field(default_factory=dict)
    open_waits: int = 0
    most_open_waits: int = 0
    connection_count: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def asked(self) -> list[Any]:
        """The bodies of every evaluate request that arrived, tries included."""
        return [request.body for request in self.requests if request.path == "/v1/evaluate"]

    def decide(
        self, review_id: str, state: str, *, params: dict[str, Any] | None = None, message: str = ""
    ) -> StubReview:
        """A person's verdict, or the clock's."""
        with self.changed:
            review = self.reviews[review_id]
            review.state, review.version, review.message = state, review.version + 1, message
            if params is not None:
                review.params, review.amended = params, True
            if state == "approved":
                review.grant_id = f"gr_{uuid.uuid4().hex}"
            self.changed.notify_all()
            return review

    def only_review(self, *, timeout_seconds: float = 5.0) -> StubReview:
        """The one review there is, as soon as there is one."""
        deadline = time.monotonic() + timeout_seconds
        with self.changed:
            while not self.reviews and self.changed.wait(max(0.01, deadline - time.monotonic())):
                pass
            (review,) = self.reviews.values()
            return review

    def fail(self, kind: str, *, path: str = "/v1/", count: int = 1_000_000, seconds: float = 0.0) -> None:
        """From now on: `500`, `html`, `redirect`, `slow`, `drop` (work done, no answer), or a status number."""
        self.faults.append(Fault(kind, path, count, seconds))

    def heal(self) -> None:
        """No fault from now on."""
        self.faults.clear()


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, *, path: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.path = status, code, path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: GuardServer

    def setup(self) -> None:
        super().setup()
        self.state.connection_count += 1

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.state.changed:
            self.state.requests.append(Recorded(self.command, parts.path, parse_qs(parts.query), headers, body))
            fault = next((one for one in self.state.faults if one.count > 0 and parts.path.startswith(one.path)), None)
            if fault is not None:
                fault.count -= 1
        if fault is not None and self._misbehave(fault):
            return
        try:
            if headers.get("authorization") != f"Bearer {API_KEY}":
                raise _RefusedError(401, "key_invalid")
            status, answer = self._answer(parts.path, parse_qs(parts.query), body)
        except _RefusedError as refused:
            if refused.status == 422:
                self.state.complaints.append(f"{self.command} {parts.path}: {refused.path}")
            errors = [{"path": refused.path, "code": "invalid"}] if refused.path else []
            problem = {"code": refused.code, "title": refused.code, "request_id": "req_1", "errors": errors}
            self._send(refused.status, problem, media_type="application/problem+json")
            return
        if fault is not None and fault.kind == "drop":
            self.close_connection = True
            return
        if fault is not None and fault.kind == "lie":
            answer = {**answer, "decision": "maybe"}
        if fault is not None and fault.kind == "nameless":
            answer.pop("call_id", None)
        self._send(status, answer)

    def _misbehave(self, fault: Fault) -> bool:
        """Whether the fault was the whole answer."""
        match fault.kind:
            case "drop" | "lie" | "nameless":
                return False
            case "slow":
                time.sleep(fault.seconds)
                return False
            case "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                end = time.monotonic() + fault.seconds
                while time.monotonic() < end:
                    try:
                        self.wfile.write(b"X-More: 1\r\n")
                    except OSError:
                        break
                    time.sleep(0.05)
                self.close_connection = True
            case "html":
                self._send_bytes(200, b"<html>Welcome to the guest network</html>", "text/html")
            case "html-as-json":
                self._send_bytes(200, b"<html>Welcome to the guest network</html>", "application/json")
            case "twice":
                self._send_bytes(200, b'{"decision":"deny","decision":"allow","call_id":"tc_1"}', "application/json")
            case "redirect":
                self.send_response(307)
                self.send_header("Location", self.state.url + "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case status:
                self._send_bytes(int(status), b'{"code": "internal"}', "application/problem+json")
        return True

    def _send(self, status: int, answer: object, *, media_type: str = "application/json") -> None:
        self._send_bytes(status, json.dumps(answer).encode(), media_type)

    def _send_bytes(self, status: int, data: bytes, media_type: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True  # the client went away, as it may

    def _answer(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, dict[str, Any]]:
        match [self.command, *path.strip("/").split("/")]:
            case ["POST", "v1", "evaluate"]:
                return 200, self._evaluate(body)
            case ["GET", "v1", "reviews"]:
                return 200, self._list(query)
            case ["GET", "v1", "reviews", review_id]:
                return 200, self._review(review_id, query)
            case ["POST", "v1", "reviews", review_id, "cancel"]:
                _check(body, {"reason": str}, {})
                if self._found(review_id).state != "pending":
                    raise _RefusedError(409, "review_closed")
                return 200, _shown(self.state.decide(review_id, "withdrawn"))
            case ["POST", "v1", "agents", "heartbeat"]:
                _check(body, {"waiting": list, "gone": list}, {})
                return 200, {"reviews": [_shown(self._found(one["review_id"])) for one in body["waiting"]]}
            case ["POST", "v1", "executions"]:
                return self._execute(body)
            case ["POST", "v1", "executions", execution_id, "outcome"]:
                return 200, self._outcome(execution_id, body)
            case ["GET", "v1", "policy", "info"]:
                return 200, {"tenant": "demo", "agent": "bot", "default_mode": "enforce", "actions": self.state.modes}
        raise _RefusedError(404, "not_found")

    def _evaluate(self, body: Any) -> dict[str, Any]:
        _check(body, EVALUATE_REQUIRED, EVALUATE_OPTIONAL)
        if body.get("repeat", "join") not in ("join", "new") or body.get("floor", "deny") not in ("review", "deny"):
            raise _RefusedError(422, "invalid_request", path="/floor")
        content = json.dumps([body["action_id"], body["params"], body["user_context"]], sort_keys=True)
        with self.state.changed:
            stored = self.state.answered.get(body["idempotency_key"])
            if stored is not None:
                if stored[0] != content:
                    raise _RefusedError(409, "idempotency_conflict")
                return {**stored[1], "replayed": True}
            answer = self._decided(body)
            self.state.answered[body["idempotency_key"]] = (content, answer)
            self.state.changed.notify_all()
            return answer

    def _decided(self, body: Any) -> dict[str, Any]:
        rule = self.state.rules.get(body["action_id"], "allow")
        decision = "deny" if "refused" in body else rule
        answer: dict[str, Any] = {
            "call_id": f"tc_{uuid.uuid4().hex}",
            "decision": decision,
            "effect": decision,
            "mode": "enforce",
            "code": body.get("refused") or {"deny": "policy_denied", "review": "policy_review_required"}.get(decision),
            "rule": None if decision == "allow" else "the-rule",
            "message": "" if decision == "allow" else "Not without a person.",
            "call_digest": "sha256:00",
            "review_id": None,
            "review": None,
            "receipt": {"entry_id": "0193", "body_hash": "00", "received_us": 1, "checkpoint": None},
            "params": None,
            "amended": False,
            "grant": None,
            "valid_until": None,
            "replayed": False,
        }
        if decision != "review":
            return answer
        for review in self.state.reviews.values():  # repeat: join
            if review.action_id == body["action_id"] and review.params == body["params"]:
                if review.state == "approved" and review.execution_key is None:
                    grant = {"grant_id": review.grant_id, "expires_at": "2026-01-01T00:00:00Z"}
                    return {**answer, "decision": "allow", "code": None, "grant": grant, "params": review.params}
                break
        else:
            review = StubReview(f"rv_{uuid.uuid4().hex}", answer["call_id"], body["action_id"], body["params"])
            self.state.reviews[review.review_id] = review
        shown = {"state": review.state, "version": review.version, "expires_at": "2026-01-01T00:00:00Z", "url": "u"}
        return {**answer, "review_id": review.review_id, "review": shown}

    def _found(self, review_id: str) -> StubReview:
        review = self.state.reviews.get(review_id)
        if review is None:
            raise _RefusedError(404, "not_found")
        return review

    def _review(self, review_id: str, query: dict[str, list[str]]) -> dict[str, Any]:
        review = self._found(review_id)
        since = int(query.get("since", ["0"])[0])
        self._wait(query, lambda: review.version > since)
        return _shown(review)

    def _list(self, query: dict[str, list[str]]) -> dict[str, Any]:
        if "state" in query:
            owed = [one for one in self.state.reviews.values() if one.state == "approved" and not one.execution_key]
            after = int(query.get("after", ["0"])[0])
            following = str(after + 1) if after + 1 < len(owed) else None
            return {"reviews": [_shown(one) for one in owed[after : after + 1]], "next": following}
        reviews = [self._found(review_id) for review_id in query["id"]]
        if len(reviews) > 100:
            raise _RefusedError(422, "invalid_request", path="/id")
        self._wait(query, lambda: any(review.state != "pending" for review in reviews))
        return {"reviews": [_shown(review) for review in reviews]}

    def _wait(self, query: dict[str, list[str]], is_over: Callable[[], bool]) -> None:
        seconds = float(query.get("wait", ["0"])[0])
        if not 0 <= seconds <= 25:
            raise _RefusedError(422, "invalid_request", path="/wait")
        deadline = time.monotonic() + seconds
        with self.state.changed:
            self.state.open_waits += 1
            self.state.most_open_waits = max(self.state.most_open_waits, self.state.open_waits)
            while not is_over() and (remaining := deadline - time.monotonic()) > 0:
                self.state.changed.wait(min(0.05, remaining))
                if self._is_left():
                    break
            self.state.open_waits -= 1

    def _is_left(self) -> bool:
        """Whether the client hung up while it waited."""
        self.connection.setblocking(False)
        try:
            return bool(self.connection.recv(1) == b"")
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.connection.setblocking(True)

    def _execute(self, body: Any) -> tuple[int, dict[str, Any]]:
        if "call_id" in body:
            _check(body, {"call_id": str, "outcome": dict}, {})
            _check_outcome(body["outcome"])
            if body["call_id"] in self.state.reports:
                raise _RefusedError(409, "outcome_recorded")
            self.state.reports[body["call_id"]] = body["outcome"]
            return 201, {"execution_id": f"ex_{uuid.uuid4().hex}", "state": "reported"}
        _check(body, {"grant_id": str, "params": dict, "idempotency_key": str}, {})
        with self.state.changed:
            review = next((one for one in self.state.reviews.values() if one.grant_id == body["grant_id"]), None)
            if review is None:
                raise _RefusedError(404, "not_found")
            if review.params != body["params"]:
                raise _RefusedError(409, "grant_mismatch")
            if review.execution_key not in (None, body["idempotency_key"]):
                raise _RefusedError(409, "grant_used")
            is_replayed = review.execution_key is not None
            review.execution_key = body["idempotency_key"]
            execution_id = next(
                (key for key, value in self.state.executions.items() if value == review.review_id),
                f"ex_{uuid.uuid4().hex}",
            )
            self.state.executions[execution_id] = review.review_id
        answer = {"execution_id": execution_id, "state": "started", "call_digest": "sha256:00", "replayed": is_replayed}
        return (200 if is_replayed else 201), answer

    def _outcome(self, execution_id: str, body: Any) -> dict[str, Any]:
        _check_outcome(body)
        if execution_id not in self.state.executions:
            raise _RefusedError(404, "not_found")
        review = self.state.reviews[self.state.executions[execution_id]]
        if review.outcome is not None:
            raise _RefusedError(409, "outcome_recorded")
        review.outcome = body
        return {"execution_id": execution_id, "state": body["outcome"]}


def _shown(review: StubReview) -> dict[str, Any]:
    is_approved = review.state == "approved"
    grant = {"grant_id": review.grant_id, "expires_at": "2026-01-01T00:00:00Z"}
    return {
        "review_id": review.review_id,
        "call_id": review.call_id,
        "action_id": review.action_id,
        "state": review.state,
        "version": review.version,
        "verdict": {"approved": "approve_with_amendments" if review.amended else "approve", "denied": "deny"}.get(
            review.state
        ),
        "message": review.message,
        "amended": review.amended,
        "call_digest": "sha256:00",
        "params": review.params if is_approved else None,
        "grant": grant if is_approved else None,
    }


def _check(body: Any, required: Mapping[str, type], optional: Mapping[str, type]) -> None:
    if not isinstance(body, dict):
        raise _RefusedError(422, "invalid_request", path="/")
    for name in required.keys() - body.keys():
        raise _RefusedError(422, "invalid_request", path=f"/{name} is missing")
    for name, value in body.items():
        kind = required.get(name) or optional.get(name)
        if kind is None or not isinstance(value, kind):
            raise _RefusedError(422, "invalid_request", path=f"/{name}")


def _check_outcome(outcome: Any) -> None:
    _check(outcome, {"outcome": str}, {"duration_ms": object, "reference": object, "error": object})
    for name, kind in {"duration_ms": int, "reference": str, "error": str}.items():
        if outcome.get(name) is not None and not isinstance(outcome[name], kind):
            raise _RefusedError(422, "invalid_request", path=f"/outcome/{name}")
    if outcome["outcome"] not in ("succeeded", "failed", "not_run"):
        raise _RefusedError(422, "invalid_request", path="/outcome")


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that goes away is part of what is tested."""


@contextmanager
def guard_server() -> Iterator[GuardServer]:
    """A running stub; it ends with the block."""
    state = GuardServer()
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
