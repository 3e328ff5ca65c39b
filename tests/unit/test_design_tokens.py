"""Colours, type and space are those of the design and keep their contrast; vendored files are those we checked."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKENS = (ROOT / "static/css/tokens.css").read_text()
SHEETS = sorted((ROOT / "static/css").glob("*.css"))

# SHA-256 of each vendored font, as published in the npm packages that the directories are named for.
FONTS = {
    "ibm-plex-mono-2.5.0/IBMPlexMono-Regular-Latin1.woff2": "e8993d946649b9d01abb1ed06d574b19d8ea3e66b5c3948602db335c44c18e56",
    "ibm-plex-mono-2.5.0/IBMPlexMono-Regular-Latin2.woff2": "8c5e48e4c6ee60346744db62fd8bbf530c21e531e1a1498c3a410ed8f7d3986e",
    "ibm-plex-sans-1.1.0/IBMPlexSans-Regular-Latin1.woff2": "b5ad7bd39f996144915f0ad9849a90183b27d8c28ad97ed98af5b1bebc51f6b1",
    "ibm-plex-sans-1.1.0/IBMPlexSans-Regular-Latin2.woff2": "fcfa82e0d46ed01a8df38610b451860ca7e7518770c52fdd2a1d136247c40f28",
    "ibm-plex-sans-1.1.0/IBMPlexSans-SemiBold-Latin1.woff2": "fff0ab3a88b0b4aa0b693e4f0201359a15183b08e3fa5696d1918d8f0ade8ad5",
    "ibm-plex-sans-1.1.0/IBMPlexSans-SemiBold-Latin2.woff2": "2bc85a8e53540c4c211f7af36e806bb045ba7da8946bb221d87144c12c83d577",
    "ibm-plex-serif-2.0.0/IBMPlexSerif-Medium-Latin1.woff2": "3c9cce76ac4f3ced490650e2688f926e19f3da6cb49245db0a3b1c35d45c3253",
    "ibm-plex-serif-2.0.0/IBMPlexSerif-Medium-Latin2.woff2": "835403944652adf7cc2396107aa982bc4f4193da66d3a902bdf33fe3d9cd70f7",
}
FONT_BUDGET = 160 * 1024


def colours(theme: int, *, more_contrast: bool = False) -> dict[str, str]:
    """Role → hex colour of the light (0) or dark (1) theme; for whoever asks for more contrast, what changes too."""
    usual, _, rest = TOKENS.partition("@media (prefers-contrast: more)")
    text = usual + (rest if more_contrast else "")
    found = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", text)
    return {name: values[theme] for name, *values in found}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio, WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# reviewer-experience.md, "Visual language": light, dark, what it stands on, the ratio there (light, dark).
DESIGN = {
    "paper": ("#f5f2ea", "#121715", "", 0, 0),
    "surface": ("#fffdf8", "#1a211e", "", 0, 0),
    "sunken": ("#eae5d8", "#0d1110", "", 0, 0),
    "ink": ("#1c2620", "#e6e8e1", "surface", 15.3, 13.3),
    "quiet": ("#56605a", "#a4afa8", "surface", 6.4, 7.3),
    "line": ("#d6cfbf", "#303a35", "surface", 1.5, 1.4),
    "edge": ("#7f8478", "#74807a", "surface", 3.8, 4.0),
    "accent": ("#14524a", "#7cc9b8", "surface", 8.8, 8.5),
    "focus": ("#1d4ed8", "#8fb4ff", "surface", 6.6, 7.9),
    "application": ("#27527a", "#9cc4e8", "application-tint", 7.0, 8.6),
    "application-tint": ("#e9eff4", "#16242f", "", 0, 0),
    "agent": ("#5b3a86", "#cbb2f0", "agent-tint", 7.6, 8.6),
    "agent-tint": ("#f1ecf6", "#251c33", "", 0, 0),
    "caution": ("#6e4600", "#f0c56a", "caution-tint", 7.2, 8.9),
    "caution-tint": ("#fbefcf", "#332811", "", 0, 0),
    "danger": ("#8e1b1b", "#ffab9c", "danger-tint", 7.6, 8.5),
    "danger-tint": ("#fbe7e1", "#3a1c18", "", 0, 0),
    "verified": ("#1f5b36", "#93d3a2", "verified-tint", 6.8, 8.8),
    "verified-tint": ("#e4efe2", "#17291d", "", 0, 0),
}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("role", DESIGN)
def test_the_colours_and_their_contrast_are_those_of_the_design(role: str, theme: int) -> None:
    ours = colours(theme)
    ground, ratio = DESIGN[role][2], DESIGN[role][3 + theme]
    assert ours[role] == DESIGN[role][theme]
    if ground:
        assert contrast(ours[role], ours[ground]) == pytest.approx(float(ratio), abs=0.1)


def test_ink_on_sunken_is_as_the_design_says() -> None:
    assert [round(contrast(colours(theme)["ink"], colours(theme)["sunken"]), 1) for theme in (0, 1)] == [12.4, 15.4]


GROUNDS = ["paper", "surface", "sunken", "bar-surface", "application-tint", "agent-tint"]
# What is written on which ground: every pair of a text colour and a ground that any sheet brings together.
TEXT = [
    *((front, back) for front in ("ink", "quiet", "accent", "caution", "danger") for back in GROUNDS),
    *((front, back) for front in ("verified", "agent", "application") for back in ("paper", "surface", "bar-surface")),
    *((name, f"{name}-tint") for name in ("application", "agent", "caution", "danger", "verified")),
    *(("ink", f"{name}-tint") for name in ("caution", "danger", "verified")),
    ("surface", "ink"), ("surface", "accent"), ("surface", "danger"),  # filled buttons, toasts
]  # fmt: skip


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), TEXT)
def test_text_has_four_and_a_half_to_one(front: str, back: str, theme: int) -> None:
    assert contrast(colours(theme)[front], colours(theme)[back]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("front", ["edge", "focus", "agent", "application", "accent"])
@pytest.mark.parametrize("back", ["paper", "surface", "bar-surface"])
def test_edges_have_three_to_one(front: str, back: str, theme: int) -> None:
    assert contrast(colours(theme)[front], colours(theme)[back]) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_who_asks_for_more_contrast_gets_seven_to_one(theme: int) -> None:
    more = colours(theme, more_contrast=True)
    assert contrast(more["quiet"], more["surface"]) >= 7
    assert contrast(more["line"], more["surface"]) >= 3
    assert contrast(more["edge"], more["surface"]) >= 7


def test_type_and_space_are_those_of_the_design() -> None:
    found = re.findall(r"--type-(\w+): \d+ ([\d.]+)rem/([\d.]+)rem var\(--(\w+)\)", TOKENS)
    scale = {name: (float(size) * 16, float(line) * 16, family) for name, size, line, family in found}
    assert scale == {
        "label": (13, 18, "sans"),
        "ui": (15, 22, "sans"),
        "text": (16, 24, "sans"),
        "key": (18, 26, "sans"),
        "title": (22, 28, "sans"),
        "sentence": (28, 36, "serif"),
        "figure": (36, 40, "sans"),
        "mono": (14, 22, "mono"),
    }
    space = [float(size) * 16 for size in re.findall(r"--space-\d: ([\d.]+)rem", TOKENS)]
    assert space == [4, 8, 12, 16, 24, 32, 48, 72]
    sizes = dict(re.findall(r"--([a-z-]+): ([\d.]+(?:rem|px|ms|ch));", TOKENS.partition("@media")[0]))
    assert sizes["width-card"] == f"{760 / 16}rem"
    assert sizes["width-queue"] == "75rem"
    assert (sizes["row"], sizes["row-dense"]) == ("3.5rem", "2.5rem")
    assert (sizes["radius"], sizes["radius-panel"], sizes["rule"]) == ("2px", "4px", "3px")
    assert (sizes["fade"], sizes["measure"]) == ("120ms", "72ch")


def without_comments(path: Path) -> str:
    """The sheet's rules alone."""
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_every_rule_stands_in_a_layer(path: Path) -> None:
    """A rule outside would win over every layer, in pages that its author never looked at."""
    depth, rest = 0, without_comments(path)
    outside = ""
    for char in rest:
        depth += (char == "{") - (char == "}")
        if depth == 0 or (depth == 1 and char == "{"):
            outside += char
    openers = [part.strip(" \n}") for part in re.split(r"[{;]", outside) if part.strip(" \n}")]
    assert all(opener.startswith(("@layer", "@import", "@font-face")) for opener in openers), openers


@pytest.mark.parametrize("path", [path for path in SHEETS if path.name != "tokens.css"], ids=lambda path: path.name)
def test_colours_come_from_the_tokens_alone(path: Path) -> None:
    raw = re.compile(
        r"#[0-9a-f]{3,8}\b(?=[^{]*[;}])|\b(?:rgb|hsl|oklch|light-dark)a?\(|:\s*(?:white|black|red|green|gray|grey)\b"
    )
    found = [
        match.group() for match in raw.finditer(without_comments(path)) if not match.group().startswith("#content")
    ]
    assert not found


def test_every_variable_that_a_sheet_reads_is_defined() -> None:
    text = "".join(without_comments(path) for path in SHEETS)
    assert not set(re.findall(r"var\((--[a-z0-9-]+)", text)) - set(re.findall(r"(--[a-z0-9-]+)\s*:", text))


def test_every_class_that_the_list_of_components_names_exists() -> None:
    listed = (ROOT / "static/css/components.css").read_text().split("*/", 1)[0]
    named = {
        name
        for value in re.findall(r'class="([^"]*)"', listed)
        for name in value.split()
        if re.fullmatch(r"[\w-]+", name)
    }
    assert len(named) > 60
    text = "".join(without_comments(path) for path in SHEETS)
    # Plain groups that need no rule of their own.
    unstyled = {name for name in named if not re.search(rf"\.{name}(?![\w-])", text)}
    assert unstyled <= {"clock--due", "step--person"}


def test_django_admins_own_sheets_are_not_loaded() -> None:
    found = [
        str(path.relative_to(ROOT)) for path in (ROOT / "templates").rglob("*.html") if "admin/css/" in path.read_text()
    ]
    assert not found, "they lie over our layers; admin.css has what they had"


def test_vendored_fonts_are_the_published_ones_within_their_budget() -> None:
    found = {
        str(path.relative_to(ROOT / "static/vendor")): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "static/vendor").rglob("*.woff2")
    }
    assert found == FONTS
    assert sum(path.stat().st_size for path in (ROOT / "static/vendor").rglob("*.woff2")) <= FONT_BUDGET
    for path in (ROOT / "static/vendor").iterdir():
        assert (path / "LICENSE.txt").is_file(), f"{path.name} has no licence beside it"


def test_templates_hold_no_inline_code() -> None:
    """The content security policy would drop it; better to see it here."""
    inline = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|hx-on|javascript:|\|safe\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in (ROOT / "templates").rglob("*.html")
        if (match := inline.search(re.sub(r"{#.*?#}", "", path.read_text(), flags=re.DOTALL)))
    ]
    assert not found
