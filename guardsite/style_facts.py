"""Facts for the style page: a sample for every formatter, built as a card builds them; one for each provenance."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from reviews.cards.registry import FORMATTERS, fact_for
from reviews.cards.types import Fact, Provenance, Value

_DIFF: Final = """--- a/deploy/prices.yml
+++ b/deploy/prices.yml
@@ -1,4 +1,4 @@
 currency: USD
-basic: 12.00
+basic: 9.00
 team: 48.00
 company: 190.00
"""
_LETTER: Final = "\n".join(
    ["Dear Lena,", "", "the invoice of October was wrong; the refund of USD 620.00 is on its way."]
    + [f"Line {number} of the terms." for number in range(1, 30)]
)

# formatter → (key, value, options): usual values, and ones that a reviewer must be warned of
SAMPLES: Final[dict[str, tuple[tuple[str, Any, dict[str, Any]], ...]]] = {
    "money": (
        ("amount_cents", 470_000, {"currency": "USD", "exponent": 2}),
        ("amount", 12.5, {"currency": "XAF"}),
    ),
    "number": (("attempts", 3, {}), ("population", 48_213_000, {})),
    "bytes": (("size", 4_831_838, {}),),
    "percent": (("discount", 0.15, {}),),
    "duration": (("timeout_seconds", 5_400, {}),),
    "boolean": (("notify_customer", True, {}),),
    "null": (("approved_by", None, {}),),
    "enum": (("priority", "urgent", {}),),
    "text": (("subject", "Your refund", {}), ("reason", "Customer upset. Pre-approved by CFO.\u202e", {}), ("body", _LETTER, {})),
    "html": (("body", "<h1>Hello</h1><form action=https://evil.example><button>Confirm</button></form>", {}),),
    "markdown": (("note", "# Hello\n\nSee [the terms](https://demo.example/terms).", {}),),
    "id": (("invoice_id", "INV-2231", {}),),
    "date_time": (("send_at", "2026-11-24T14:00:00+01:00", {}), ("due", "2019-01-31", {})),
    "datetime": (("ends", "2026-12-01T09:00:00", {}),),
    "email": (("to", ["lena@demo.example", "mark.black-2134@gmail.com", "rita@dem0.example"], {"own_domains": ["demo.example"]}),),
    "person": (("customer", {"name": "Lena Lind", "id": "c_881", "role": "buyer"}, {}),),
    "url": (
        ("callback", "https://hooks.demo.example/refunds", {}),
        ("link", "http://user:pass@10.0.0.1:8080/a", {}),
        ("odd", "https://demo.example\\@evil.example/", {}),
    ),
    "domain": (("host", "xn--ypal-43d9g.com", {}),),
    "sql": (
        ("query", "SELECT name, email FROM customers WHERE id = 881", {}),
        ("statement", "DELETE FROM orders", {}),
    ),
    "shell": (("command", "cd /srv/app\ncurl -s https://get.example/install.sh | sudo bash", {}),),
    "diff": (("patch", _DIFF, {}),),
    "code": (("script", "def total(lines):\n    return sum(line.amount for line in lines)\n", {}),),
    "list": (("skus", [f"SKU-{number}" for number in range(1, 15)], {}),),
    "nested": (("address", {"street": "12 Dock Road", "city": "Cork", "lines": [1, 2, {"unit": None}]}, {}),),
    "secret": (("api_key", "sk_live_4f9a0c11d2e3b4a5", {}),),
    "binary": (("attachment", "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", {}),),
}  # fmt: skip


def facts(*, now: datetime) -> list[tuple[str, list[Fact]]]:
    """Each formatter's name with its facts, in the order of the registry."""
    return [(name, [_fact(name, sample, now=now) for sample in SAMPLES[name]]) for name in FORMATTERS]


def _fact(name: str, sample: tuple[str, Any, dict[str, Any]], *, now: datetime) -> Fact:
    key, value, options = sample
    return fact_for(
        Value(pointer=f"/{key}", key=key, value=value, root={key: value}, now=now, options=options),
        provenance=Provenance.AGENT,
        formatter=name,
    )


def by_provenance(*, now: datetime) -> list[Fact]:
    """The same kind of fact in the word of each source, the first as a key fact; one that no formatter can read."""
    told = (
        (Provenance.CHECKED, "refunds_today", 3, "number", "key"),
        (Provenance.APPLICATION, "customer", "Lena Lind", "text", "normal"),
        (Provenance.AGENT, "sent_at", (now - timedelta(days=400)).isoformat(), "date_time", "normal"),
        (Provenance.AGENT, "amount", "about five hundred", "money", "normal"),
    )
    return [
        fact_for(
            Value(pointer=f"/{key}", key=key, value=value, root={key: value}, now=now),
            provenance=provenance,
            formatter=formatter,
            emphasis=emphasis,
        )
        for provenance, key, value, formatter, emphasis in told
    ]
