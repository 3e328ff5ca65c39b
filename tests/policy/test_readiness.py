"""The statistics of readiness: intervals, people needed, conditions and states. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policy.readiness import Figures, Share, erlang_c, judge, people_needed, wilson

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GOOD = Figures(
    since=NOW - timedelta(days=30),
    until=NOW,
    calls=9_410,
    denied=303,
    held=100,
    not_evaluated=0,
    first_call_at=NOW - timedelta(days=18),
    right=54,
    labelled=60,
    published_at=NOW - timedelta(days=18),
    revision_number=41,
    held_by_hour={9: 4.0},
    people=2,
)


def unmet_codes(figures: Figures) -> list[str]:
    return [condition.code for condition in judge(figures).unmet]


def test_the_interval_is_wilsons() -> None:
    assert [round(end, 3) for end in wilson(303, 9_410)] == [0.029, 0.036]
    assert [round(end, 2) for end in wilson(54, 60)] == [0.8, 0.95]
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert Share(0, 0).value == 0.0


def test_people_needed_are_those_of_erlang_c() -> None:
    assert round(erlang_c(2, 3), 4) == 0.4444  # 4/9, by hand
    assert erlang_c(3, 3) == 1.0
    assert erlang_c(0, 1) == 0.0
    assert people_needed(0, handling_seconds=120, due_in_seconds=900) == 0
    assert people_needed(4, handling_seconds=120, due_in_seconds=900) == 1
    few = people_needed(100, handling_seconds=120, due_in_seconds=900)
    more = people_needed(100, handling_seconds=120, due_in_seconds=30)
    assert 4 <= few < more
    assert people_needed(10_000, handling_seconds=600, due_in_seconds=60) == 500


def test_all_conditions_met_is_ready() -> None:
    report = judge(GOOD)
    assert (report.state, report.unmet, report.headline) == ("ready", (), "Ready: every condition is met")
    assert round(report.denied.value, 4) == 0.0322
    assert report.staffing.needed == 1


@pytest.mark.parametrize(
    ("change", "state", "unmet"),
    [
        ({"first_call_at": NOW - timedelta(days=13, hours=23)}, "insufficient_data", ["days"]),
        ({"first_call_at": None}, "insufficient_data", ["days", "cover"]),
        ({"first_call_at": NOW - timedelta(days=2, hours=23)}, "insufficient_data", ["days", "cover"]),
        ({"first_call_at": NOW - timedelta(days=3)}, "insufficient_data", ["days"]),
        ({"calls": 999}, "insufficient_data", ["calls"]),
        ({"published_at": NOW - timedelta(days=6, hours=23)}, "not_ready", ["edits"]),
        ({"published_at": None}, "not_ready", ["edits"]),
        ({"not_evaluated": 1}, "not_ready", ["evaluated"]),
        ({"right": 48, "labelled": 49}, "not_ready", ["labels"]),
        ({"right": 45, "labelled": 60}, "not_ready", ["precision"]),
        ({"right": 0, "labelled": 0}, "not_ready", ["labels", "precision"]),
        ({"people": 0}, "not_ready", ["cover"]),
    ],
)
def test_each_condition_holds(change: dict[str, object], state: str, unmet: list[str]) -> None:
    figures = replace(GOOD, **change)  # type: ignore[arg-type]  # fields by name
    assert judge(figures).state == state
    assert unmet_codes(figures) == unmet


def said_of(code: str, figures: Figures) -> tuple[str, str]:
    """How a condition stands, and what to do."""
    found = next(condition for condition in judge(figures).conditions if condition.code == code)
    return found.sentence, found.advice


def test_the_headline_counts_what_is_not_met() -> None:
    assert judge(replace(GOOD, calls=999)).headline == "Not enough data yet: 1 of 7 conditions not met"
    assert judge(replace(GOOD, people=0)).headline == "Not ready: 1 of 7 conditions not met"


def test_advice_fits_what_is_missing() -> None:
    today, days_ago = replace(GOOD, published_at=NOW), replace(GOOD, published_at=NOW - timedelta(days=5, hours=23))
    assert said_of("edits", today)[1] == "Leave the rules alone for 7 more days."
    assert said_of("edits", days_ago)[1] == "Leave the rules alone for 2 more days."
    assert said_of("edits", replace(GOOD, published_at=None))[1].startswith("Publish the rules")
    assert said_of("precision", replace(GOOD, right=0, labelled=0))[1] == "Label some calls first."
    assert said_of("precision", replace(GOOD, right=30))[1].startswith("Change the rules that stop the wrong calls")


def test_too_few_days_say_nothing_of_the_people_needed() -> None:
    young = replace(GOOD, first_call_at=NOW - timedelta(days=2))
    assert not judge(young).staffing.is_known
    assert judge(young).as_fields()["people_needed"] is None
    said = "too few days of calls to say how many people are needed; 3 days wanted"
    assert said_of("cover", young)[0] == said
    report = judge(replace(GOOD, first_call_at=NOW - timedelta(days=4)))
    assert (report.staffing.is_known, report.staffing.reviews_per_day) == (True, 25.0)
    assert report.as_fields()["people_needed"] == 1


def test_where_nothing_would_be_stopped_nothing_needs_a_label() -> None:
    assert unmet_codes(replace(GOOD, denied=0, held=0, right=0, labelled=0, held_by_hour={})) == []


def test_rare_blocks_need_no_more_labels_than_there_are() -> None:
    assert "labels" not in unmet_codes(replace(GOOD, denied=3, held=0, right=3, labelled=3))


def test_what_goes_into_the_log_is_whole_numbers_and_words() -> None:
    def check(value: object) -> None:
        assert isinstance(value, (int, str, list, type(None))), value
        for item in value if isinstance(value, list) else ():
            check(item)

    fields = judge(replace(GOOD, calls=999)).as_fields()
    for value in fields.values():
        check(value)
    assert (fields["state"], fields["open"], fields["denied"]) == ("insufficient_data", ["calls"], 303)
