"""The conversation that an agent sends along with a call, in parts. All of it is the agent's word. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reviews.cards.registry import fact_for
from reviews.cards.text import reveal
from reviews.cards.types import Fact, Part, Provenance, Value

_KEY: Final = "messages"
# Who is said to have spoken, in words of ours: a role is what the agent wrote down.
_ROLES: Final = {
    "user": "user",
    "human": "user",
    "assistant": "agent",
    "ai": "agent",
    "model": "agent",
    "system": "instructions",
    "developer": "instructions",
    "tool": "tool result",
    "function": "tool result",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One message: whose it is said to be, and its text."""

    role: str
    parts: tuple[Part, ...]


def conversation(context: object) -> tuple[Said, ...]:
    """The messages of a call's context, in order: texts, or objects with a role and content. Loses none."""
    messages = context.get(_KEY) if isinstance(context, dict) else None
    if not isinstance(messages, list):
        return ()
    return tuple(_said(message) for message in messages)


def rest_of(context: object, *, now: datetime) -> Fact | None:
    """Everything else that came along, as one fact; None where there is nothing."""
    rest = context
    if isinstance(context, dict) and isinstance(context.get(_KEY), list):
        rest = {key: value for key, value in context.items() if key != _KEY}
    if rest in (None, "", {}, []):
        return None
    return fact_for(Value(pointer="", key="context", value=rest, root=rest, now=now), provenance=Provenance.AGENT)


def _said(message: object) -> Said:
    if isinstance(message, dict) and isinstance(message.get("role"), str):
        content = message.get("content")
        known = {"role", "content"}
        text = _text(content)
        # Tool calls and whatever else a message holds belong to what was said.
        rest = {key: value for key, value in message.items() if key not in known and value not in (None, "", [], {})}
        if rest:
            text = f"{text}\n{json.dumps(rest, ensure_ascii=False, indent=2)}".strip()
        return Said(_ROLES.get(message["role"].casefold(), "somebody"), reveal(text).parts)
    return Said("somebody", reveal(_text(message)).parts)


def _text(content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content and all(_is_text_block(block) for block in content):
        return "\n".join(block["text"] for block in content)
    return json.dumps(content, ensure_ascii=False, indent=2)


def _is_text_block(block: object) -> bool:
    return isinstance(block, dict) and isinstance(block.get("text"), str) and block.keys() <= {"type", "text"}
