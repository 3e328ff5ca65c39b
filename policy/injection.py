"""A local judge for text that speaks to the model instead of to people: patterns of prompt injection. Pure.

A tripwire, not a detector: it knows the common wordings in English and the usual ways of hiding text, and whoever
reads this file can write around it. It therefore asks for a review and never denies. It needs no network and no
model; patterns run in RE2, in time linear in the text.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from policy import functions
from policy.judges import Assessment, RedactedCall

MODEL: Final = "injection-patterns/1"
REVIEW_FROM: Final = 0.5
MOST_CHARACTERS: Final = 256 * 1024
SHOWN: Final = 60

# Separators that people put between words to slip past a pattern.
_GAP: Final = r"[\s\W_]{1,20}"


@dataclass(frozen=True)
class Pattern:
    """One wording: what it means in a few words, how strongly it speaks for an injection (0 to 1), and the RE2 text.

    It is searched in folded text (NFKC, lower case, format characters removed).
    """

    means: str
    weight: float
    text: str


def _words(*alternatives: str) -> str:
    """The alternatives in this order, with separators between; each is a group of RE2."""
    return _GAP.join(f"(?:{text})" for text in alternatives)


PATTERNS: Final = (
    Pattern(
        "tells the reader to drop its instructions",
        0.8,
        r"\b"
        + _words(
            "ignore|disregard|forget|override|bypass|drop|stop following",
            r"(?:(?:all|any|the|your|my|of|these|those|every|everything)[\s\W_]{1,20}){0,4}"
            r"(?:previous|prior|above|earlier|preceding|former|original|initial|system|existing|safety|security|policy)",
            r"(?:\w+[\s\W_]{1,20}){0,2}(?:instructions?|prompts?|rules?|guidelines?|directions?|messages?|context|polic(?:y|ies))",
        ),
    ),
    Pattern(
        "gives new instructions",
        0.5,
        r"\b"
        + _words(
            "new|updated|revised|important|urgent|actual|real|following",
            r"(?:system[\s\W_]{1,20})?(?:instructions?|directives?|prompt|orders?)"
            r"\s*(?::|for (?:the )?(?:ai|assistant|agent|model|llm|bot))",
        ),
    ),
    Pattern(
        "speaks to the assistant by role",
        0.6,
        r"\b(?:you are now|from now on,? you|pretend (?:to be|you are)|act as (?:an? )?"
        r"(?:admin|root|developer|system|unrestricted|different)"
        r"|enter (?:developer|debug|admin|god|dan) mode|jailbreak|you have no (?:restrictions|limits|rules))\b",
    ),
    Pattern(
        "addresses an assistant that reads the text",
        0.55,
        r"(?:\b(?:attention|note|message|dear|hello|hey|important)\b[\s\W_]{1,20}(?:to |for )?(?:the |any |all )?"
        r"(?:ai|llm|language model|ai assistant|ai agent|assistant|chatbot|gpt|claude|gemini)\b"
        r"|\bif you are an? (?:ai|llm|language model|assistant|agent)\b)",
    ),
    Pattern(
        "imitates the markup of a chat",
        0.75,
        r"(?:<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?inst\]|<</?sys>>"
        r"|</?(?:system|assistant|instructions?|system_prompt|information|tool_result)>"
        r"|(?:^|\n)\s{0,8}#{2,4}\s{0,4}(?:system|instruction|assistant)\b|(?:^|\n)\s{0,8}(?:system|assistant)\s{0,4}:\s)",
    ),
    Pattern(
        "asks to keep something from the user",
        0.7,
        r"\b(?:do not|don't|never|without)[\s\W_]{1,20}(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|alert(?:ing)?|notify(?:ing)?"
        r"|reveal(?:ing)?|show(?:ing)?|ask(?:ing)?)[\s\W_]{1,20}(?:this[\s\W_]{1,20}|it[\s\W_]{1,20}|any of this[\s\W_]{1,20})?"
        r"(?:to[\s\W_]{1,20})?(?:the[\s\W_]{1,20}|your[\s\W_]{1,20})?(?:user|human|customer|operator|owner|reviewer|anyone|anybody)\b",
    ),
    Pattern(
        "claims an approval or asks to skip one",
        0.6,
        r"\b(?:(?:skip|bypass|no need for|without(?: any)?)[\s\W_]{1,20}(?:the[\s\W_]{1,20})?"
        r"(?:approval|review|confirmation|verification|guardrails?)"
        r"|pre[\s-]?approved by (?:the )?(?:user|admin|security|system|owner)|the user has already (?:approved|agreed|consented)"
        r"|(?:this|it) (?:has been|is|was) (?:already )?authori[sz]ed by (?:the )?(?:system|admin|developers?))\b",
    ),
    Pattern(
        "asks to hand over secrets",
        0.6,
        r"\b(?:reveal|print|repeat|output|show|send|forward|email|post|upload|exfiltrate|leak)[\s\W_]{1,20}(?:\w+[\s\W_]{1,20}){0,4}"
        r"(?:system prompt|hidden prompt|api[\s_-]?keys?|credentials?|passwords?|secret keys?|access tokens?|security codes?"
        r"|private keys?|environment variables?|(?:entire |whole |full )?(?:conversation|chat) history)\b",
    ),
    Pattern(
        "asks for something first, before the task",
        0.5,
        r"\b(?:before|in order to|to be able to)[\s\W_]{1,20}(?:you (?:can |may |must |need to )?)?"
        r"(?:solve|solving|complete|completing|continue|continuing|finish|answer|answering|proceed|help)[\s\W_]{1,20}(?:\w+[\s\W_]{1,20}){0,8}"
        r"(?:you (?:must|need to|have to|should)|please do|do the following|first)\b",
    ),
)

_TAGS: Final = (0xE0000, 0xE007F)  # invisible letters: no language writes with them
_BIDI: Final = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
_ZERO_WIDTH: Final = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")
_MANY_ZERO_WIDTH: Final = 8

_COMPILED: Final = tuple((pattern, functions.regex_pattern(pattern.text)) for pattern in PATTERNS)


@dataclass(frozen=True)
class Found:
    """One sign: the field, what it means, its weight, and the words, shortened (empty for hidden characters)."""

    field: str
    means: str
    weight: float
    words: str = ""


class InjectionPatterns:
    """Looks for prompt injection in the texts of the allow-listed fields."""

    id = "injection-patterns"
    label = "Prompt-injection patterns"

    def assess(self, call: RedactedCall, deadline: float) -> Assessment | None:
        """A review from a score of 0.5; None below. Raises TimeoutError past the deadline, ValueError beyond 256 Ki
        characters: what was not read is not cleared.
        """
        found: list[Found] = []
        total = 0
        for path, text in texts_of(call.fields):
            total += len(text)
            if total > MOST_CHARACTERS:
                raise ValueError("more text than is read")
            if time.monotonic() > deadline:
                raise TimeoutError
            found.extend(signs_in(path, text))
        score = 1 - math.prod(1 - sign.weight for sign in _strongest_of_each(found))
        if score < REVIEW_FROM:
            return None
        return Assessment("review", _reason(found), round(score, 3), MODEL)


def texts_of(fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Every text in the fields with the path of its field: nested values and keys too, long encodings as they are."""
    for path, value in fields.items():
        waiting = [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                yield path, item
            elif isinstance(item, Mapping):
                waiting.extend([*item.values(), *item.keys()])
            elif isinstance(item, (list, tuple)):
                waiting.extend(item)


def signs_in(path: str, text: str) -> Iterator[Found]:
    """What one text shows."""
    folded = functions.fold(text)
    for pattern, compiled in _COMPILED:
        match = compiled.search(folded)
        if match is not None:
            yield Found(path, pattern.means, pattern.weight, _shortened(match.group()))
    if text.isascii():
        return
    if any(_TAGS[0] <= ord(char) <= _TAGS[1] for char in text):
        yield Found(path, "holds invisible tag letters", 0.9)
    if any(char in _BIDI for char in text):
        yield Found(path, "turns the direction of text", 0.5)
    if sum(char in _ZERO_WIDTH for char in text) >= _MANY_ZERO_WIDTH:
        yield Found(path, "holds many invisible characters", 0.3)


def _strongest_of_each(found: list[Found]) -> list[Found]:
    """One sign per meaning: saying it twice proves no more."""
    best: dict[str, Found] = {}
    for sign in found:
        if sign.means not in best:
            best[sign.means] = sign
    return list(best.values())


def _reason(found: list[Found]) -> str:
    parts = [
        f"{sign.field} {sign.means}" + (f" ({json.dumps(sign.words, ensure_ascii=False)})" if sign.words else "")
        for sign in _strongest_of_each(found)
    ]
    return "; ".join(parts) + "."


def _shortened(words: str) -> str:
    plain = " ".join(words.split())
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 1] + "…"
