"""A page looked over as it stands: Axe finds nothing and nothing scrolls sideways, wide and light, narrow and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

# Axe's preload writes inline styles, which our policy refuses.
EVERYTHING: Final = {"preload": False, "resultTypes": ["violations"]}
# What another width and other colours can change. Target size is in no default run.
LOOKS: Final = {
    **EVERYTHING,
    "runOnly": ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"],
}
_FITS: Final = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def show_wide_and_light(page: Page) -> None:
    """As on a desktop."""
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light", reduced_motion="reduce", forced_colors="none")


def faults_of(page: Page) -> Iterator[str]:
    """What is wrong, a line each: wide and light by every rule, narrow and dark by those that looks can break."""
    show_wide_and_light(page)
    yield from _axe(page, EVERYTHING)
    if page.locator("h1:visible").count() != 1:
        yield f"{page.locator('h1:visible').count()} main headings"
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        if width == 390:
            yield from _axe(page, LOOKS)
        if not page.evaluate(_FITS):
            yield f"{page.evaluate('document.documentElement.scrollWidth')} px wide at {width}"


def assert_sound(page: Page, name: str) -> None:
    """No fault; leaves the page wide and light. Wait for all of the page first: one that still comes has no heading."""
    page.wait_for_load_state()
    found = list(faults_of(page))
    show_wide_and_light(page)
    assert not found, "\n".join((name, *found))


def _axe(page: Page, options: dict[str, Any]) -> Iterator[str]:
    """What Axe finds: the rule, the element and why."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    for violation in page.evaluate("options => axe.run(document, options)", options)["violations"]:
        for node in violation["nodes"]:
            why = [check["message"] for check in (*node["all"], *node["any"], *node["none"])]
            yield f"{violation['id']}: {node['html'][:160]} {why[:1]}"
