"""The colours keep their promised contrast in both themes; vendored files are those we checked."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKENS = (ROOT / "static/css/tokens.css").read_text()

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


def colours(theme: int) -> dict[str, str]:
    """Role → hex colour of the light (0) or dark (1) theme."""
    found = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", TOKENS)
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


TEXT = [
    ("ink", "paper"), ("ink", "surface"), ("ink", "sunken"), ("quiet", "paper"), ("quiet", "surface"), ("accent", "paper"),
    ("accent", "surface"), ("application", "application-tint"), ("agent", "agent-tint"), ("caution", "caution-tint"),
    ("danger", "danger-tint"), ("verified", "verified-tint"), ("ink", "agent-tint"), ("ink", "application-tint"),
    ("quiet", "agent-tint"), ("quiet", "application-tint"), ("danger", "surface"), ("caution", "surface"), ("danger", "paper"),
    ("caution", "paper"), ("verified", "surface"), ("caution", "agent-tint"), ("danger", "agent-tint"), ("accent", "agent-tint"),
    ("caution", "application-tint"), ("danger", "application-tint"),
]  # fmt: skip


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), TEXT)
def test_text_has_four_and_a_half_to_one(front: str, back: str, theme: int) -> None:
    assert contrast(colours(theme)[front], colours(theme)[back]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("front", ["edge", "focus", "agent", "application", "accent"])
@pytest.mark.parametrize("back", ["paper", "surface"])
def test_edges_have_three_to_one(front: str, back: str, theme: int) -> None:
    assert contrast(colours(theme)[front], colours(theme)[back]) >= 3


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
