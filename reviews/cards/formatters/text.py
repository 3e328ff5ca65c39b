"""Free text, and the source of HTML and Markdown. Source: reviewer-experience.md section 3, "long text" and "HTML"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Final

from reviews.cards.formatters.base import counted, distinct, mono_lines, one, want
from reviews.cards.text import flat, is_formula, reveal, text_cautions
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

TEXT_LINES: Final = 12
TEXT_LINE_CHARACTERS: Final = 90
TEXT_OPTIONS: Final[dict[str, str]] = {}
_TARGETS: Final = 8  # link targets listed one by one
_TARGET_LENGTH: Final = 120


def text(value: Value) -> Rendered:
    """The text with line breaks kept: 12 lines, then a fold that says how much it holds."""
    written = want(value.value, str)
    if not written:
        return one(value, Part("empty text", Role.QUIET))
    seen = reveal(written)
    first, more = fold_lines(seen.parts)
    label = ""
    if more:
        body = "".join(part.text for part in more)
        label = f"show {counted(body.count(chr(10)) + 1, 'more line')} ({len(body):,} characters)"
    cautions = list(text_cautions(written, seen))
    if is_formula(written):
        cautions.append(Caution("formula", Severity.INFO))
    return Rendered(
        first, frozenset([value.pointer]), cautions=distinct(cautions), more=more, more_label=label, exact=written
    )


def fold_lines(parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Parts before and after the point where 12 lines (or as many characters as fill them) end."""
    budget_lines, budget_characters = TEXT_LINES, TEXT_LINES * TEXT_LINE_CHARACTERS
    for index, part in enumerate(parts):
        cut = None
        lines = part.text.count("\n")
        if lines >= budget_lines:
            at = -1
            for _ in range(budget_lines):
                at = part.text.index("\n", at + 1)
            cut = at + 1
        if len(part.text) > budget_characters and (cut is None or cut > budget_characters):
            cut = budget_characters
        if cut is not None and part.role is not Role.TEXT:
            cut = 0  # a chip is never cut in two
        if cut is not None:
            before = (*parts[:index], *([Part(part.text[:cut].removesuffix("\n"), part.role)] if cut else []))
            after = (*([Part(part.text[cut:], part.role)] if part.text[cut:] else []), *parts[index + 1 :])
            # A fold of a line or two hides more than it saves; and no value begins with nothing.
            if not before or sum(len(rest.text) for rest in after) <= TEXT_LINE_CHARACTERS:
                return parts, ()
            return before, after
        budget_lines -= lines
        budget_characters -= len(part.text)
    return parts, ()


def html(value: Value) -> Rendered:
    """HTML as its source, whole and numbered, never rendered; where it links, what it loads, what it asks for."""
    written = want(value.value, str)
    return _source(value, written, _HtmlParts.of(written))


# Inline and reference links, images, and addresses in angle brackets (CommonMark 0.31).
_MARKDOWN_LINK: Final = re.compile(r"(!?)\[[^\]\n]{0,200}\]\(\s*<?([^\s)>]{1,1000})")
_MARKDOWN_REFERENCE: Final = re.compile(r"^ {0,3}\[[^\]\n]{1,200}\]:\s*<?([^\s>]{1,1000})", re.MULTILINE)
_MARKDOWN_AUTO: Final = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]{1,1000})>")


def markdown(value: Value) -> Rendered:
    """Markdown as its source, whole and numbered, never rendered; the HTML in it counts as well."""
    written = want(value.value, str)
    found = _HtmlParts.of(written)
    for bang, target in _MARKDOWN_LINK.findall(written):
        (found.images if bang else found.targets).append(target)
    found.targets.extend(_MARKDOWN_REFERENCE.findall(written))
    found.targets.extend(_MARKDOWN_AUTO.findall(written))
    return _source(value, written, found)


def _source(value: Value, written: str, found: _HtmlParts) -> Rendered:
    if not written:
        return one(value, Part("empty text", Role.QUIET))
    parts, hidden = mono_lines(written)
    cautions = list(hidden)
    if found.scripts:
        cautions.append(Caution("script", Severity.DANGER))
    if found.forms:
        args = {"count": f"{found.forms:,}", "noun": "form" if found.forms == 1 else "forms"}
        cautions.append(Caution("form", Severity.DANGER, args))
    remote = [target for target in found.images if re.match(r"\s*(?:https?:)?//", target, re.IGNORECASE)]
    if remote:
        args = {"count": f"{len(remote):,}", "noun": "image" if len(remote) == 1 else "images"}
        cautions.append(Caution("remote_image", Severity.CAUTION, args))
    targets = list(dict.fromkeys((*found.targets, *remote)))
    for target in targets[:_TARGETS]:
        runs = re.match(r"[\s\x00-\x20]*(?:javascript|data|vbscript)\s*:", target, re.IGNORECASE)
        shown = flat(target)
        args = {"target": shown if len(shown) <= _TARGET_LENGTH else f"{shown[:_TARGET_LENGTH]}\u2026"}
        cautions.append(Caution("link_target", Severity.DANGER if runs else Severity.INFO, args))
    cautions.extend(text_cautions(written, reveal(written)))
    return one(value, *parts, cautions=cautions, exact=written)


# Looked for anywhere in the source, in a tag or not: a reader that is stricter than a browser would miss what one finds,
# and the standard library's parser takes time that grows with the square of a hostile text.
_RUNNING_TAG: Final = re.compile(r"<\s*(?:script|iframe|object|embed|svg|math|base|applet|frame)\b", re.IGNORECASE)
_RUNNING_ATTRIBUTE: Final = re.compile(
    r"[\s\"'/]on[a-z]{3,30}\s{0,20}=|http-equiv\s{0,20}=\s{0,20}[\"']?refresh", re.IGNORECASE
)
_FORM_TAG: Final = re.compile(r"<\s*form\b", re.IGNORECASE)
_INPUT_TAG: Final = re.compile(r"<\s*(?:input|button|textarea|select)\b", re.IGNORECASE)
_ADDRESS: Final = re.compile(
    r"\b(href|action|formaction|src|srcset|background|poster|data)\s{0,20}=\s{0,20}"
    r"(?:\"([^\"]{0,1000})|'([^']{0,1000})|([^\s>\"']{1,1000}))",
    re.IGNORECASE,
)
_STYLE_ADDRESS: Final = re.compile(r"url\(\s{0,20}[\"']?([^\"')\s]{1,1000})", re.IGNORECASE)


@dataclass(slots=True)
class _HtmlParts:
    """What an HTML source holds that reaches out: link targets, images, forms, scripts."""

    targets: list[str]
    images: list[str]
    forms: int
    scripts: int

    @classmethod
    def of(cls, source: str) -> _HtmlParts:
        """The parts of a source; rather one too many than one too few."""
        targets, images = [], _STYLE_ADDRESS.findall(source)
        for name, *quoted in _ADDRESS.findall(source):
            address = unescape("".join(quoted)).strip()
            if name.casefold() in ("href", "action", "formaction"):
                targets.append(address)
            elif name.casefold() == "srcset":
                images.extend(candidate.split()[0] for candidate in address.split(",") if candidate.strip())
            else:
                images.append(address)
        forms = len(_FORM_TAG.findall(source)) or min(1, len(_INPUT_TAG.findall(source)))
        scripts = len(_RUNNING_TAG.findall(source)) + len(_RUNNING_ATTRIBUTE.findall(source))
        return cls([item for item in targets if item], [item for item in images if item], forms, scripts)
