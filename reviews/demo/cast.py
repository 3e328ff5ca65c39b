"""What the demo consists of: people, agents, actions, rules, card templates. Data only."""

from __future__ import annotations

from typing import Any, Final

# The owner first, who adds the others.
PEOPLE: Final = (
    ("adam", "Adam Abara", "owner"),
    ("rita", "Rita Reyes", "reviewer"),
    ("lena", "Lena Lind", "lead"),
    ("otto", "Otto Olsen", "auditor"),
    ("devi", "Devi Das", "developer"),
)

# slug, name, who is in it
TEAMS: Final = (("finance", "Finance", ("rita", "adam")), ("platform", "Platform", ("rita", "lena", "adam")))

# slug, name, the corpus suite it plays (None: the demo agent itself)
AGENTS: Final = (
    ("refund-bot", "refund-bot", None),
    ("banking-assistant", "Banking assistant", "banking"),
    ("slack-assistant", "Slack assistant", "slack"),
    ("travel-assistant", "Travel assistant", "travel"),
    ("workspace-assistant", "Workspace assistant", "workspace"),
)

# The corpus plays in a moment what agents do in weeks: that is no flood.
REVIEWS_PER_HOUR: Final = 500

# The person for whom the corpus's agents act; AgentDojo's own invention.
PRINCIPALS: Final = {
    "banking": {"user_id": "emma.johnson", "name": "Emma Johnson"},
    "slack": {"user_id": "emma.johnson", "name": "Emma Johnson"},
    "travel": {"user_id": "emma.johnson", "name": "Emma Johnson"},
    "workspace": {"user_id": "emma.johnson", "name": "Emma Johnson"},
}

_DAY: Final = 86_400

# action, title, schema of params or None, how to undo
ACTIONS: Final[tuple[tuple[str, str, dict[str, Any] | None, str], ...]] = (
    (
        "billing.refund",
        "Refund an invoice",
        {
            "type": "object",
            "required": ["invoice_id", "amount_cents"],
            "properties": {
                "invoice_id": {"type": "string"},
                "amount_cents": {"type": "integer", "minimum": 1},
                "currency": {"type": "string"},
                "customer": {"type": "string"},
                "reason": {"type": "string"},
            },
        },
        "Contact the customer: a refund that was paid out cannot be called back.",
    ),
    (
        "email.send",
        "Send an e-mail",
        {
            "type": "object",
            "required": ["to", "subject", "body"],
            "properties": {
                "to": {"type": "string"},
                "subject": {"type": "string"},
                "body": {"type": "string"},
            },
        },
        "",
    ),
    ("banking.send_money", "Send money", None, ""),
    ("banking.update_password", "Change the account password", None, ""),
    ("workspace.send_email", "Send an e-mail", None, ""),
    ("workspace.delete_file", "Delete a file", None, ""),
    ("travel.send_email", "Send an e-mail", None, ""),
    ("slack.invite_user_to_slack", "Invite somebody to the workspace", None, ""),
)

# These enforce; everything else in the demo observes, so that both can be seen.
ENFORCED: Final = (
    "billing.refund",
    "email.send",
    "banking.send_money",
    "banking.update_password",
    "workspace.send_email",
    "workspace.delete_file",
)

RULES: Final[tuple[dict[str, Any], ...]] = (
    {
        "slug": "refund-over-limit",
        "name": "Refund above USD 500",
        "scope_actions": ["billing.refund"],
        "condition": "params.amount_cents > 50000",
        "effect": "review",
        "reason": "Refunds above USD 500.00 need a person.",
        "note": "Compare the invoice with the amount.",
        "tier": 2,
        "team": "finance",
        "hold_seconds": 5,
        "due_in_seconds": 900,
        "expires_in_seconds": 7200,
        "tests": [
            {"name": "large", "context": {"params": {"invoice_id": "in_1", "amount_cents": 62000}}, "expect": "match"},
            {
                "name": "small",
                "context": {"params": {"invoice_id": "in_1", "amount_cents": 1900}},
                "expect": "no match",
            },
        ],
    },
    {
        "slug": "refund-free-plan",
        "name": "No refunds on the free plan",
        "scope_actions": ["billing.refund"],
        "condition": "has(user.plan) && user.plan == 'free'",
        "effect": "deny",
        "reason": "Customers on the free plan have nothing to refund.",
        "tier": 3,
        "tests": [
            {"name": "free", "context": {"user": {"plan": "free"}}, "expect": "match"},
            {"name": "paid", "context": {"user": {"plan": "pro"}}, "expect": "no match"},
        ],
    },
    {
        "slug": "email-outside",
        "name": "E-mail to somebody outside",
        "scope_actions": ["email.send"],
        "condition": "domain_of(params.to) != 'demo.example'",
        "effect": "review",
        "reason": "E-mail that leaves the company needs a person.",
        "note": "Check the recipient and what is attached.",
        "tier": 2,
        "hold_seconds": 5,
        "due_in_seconds": 900,
        "expires_in_seconds": 7200,
        "tests": [
            {"name": "outside", "context": {"params": {"to": "a@example.org"}}, "expect": "match"},
            {"name": "inside", "context": {"params": {"to": "a@demo.example"}}, "expect": "no match"},
        ],
    },
    {
        "slug": "workspace-email-outside",
        "name": "Assistant's e-mail to somebody outside",
        "scope_actions": ["workspace.send_email", "travel.send_email"],
        "condition": "params.recipients.exists(r, domain_of(r) != 'bluesparrowtech.com')",
        "effect": "review",
        "reason": "E-mail that leaves the company needs a person.",
        "note": "Look-alike domains count as outside.",
        "tier": 2,
        "due_in_seconds": _DAY,
        "expires_in_seconds": 30 * _DAY,
    },
    {
        "slug": "transfer-over-limit",
        "name": "Transfer above 100",
        "scope_actions": ["banking.send_money"],
        "condition": "num(params.amount) > 100",
        "effect": "review",
        "reason": "Transfers above 100 need a person.",
        "note": "Is the recipient one the customer knows?",
        "tier": 2,
        "team": "finance",
        "due_in_seconds": _DAY,
        "expires_in_seconds": 30 * _DAY,
    },
    {
        "slug": "transfer-ceiling",
        "name": "No transfer above 100,000",
        "scope_actions": ["banking.send_money"],
        "condition": "num(params.amount) > 100000",
        "effect": "deny",
        "reason": "Transfers above 100,000 are not made by agents.",
        "tier": 3,
        "tests": [
            {"name": "huge", "context": {"params": {"amount": 1000000}}, "expect": "match"},
            {"name": "usual", "context": {"params": {"amount": 98.7}}, "expect": "no match"},
        ],
    },
    {
        "slug": "password-change",
        "name": "Agents change no passwords",
        "scope_actions": ["banking.update_password"],
        "condition": "has(params.password)",
        "effect": "deny",
        "reason": "Agents do not change passwords.",
        "tier": 3,
        "tests": [
            {"name": "with one", "context": {"params": {"password": "x"}}, "expect": "match"},
            {"name": "without", "context": {"params": {}}, "expect": "no match"},
        ],
    },
    {
        "slug": "file-deletion",
        "name": "Deleting a file",
        "scope_actions": ["workspace.delete_file"],
        "condition": "has(params.file_id)",
        "effect": "review",
        "reason": "Deleting a file needs a look.",
        "tier": 1,
        "due_in_seconds": _DAY,
        "expires_in_seconds": 30 * _DAY,
    },
    {
        "slug": "invite-outside",
        "name": "Invitation to somebody outside",
        "scope_actions": ["slack.invite_user_to_slack"],
        "condition": "domain_of(params.user_email) != 'bluesparrowtech.com'",
        "effect": "review",
        "reason": "Inviting somebody from outside needs a person.",
        "tier": 2,
    },
)

TEMPLATES: Final[tuple[dict[str, Any], ...]] = (
    {
        "action_id": "billing.refund",
        "sentence": "refund {amount} to {customer} for invoice {invoice}",
        "decisive": "/amount_cents",
        "facts": [
            {
                "slot": "amount",
                "pointer": "/amount_cents",
                "label": "Amount",
                "formatter": "money",
                "options": {"minor": True, "currency_pointer": "/currency", "currency": "USD"},
                "emphasis": "key",
                "amend": "narrow",
                "direction": "down",
            },
            {"slot": "customer", "pointer": "/customer", "label": "Customer", "formatter": "text", "emphasis": "key"},
            {"slot": "invoice", "pointer": "/invoice_id", "label": "Invoice", "formatter": "id", "emphasis": "key"},
            {"slot": "reason", "pointer": "/reason", "label": "Reason", "formatter": "text"},
        ],
        "undo": "no",
    },
    {
        "action_id": "email.send",
        "sentence": "send an e-mail to {to}: {subject}",
        "decisive": "/to",
        "facts": [
            {
                "slot": "to",
                "pointer": "/to",
                "label": "To",
                "formatter": "email",
                "options": {"own_domains": ["demo.example"]},
                "emphasis": "key",
            },
            {"slot": "subject", "pointer": "/subject", "label": "Subject", "formatter": "text", "emphasis": "key"},
            {"slot": "body", "pointer": "/body", "label": "Body", "formatter": "text"},
        ],
    },
    *(
        {
            "action_id": f"{suite}.send_email",
            "sentence": "send an e-mail to {to}: {subject}",
            "decisive": "/recipients",
            "facts": [
                {
                    "slot": "to",
                    "pointer": "/recipients",
                    "label": "To",
                    "formatter": "email",
                    "options": {"own_domains": ["bluesparrowtech.com"]},
                    "emphasis": "key",
                },
                {"slot": "subject", "pointer": "/subject", "label": "Subject", "formatter": "text", "emphasis": "key"},
                {"slot": "body", "pointer": "/body", "label": "Body", "formatter": "text"},
            ],
        }
        for suite in ("workspace", "travel")
    ),
    {
        "action_id": "workspace.delete_file",
        "sentence": "delete file {file}",
        "decisive": "/file_id",
        "facts": [{"slot": "file", "pointer": "/file_id", "label": "File", "formatter": "id", "emphasis": "key"}],
    },
    {
        "action_id": "banking.send_money",
        "sentence": "send {amount} to {recipient}: {subject}",
        "decisive": "/amount",
        "facts": [
            {"slot": "amount", "pointer": "/amount", "label": "Amount", "formatter": "number", "emphasis": "key"},
            {"slot": "recipient", "pointer": "/recipient", "label": "Recipient", "formatter": "id", "emphasis": "key"},
            {"slot": "subject", "pointer": "/subject", "label": "Subject", "formatter": "text", "emphasis": "key"},
            {"slot": "date", "pointer": "/date", "label": "Date", "formatter": "datetime"},
        ],
    },
)

# Held calls of the corpus that somebody has decided already: task → (who, verdict, code, note). The rest waits.
DECIDED: Final = {
    ("workspace", "user_task_33"): ("rita", "approve", "expected", "The client asked for the summary."),
    ("workspace", "injection_task_5"): ("rita", "deny", "suspicious", "A security code, to an address nobody knows."),
    ("workspace", "injection_task_4"): ("lena", "deny", "suspicious", "Same address, same code in the text."),
    ("workspace", "user_task_35"): ("rita", "approve", "looks_right", ""),
    ("banking", "injection_task_6"): ("lena", "deny", "wrong_target", "Split transfers to an unknown account."),
}
