"""Untrusted text with everything that hides in it made visible.

`reveal` turns text into parts: what can be read as it is, and a chip for each run of characters that a reader would not
see or that would reorder the line. `str.isprintable` is not enough: it passes fillers and variation selectors.
Source: reviewer-experience.md section 3, "Hidden characters".
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from reviews.cards.types import Caution, Part, Role, Severity

# Printable to Python, invisible to people.
_FILLERS: Final = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_TAGS: Final = range(0xE0000, 0xE0080)
_JOINERS: Final = frozenset({"\u200c", "\u200d"})
_EMOJI_SELECTORS: Final = frozenset({"\ufe0e", "\ufe0f"})
# Characters with an emoji form that are no "other symbol" to Unicode: the double exclamation mark, the information sign.
_EMOJI_BASES: Final = frozenset("\u203c\u2049\u2139\u3030\u303d")
# Scripts in which a joiner changes how a word is written.
# fmt: off
_JOINING_SCRIPTS: Final = frozenset(
    [
        "ARABIC", "SYRIAC", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL",
        "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "TIBETAN", "NKO",
    ]
)
# fmt: on
_CONTROL_NAMES: Final = {
    0x00: "null",
    0x07: "bell",
    0x08: "backspace",
    0x0B: "vertical tab",
    0x0C: "form feed",
    0x0D: "carriage return",
    0x1B: "escape",
    0x7F: "delete",
    0x85: "next line",
}  # fmt: skip
_MARK_LIMIT: Final = 3
_BLANK_LINE_LIMIT: Final = 2
_SPACE_LIMIT: Final = 16

_CLAIMS: Final = re.compile(
    r"pre-?\s?approved|(?:already|been|is|was)\s+(?:approved|authori[sz]ed|cleared)|approved\s+by|authori[sz]ed\s+by"
    r"|(?:ignore|bypass|override|skip|disregard)\s+(?:\w+\s+){0,3}(?:polic|rule|review|instruction|guard|check|approval)"
    r"|no\s+(?:review|approval)\s+(?:is\s+)?(?:needed|required|necessary)|(?:safe|ok|okay|fine)\s+to\s+approve"
    r"|(?:please|must|just)\s+approve|approve\s+(?:this|immediately|now|without)",
)
_OURS: Final = re.compile(r"guard\W?site")
# Anything but plain ASCII; most text has none, and then nothing is looked at one by one.
_UNUSUAL: Final = re.compile(r"[^\t\n -~]")
_LINK: Final = re.compile(r"(?:https?|ftp|mailto|javascript|data):|www\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Revealed:
    """Text in parts, with counts: hidden characters (each one), blank runs are not counted as hidden."""

    parts: tuple[Part, ...]
    hidden_count: int
    has_message: bool
    has_stacked_marks: bool

    @property
    def plain(self) -> str:
        """The parts as one string: chips in brackets stand where the characters were."""
        return "".join(part.text for part in self.parts)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What the hidden characters call for."""
        found = []
        if self.has_message:
            found.append(Caution("hidden_message", Severity.DANGER))
        if self.hidden_count:
            noun = "character" if self.hidden_count == 1 else "characters"
            found.append(
                Caution("hidden_characters", Severity.DANGER, {"count": f"{self.hidden_count:,}", "noun": noun})
            )
        if self.has_stacked_marks:
            found.append(Caution("many_marks", Severity.CAUTION))
        return tuple(found)


def is_hidden(char: str) -> bool:
    """Whether a reader would not see this character, or it would reorder or break the line; context not considered."""
    if char in "\t\n ":
        return False
    category = unicodedata.category(char)
    return category in _HIDDEN_CATEGORIES or category == "Zs" or ord(char) in _FILLERS


def name_of(char: str) -> str:
    """`U+202E right-to-left override`."""
    code = ord(char)
    name = unicodedata.name(char, "").lower() or _CONTROL_NAMES.get(code)
    if name is None:
        category = unicodedata.category(char)
        name = {"Cc": "control character", "Co": "private character", "Cs": "surrogate"}.get(category, "unassigned")
    return f"U+{code:04X} {name}"


def reveal(text: str, *, fold_blanks: bool = True) -> Revealed:
    """`text` with hidden characters, blank runs and stacked marks as chips. Loses nothing: each character is in a part.

    `fold_blanks` false keeps blank runs as they are, for source texts in which every line counts. Tab and newline stay.
    A joiner stays inside an emoji or a script that needs it, an emoji selector behind an emoji.
    """
    if not _UNUSUAL.search(text):
        return Revealed(tuple(_blank_runs(text, fold=fold_blanks)), 0, has_message=False, has_stacked_marks=False)
    parts: list[Part] = []
    run: list[str] = []
    hidden = marks = 0
    has_message = has_stacked = False

    def flush() -> None:
        if run:
            parts.extend(_blank_runs("".join(run), fold=fold_blanks))
            run.clear()

    at, size = 0, len(text)
    while at < size:
        char = text[at]
        if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
            marks += 1
        elif not is_hidden(char):
            marks = 0
        if is_hidden(char) and not _belongs(text, at):
            flush()
            end = at + 1
            if ord(char) in _TAGS:
                while end < size and ord(text[end]) in _TAGS:
                    end += 1
                message = "".join(chr(ord(tag) - 0xE0000) for tag in text[at:end] if 0x20 <= ord(tag) - 0xE0000 < 0x7F)
                parts.append(Part(f'[hidden message "{message}"]', Role.HIDDEN))
                has_message = True
            else:
                while end < size and text[end] == char:
                    end += 1
                times = f" x{end - at:,}" if end - at > 1 else ""
                parts.append(Part(f"[{name_of(char)}{times}]", Role.HIDDEN))
            hidden += end - at
            at = end
            continue
        if marks > _MARK_LIMIT:
            flush()
            parts.append(Part(f"[{name_of(char)}]", Role.HIDDEN))
            hidden += 1
            has_stacked = True
        else:
            run.append(char)
        at += 1
    flush()
    return Revealed(tuple(parts), hidden, has_message, has_stacked)


def _belongs(text: str, at: int) -> bool:
    """Whether the hidden character at `at` does its proper work there."""
    char = text[at]
    before = text[at - 1] if at else ""
    after = text[at + 1] if at + 1 < len(text) else ""
    if char in _EMOJI_SELECTORS:
        is_base = bool(before) and (unicodedata.category(before) in ("So", "Sm") or before in _EMOJI_BASES)
        return is_base or after == "\u20e3"
    if char in _JOINERS:
        if char == "\u200d" and before and after:
            ends_emoji = unicodedata.category(before) in ("So", "Sk") or before in _EMOJI_SELECTORS
            if ends_emoji and unicodedata.category(after) == "So":
                return True
        return _script(before) in _JOINING_SCRIPTS and (not after or not is_hidden(after))
    return False


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0] if char else ""


_BLANK_RUN: Final = re.compile(rf"\n(?:[ \t]*\n){{{_BLANK_LINE_LIMIT + 1},}}|[ \t]{{{_SPACE_LIMIT + 1},}}")


def _blank_runs(text: str, *, fold: bool) -> list[Part]:
    """Text in which a long blank run is a counted chip: 10,000 newlines must not push a value off the screen."""
    if not fold:
        return [Part(text)] if text else []
    parts: list[Part] = []
    at = 0
    for match in _BLANK_RUN.finditer(text):
        if match.start() > at:
            parts.append(Part(text[at : match.start()]))
        if match.group().startswith("\n"):
            # n newlines in a row are n - 1 blank lines.
            parts.append(Part(f"\n[{match.group().count(chr(10)) - 1:,} blank lines]\n", Role.CHIP))
        else:
            parts.append(Part(f"[{len(match.group()):,} spaces]", Role.CHIP))
        at = match.end()
    if at < len(text):
        parts.append(Part(text[at:]))
    return parts


def claims_approval(text: str) -> bool:
    """Whether text says of itself that it is approved or asks to skip review, however it is disguised."""
    return _CLAIMS.search(_seen_as(text)) is not None


def speaks_as_us(text: str) -> bool:
    """Whether text uses the product's own name, as a forged line of the page would."""
    return _OURS.search(_seen_as(text)) is not None


def _seen_as(text: str) -> str:
    """The text as a reader takes it in: forms unified, what hides left out, case folded."""
    if text.isascii():
        return text.casefold()
    return "".join(char for char in unicodedata.normalize("NFKC", text) if not is_hidden(char)).casefold()


def count_links(text: str) -> int:
    """How many link-like beginnings stand in the text; none of them ever becomes a link."""
    return len(_LINK.findall(text))


def text_cautions(text: str, revealed: Revealed) -> tuple[Caution, ...]:
    """Everything to say about a piece of free text."""
    found = list(revealed.cautions)
    if claims_approval(text):
        found.append(Caution("claims_approval", Severity.CAUTION))
    if _OURS.search(_seen_as(text)):
        found.append(Caution("our_words", Severity.CAUTION))
    if links := count_links(text):
        found.append(
            Caution("links", Severity.INFO, {"count": f"{links:,}", "noun": "link" if links == 1 else "links"})
        )
    return tuple(found)


def flat(text: str) -> str:
    """One line of plain text with chips for what hides and a visible mark for line breaks; for labels and slots."""
    return reveal(text.replace("\n", " \u21b5 ").replace("\t", " ")).plain


def middle(text: str, *, limit: int = 40) -> str:
    """`text`, or its two ends around an ellipsis: at most `limit` characters, so that a slot stays one glance."""
    if len(text) <= limit:
        return text
    head = limit // 2
    tail = limit - 1 - head
    return f"{text[:head]}\u2026{text[-tail:]}"


# What a spreadsheet takes for a formula, with the full-width forms it also takes (OWASP, "CSV Injection").
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_FORMULA: Final = re.compile(r"\s*(?:[=\uff1d]|[@+\-\uff20\uff0b\uff0d]\s*[\w.]+\s*[(|!])")


def csv_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet runs: a leading apostrophe where it would begin a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def is_formula(text: str) -> bool:
    """Whether the text reads like a spreadsheet formula; a list item or a negative number does not."""
    return _FORMULA.match(text) is not None
