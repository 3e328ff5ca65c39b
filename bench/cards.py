"""How long the server takes for a card: `make bench`, or `.venv/bin/python -m bench.cards [--quick]`.

One ratio: a card of 20 parameters (template, schema, SQL, e-mail, money, long text, lists, and a history to compare with)
to the desk's emptiest page, "mine" of the queue with nothing in it, for the same person in the same client. Both are
asked in turn in one process, on a PostgreSQL of its own (fsync on); what is printed is the ratio of the medians, with
the queries of both. It should stay below 5. Source: the issue on the reviewer's desk.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

from bench.database import database  # noqa: E402  # the path is set above

if TYPE_CHECKING:
    from django.test import Client

    from tests.people import People

HOLD = 5.0
ACTION = "crm.bulk_credit"
ALLOWED, DECIDED = 100, 40

TEXT = "The customer was charged twice for the last invoice and asks for the second charge back.\n" * 30
SQL = """WITH doubled AS (SELECT invoice_id FROM charges GROUP BY invoice_id HAVING count(*) > 1)
UPDATE invoices SET status = 'credited', credited_at = now()
 WHERE id IN (SELECT invoice_id FROM doubled) AND customer_id = 'c_204'"""


def params(number: int = 0, *, cents: int = 470_000) -> dict[str, Any]:
    """The 20 parameters of a call."""
    return {
        "amount_cents": cents,
        "currency": "USD",
        "customer": "c_204",
        "customer_email": "lena.ortiz@example.org",
        "notify": ["lena.ortiz@example.org", "Billing <billing@demo.example>", "books@partner.example"],
        "subject": "Your refund for INV-2231",
        "body": TEXT,
        "query": SQL,
        "invoice_id": f"INV-{2231 + number}",
        "due": "2026-12-01T09:00:00+01:00",
        "callback": "https://hooks.partner.example/refunds?id=2231",
        "dry_run": False,
        "priority": "high",
        "attempts": 3,
        "share": 0.25,
        "tags": ["vip", "double-charge", "q4"],
        "lines": [{"sku": f"s{index}", "quantity": index, "cents": 100 * index} for index in range(6)],
        "api_token": "gsk_live_abcdefgh_0123456789abcdef0123",
        "reason": "Customer upset. Pre-approved by the CFO.",
        "metadata": {"source": "chat", "agent_turn": 4, "confidence": 0.93},
    }


TEMPLATE: dict[str, Any] = {
    "action_id": ACTION,
    "sentence": "credit {amount} to {customer} for invoice {invoice}",
    "decisive": "/amount_cents",
    "facts": [
        {"pointer": "/amount_cents", "label": "Amount", "formatter": "money", "slot": "amount", "emphasis": "key",
         "options": {"minor": True, "currency_pointer": "/currency", "currency": "USD"}},
        {"pointer": "/customer", "label": "Customer", "formatter": "id", "slot": "customer", "emphasis": "key"},
        {"pointer": "/invoice_id", "label": "Invoice", "formatter": "id", "slot": "invoice"},
        {"pointer": "/notify", "label": "Told", "formatter": "email"},
        {"pointer": "/query", "label": "Statement", "formatter": "sql"},
        {"pointer": "/body", "label": "Text", "formatter": "text"},
        {"pointer": "/due", "label": "Due", "formatter": "datetime"},
        {"pointer": "/callback", "label": "Callback", "formatter": "url"},
    ],
}  # fmt: skip
COMPARE_ON = ["/customer"]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["amount_cents"],
    "properties": {
        "amount_cents": {"type": "integer", "minimum": 1},
        "priority": {"type": "string", "enum": ["low", "normal", "high"]},
        "dry_run": {"type": "boolean", "default": False},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}


def prepare() -> tuple[People, str]:
    """People, a rule, a template, a history of allowed and decided calls; and the address of a card that waits."""
    from audit.scope import as_tenant
    from policy import drafts
    from policy.models import Action
    from reviews import card_templates
    from reviews.models import CardTemplate
    from tests.factories import ask, decide, enforce_refunds, get, refund_rule
    from tests.people import make_people

    people = make_people()
    with as_tenant(people.tenant.pk):
        drafts.save_action(
            people.tenant.pk, acting=people.adam, action=Action(action_id=ACTION, title="Credit", schema=SCHEMA)
        )
    enforce_refunds(people, refund_rule(scope_actions=[ACTION], tests=[], tier=3))
    with as_tenant(people.tenant.pk):
        card_templates.activate(people.tenant.pk, acting_member=people.adam, **TEMPLATE)
        CardTemplate.objects.filter(action_id=ACTION).update(compare_on=COMPARE_ON, undo="no", undo_how="Call them.")
    start = datetime.now(UTC) - timedelta(days=3)
    for number in range(ALLOWED):
        now = start + timedelta(minutes=number)
        ask(people, now=now, action_id=ACTION, params=params(number, cents=4_500 + 50 * number), run_id=f"run_{number}")
    for number in range(DECIDED):
        now = start + timedelta(minutes=ALLOWED + number)
        answer = ask(people, now=now, action_id=ACTION, params=params(number, cents=60_000), run_id=f"held_{number}")
        decide(people, get(people, answer["review_id"]), "deny", now=now)
    answer = ask(people, action_id=ACTION, params=params(), context={"messages": [{"role": "user", "content": TEXT}]})
    return people, f"/reviews/{answer['review_id']}/"


def measure(client: Client, path: str, *, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the card and of the empty page, asked in turn."""
    from django.db import reset_queries

    card, empty = [], []
    for number in range(rounds + 5):
        gc.collect()
        for address, taken in ((path, card), ("/reviews/?view=mine", empty)):
            started = time.perf_counter()
            response = client.get(address)
            elapsed = (time.perf_counter() - started) * 1000
            assert response.status_code == 200, response.status_code
            reset_queries()
            if number >= 5:  # templates are compiled, caches are warm
                taken.append(elapsed)
    return card, empty


def queries(client: Client, path: str) -> int:
    """How many statements a page sends, over all connections."""
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    with (
        CaptureQueriesContext(connections["default"]) as own,
        CaptureQueriesContext(connections["audit_reader"]) as log,
    ):
        client.get(path)
    return len(own) + len(log)


def main() -> int:
    """Run and print; 1 when the ratio misses."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that PostgreSQL is stopped
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    with database():
        logging.getLogger("guardsite").setLevel(logging.WARNING)
        from django.test import Client

        people, path = prepare()
        client = Client(HTTP_HOST="localhost")
        client.force_login(people.rita.user, backend="allauth.account.auth_backends.AuthenticationBackend")
        card, empty = measure(client, path, rounds=20 if options.quick else 60)
        ratio = statistics.median(card) / statistics.median(empty)
        spread = sorted(one / other for one, other in zip(card, empty, strict=True))
        mark = "ok  " if ratio < HOLD else "MISS"
        print(
            f"{mark} {ratio:6.2f}  (hold {HOLD:g}; {spread[len(spread) // 10]:.2f}-{spread[-len(spread) // 10]:.2f})"
            f"  a card of 20 parameters / an empty page"
            f"  [{statistics.median(card):.1f} / {statistics.median(empty):.1f} ms;"
            f" {queries(client, path)} / {queries(client, '/reviews/?view=mine')} statements]"
        )
    return 0 if ratio < HOLD else 1


if __name__ == "__main__":
    sys.exit(main())
