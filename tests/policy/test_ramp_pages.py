"""The ramp's pages: what they show, the step-up that keeps what was typed, and who is let in."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from audit.calls import what_followed
from audit.scope import as_tenant
from policy import backtests, freezes, live, reports
from policy.models import Action, Backtest, CallLabel, Freeze, PolicyState, Rule, Shadow
from policy.modes import set_action_mode, set_tenant_mode
from tenants.models import Member
from tests.factories import LARGE, REFUND, SMALL, ask, decide, enforce_refunds, get, held_review
from tests.people import PASSWORD, People, proof
from tests.policy.drafts import entries
from tests.policy.test_admin import signed_in, signed_in_ago, text_of
from tests.policy.test_ramp import change_limit, now, run_backtest
from tests.reviews.severe import SEVERE, severe_choice, severe_desk

WHY = "Two weeks of observing look right."
FLIP, FREEZES, LABEL = "/policy/flip/", "/policy/freezes/", "/policy/readiness/label/"
UNMET = ["days", "calls", "edits", "labels", "precision", "cover"]
ENFORCE = {"mode": "enforce", "percent": "10", "name": "Demo", "reason": WHY, "accepted": UNMET}


@pytest.fixture
def observed(stored: People) -> People:
    """A tenant that observes two refunds, one of which would be held."""
    enforce_refunds(stored, mode="observe")
    for params in (SMALL, LARGE):
        ask(stored, params=params, repeat="new")
    return stored


@pytest.fixture
def adam(observed: People) -> Client:
    """Adam, signed in on the sign-in page just now."""
    client = Client()
    client.post("/accounts/login/", {"login": "adam@demo.example", "password": PASSWORD})
    return client


def mode_of(people: People) -> tuple[str, int]:
    with as_tenant(people.tenant.pk):
        state = PolicyState.objects.get()
    return state.default_mode, state.percent


def text(response: Any) -> str:
    """The page as a reader sees it; Django's test client adds to the response's type."""
    return text_of(response)


def prove(client: Client, response: Any) -> Any:
    """Give the password on the page that the response leads to; the answer leads back."""
    url = response["Location"]
    assert url.startswith("/accounts/reauthenticate/?next=")
    assert client.get(url).status_code == 200
    return client.post(url, {"password": PASSWORD})


def age_proof(client: Client, seconds: int) -> None:
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= seconds
    session.save()


def test_the_readiness_page_says_what_stands_against_enforcing(adam: Client) -> None:
    page = text(adam.get("/policy/readiness/"))
    assert "Not enough data yet: 6 of 7 conditions not met" in page
    assert "2 calls in less than a day" in page
    assert "1 of 2" in page
    assert "billing.refund" in page
    assert "Mode of" not in page
    assert "Not enough data yet" in text(adam.get("/policy/readiness/?action=billing.refund"))
    assert adam.get("/policy/readiness/?action=no.such").status_code == 404


def test_readiness_tells_what_was_held_from_what_would_have_been(adam: Client, observed: People) -> None:
    page = text(adam.get("/policy/readiness/"))
    assert "This call ran, and would have been held or denied." in page
    set_tenant_mode(observed.tenant.pk, acting=observed.adam, mode="enforce", reason=WHY, evidence=proof())
    ask(observed, params=LARGE, repeat="new")
    ask(observed, user_context={"user_id": "u_1", "plan": "free"}, repeat="new")
    page = text(adam.get("/policy/readiness/"))
    assert "Of these 3 calls, 2 were held or denied already; 1 ran, and would have been stopped." in page
    assert "2 were held or denied already; 1 ran, and would have been stopped." in text(adam.get(FLIP))


def test_a_call_asked_again_after_its_approval_counts_as_held_already(stored: People) -> None:
    enforce_refunds(stored)
    run: dict[str, Any] = {"params": LARGE, "run_id": "run_again", "repeat": "join"}
    review = get(stored, ask(stored, **run)["review_id"])
    decide(stored, review, now=now() - timedelta(minutes=1))  # its hold is over, its grant is not
    assert ask(stored, **run)["decision"] == "allow"
    figures = reports.read(stored.tenant.pk, now=now()).report.figures
    assert (figures.held, figures.stopped_already, figures.let_run) == (2, 2, 0)
    assert "These 2 calls were held or denied already." in text(signed_in(stored.lena).get("/policy/readiness/"))


def test_few_days_are_told_as_a_plain_count(adam: Client) -> None:
    page = text(adam.get("/policy/readiness/"))
    assert "Not enough days yet: 1 held call in less than a day." in page
    assert "in the busiest hour" not in page


def test_the_flip_says_which_actions_it_does_not_change(adam: Client, observed: People) -> None:
    assert "a mode of its own" not in text(adam.get(FLIP))
    set_action_mode(
        observed.tenant.pk, acting=observed.adam, action_id=REFUND, mode="enforce", reason=WHY, evidence=proof()
    )
    page = text(adam.get(FLIP))
    assert "Now: observe; 1 action has a mode of its own, and this does not change it." in page
    assert f"Refund an invoice {REFUND} : enforce" in page
    assert "Mode of every action without one of its own" in page
    own = text(adam.get(f"{FLIP}?action={REFUND}"))
    assert "Now: enforce." in own
    assert "Follow the tenant’s mode: observe" in own
    assert "without one of its own" not in own
    overview = text(adam.get("/admin/policy/policystate/"))
    assert "Now: observe ; 1 action has a mode of its own (below)" in overview


def test_the_share_is_empty_until_somebody_enforces(adam: Client, observed: People) -> None:
    assert adam.get(FLIP).context["form"]["percent"].value() is None
    set_tenant_mode(observed.tenant.pk, acting=observed.adam, mode="enforce", percent=10, reason=WHY, evidence=proof())
    # The share that stands would be no change either: it is said, and not filled in.
    assert adam.get(FLIP).context["form"]["percent"].value() is None
    assert "Now: 10 %." in text(adam.get(FLIP))


def test_who_writes_rules_is_not_offered_the_mode(observed: People) -> None:
    with as_tenant(observed.tenant.pk):
        Member.objects.filter(pk=observed.devi.pk).update(roles=["policy_author"])
    author = signed_in(observed.devi)
    assert author.get(FLIP).status_code == 403
    assert FLIP not in author.get("/admin/policy/policystate/").content.decode()
    assert FLIP in signed_in(observed.adam).get("/admin/policy/policystate/").content.decode()


def test_the_mode_that_stands_is_said_and_not_offered(adam: Client, observed: People) -> None:
    def offered(query: str = "") -> list[str]:
        page = adam.get(f"{FLIP}{query}").content.decode()
        assert not re.search(r'<input type="radio"[^>]*checked', page)
        assert f'<a class="button" href="/policy/readiness/{query}">Cancel</a>' in page
        return re.findall(r'<input type="radio" name="mode" value="(\w+)"', page)

    of_action = f"?action={REFUND}"
    assert offered() == ["enforce"]
    assert "Observe: record calls, block none now" in text(adam.get(FLIP))
    assert offered(of_action) == ["observe", "enforce"]
    assert "Follow the tenant’s mode: observe now" in text(adam.get(f"{FLIP}{of_action}"))
    set_tenant_mode(observed.tenant.pk, acting=observed.adam, mode="enforce", percent=10, reason=WHY, evidence=proof())
    assert offered() == ["observe", "enforce"]
    assert "Now, for 10 % of users. Choose it to change the share." in text(adam.get(FLIP))
    refused = adam.post(FLIP, {"reason": WHY})
    assert (refused.status_code, "Choose what it shall be." in text(refused)) == (422, True)


def test_a_flip_to_what_already_is_asks_nobody_to_sign_in(adam: Client, observed: People) -> None:
    age_proof(adam, 301)
    response = adam.post(FLIP, {"mode": "observe", "reason": WHY})
    assert response.status_code == 422
    assert "This is the mode now: nothing would change." in text(response)
    response = adam.post(f"{FLIP}?action={REFUND}", {"mode": "inherit", "reason": WHY})
    assert "This is the mode now: nothing would change." in text(response)
    set_tenant_mode(observed.tenant.pk, acting=observed.adam, mode="enforce", percent=10, reason=WHY, evidence=proof())
    response = adam.post(FLIP, ENFORCE)
    assert response.status_code == 422
    assert "It enforces for 10 % now: nothing would change." in text(response)
    assert len(entries(observed, "mode.changed")) == 1


def test_a_flip_with_a_fresh_sign_in_is_on_record_with_its_report(adam: Client, observed: People) -> None:
    assert adam.post(FLIP, ENFORCE).status_code == 302
    assert mode_of(observed) == ("enforce", 10)
    (entry,) = entries(observed, "mode.changed")
    assert entry["after"] == {"mode": "enforce", "percent": 10}
    assert entry["step_up"]["method"] == "password"
    assert entry["step_up"]["age_seconds"] < 60
    assert (entry["accepted"], entry["readiness"]["state"]) == (sorted(UNMET), "insufficient_data")
    assert (entry["readiness"]["calls"], entry["readiness"]["held"]) == (2, 1)


def test_an_old_or_used_sign_in_asks_again_keeps_what_was_typed_and_changes_nothing(
    adam: Client, observed: People
) -> None:
    age_proof(adam, 301)
    response = adam.post(FLIP, ENFORCE)
    assert mode_of(observed) == ("observe", 100)
    back = prove(adam, response)
    assert back["Location"] == FLIP
    assert mode_of(observed) == ("observe", 100)  # nothing was sent for the person
    page = adam.get(FLIP)
    assert "look once more, then press the button again" in text(page)
    assert WHY in page.content.decode()
    assert page.content.decode().count("checked") >= 1 + len(UNMET)
    assert adam.post(FLIP, ENFORCE).status_code == 302
    assert mode_of(observed) == ("enforce", 10)
    # That proof is used up: the way back wants one of its own.
    lower = {"mode": "observe", "percent": "100", "reason": "It stops the wrong calls."}
    prove(adam, adam.post(FLIP, lower))
    assert mode_of(observed) == ("enforce", 10)
    assert adam.post(FLIP, lower).status_code == 302
    assert mode_of(observed) == ("observe", 100)
    assert [entry["step_up"]["method"] for entry in entries(observed, "mode.changed")] == ["password", "password"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": "short"},
        {"reason": "----------"},
        {"name": "Dem"},
        {"percent": "101"},
        {"mode": "off"},
        {"accepted": UNMET[1:]},
    ],
)
def test_a_flip_that_lacks_something_is_refused_and_keeps_what_was_typed(
    adam: Client, observed: People, wrong: dict[str, Any]
) -> None:
    response = adam.post(FLIP, ENFORCE | wrong)
    assert response.status_code == 422
    assert "Nothing was changed" in text(response)
    assert mode_of(observed) == ("observe", 100)
    assert entries(observed, "mode.changed") == []


def test_observing_asks_for_nothing_that_enforcing_asks_for(adam: Client, observed: People) -> None:
    assert adam.post(FLIP, ENFORCE | {"percent": ""}).status_code == 422
    assert adam.post(FLIP, ENFORCE).status_code == 302
    # What stands in the fields of Enforce, which the page hides now, is of no account.
    observe = {"mode": "observe", "percent": "500", "name": "Dem", "reason": "It stops the wrong calls."}
    prove(adam, adam.post(FLIP, observe))
    assert adam.post(FLIP, observe).status_code == 302
    assert mode_of(observed) == ("observe", 100)


def test_an_action_gets_its_own_mode_and_goes_back(adam: Client, observed: People) -> None:
    url = f"{FLIP}?action={REFUND}"
    assert adam.post(url, ENFORCE).status_code == 422
    assert adam.post(url, ENFORCE | {"name": REFUND, "percent": "100"}).status_code == 302
    live.forget(observed.tenant.pk)
    assert ask(observed, params=LARGE, repeat="new")["decision"] == "review"
    prove(adam, adam.post(url, {"mode": "inherit", "percent": "100", "reason": WHY}))
    assert adam.post(url, {"mode": "inherit", "percent": "100", "reason": WHY}).status_code == 302
    live.forget(observed.tenant.pk)
    assert ask(observed, params=LARGE, repeat="new")["decision"] == "allow"
    assert adam.get(f"{FLIP}?action=no.such").status_code == 404


def test_a_label_is_given_on_the_page_with_the_values_beside_it(adam: Client, observed: People) -> None:
    page = adam.get(LABEL)
    assert "62000" in text(page)
    assert "Refund above USD 500" in text(page)
    uid = reports.read(observed.tenant.pk, now=now()).stopped[0].call.uid
    assert adam.post(LABEL, {"uid": uid, "verdict": "right", "note": ""}).status_code == 302
    assert "Nothing is left to label" in text(adam.get(LABEL))
    adam.post(LABEL, {"uid": str(uuid4()), "verdict": "wrong"})
    adam.post(LABEL, {"uid": "x"})
    with as_tenant(observed.tenant.pk):
        assert CallLabel.objects.get().rule_id == ""


def test_labelling_says_what_was_done_with_the_call(stored: People) -> None:
    enforce_refunds(stored)
    lena = signed_in(stored.lena)
    held = held_review(stored)
    assert "This call was held for a person." in text(lena.get(LABEL))
    decide(stored, held, "deny", now=now() - timedelta(hours=1))
    assert f"This call was held for a person. {stored.rita.display_name} denied" in text(lena.get(LABEL))
    uid = reports.read(stored.tenant.pk, now=now()).stopped[0].call.uid
    lena.post(LABEL, {"uid": uid, "verdict": "right"})
    ask(stored, user_context={"user_id": "u_1", "plan": "free"})
    page = text(lena.get(LABEL))
    assert "This call was denied." in page
    assert "Rule “No refunds on the free plan” says: deny it" in page


def test_labelling_says_that_observe_let_the_call_run(adam: Client) -> None:
    page = text(adam.get(LABEL))
    assert "asked for “ Refund an invoice ”." in page
    assert "This call was let run: the mode was observe." in page


def test_no_first_verdict_is_read_when_labelling_or_replaying(stored: People) -> None:
    severe_desk(stored, tier=4)
    review = held_review(stored, params=SEVERE)
    decide(stored, review, choice=severe_choice())
    lena = signed_in(stored.lena)
    page = text(lena.get(LABEL))
    assert "This call was held for a person." in page
    assert stored.rita.display_name not in page
    assert set(run_backtest(stored).result["freed"]["later"]) <= {"nothing later"}
    assert what_followed(stored.tenant.pk, since=now() - timedelta(days=1)) == {}
    decide(stored, get(stored, review.wire_id), choice=severe_choice(), acting_member=stored.lena)
    assert stored.rita.display_name in text(lena.get(LABEL))
    assert list(what_followed(stored.tenant.pk, since=now() - timedelta(days=1)).values()) == [("approved",)]


def test_parts_of_a_list_stand_side_by_side_when_labelling(adam: Client, observed: People) -> None:
    to = {"to": ["a@x.example", "b@x.example"], "cc": ["c@x.example, d@x.example"], "bcc": []}
    ask(observed, params={**LARGE, **to}, repeat="new")
    pages = "".join(adam.get(f"{LABEL}?skip={n}").content.decode() for n in (0, 1))
    assert ">a@x.example, b@x.example<" in pages
    assert ">[&quot;c@x.example, d@x.example&quot;]<" in pages  # one value with a comma must not pass for two
    assert ">[]<" in pages


def test_hidden_characters_of_an_agent_are_shown_when_labelling(adam: Client, observed: People) -> None:
    ask(observed, params={**LARGE, "note": "pay\u202eme <b>now</b>"}, repeat="new")
    pages = "".join(adam.get(f"{LABEL}?skip={n}").content.decode() for n in (0, 1))
    assert "pay\\u202eme &lt;b&gt;now&lt;/b&gt;" in pages


def test_no_secret_of_a_call_is_readable_when_labelling(adam: Client, observed: People) -> None:
    inner = {"note": "the key is sk_live_4f9a0c11d2e3b4a5c6d7"}
    ask(observed, params={**LARGE, "new_password": "correct horse", "login": inner}, repeat="new")
    pages = "".join(adam.get(f"{LABEL}?skip={n}").content.decode() for n in (0, 1))
    assert "new_password" in pages
    assert "correct horse" not in pages
    assert "4f9a0c11" not in pages


def test_a_backtest_is_started_and_read_on_pages(adam: Client, observed: People) -> None:
    change_limit(observed, 1_000)
    page = text(adam.get("/policy/backtests/"))
    assert "The last 14 days (2 calls)" in page
    assert "No draft was replayed yet." in page
    response = adam.post("/policy/backtests/", {"days": "14"})
    page = text(adam.get(response["Location"]))
    assert "1 newly caught, 0 no longer caught, of 2 calls." in page
    call = reports.read(observed.tenant.pk, now=now()).report.figures
    assert call.calls == 2
    assert "/audit/entries/" in adam.get(response["Location"]).content.decode()
    assert "done" in text(adam.get("/policy/backtests/")).lower()
    assert adam.get(f"/policy/backtests/{uuid4()}/").status_code == 404


def test_a_backtest_that_changes_nothing_says_only_that(adam: Client, observed: People) -> None:
    page = text(adam.get(adam.post("/policy/backtests/", {"days": "14"})["Location"]))
    assert "The draft decides all 2 calls as the live rules do." in page
    for nothing in ("newly caught", "no longer caught", "Failed", "erased", "0 on which"):
        assert nothing not in page


def test_progress_polls_until_it_is_done(adam: Client, observed: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "IN_REQUEST", 0)
    monkeypatch.setattr(backtests, "PAGE", 1)
    monkeypatch.setattr(backtests, "_nudge", lambda *_: None)
    row = run_backtest(observed)
    url = f"/policy/backtests/{row.pk}/"
    assert "0 of 2 calls replayed" in text(adam.get(url))
    poll = {"HX-Request": "true"}
    assert adam.get(f"{url}?v=0", headers=poll).status_code == 204
    backtests.work(observed.tenant.pk, row.pk, now=now(), seconds=0)
    assert "1 of 2 calls replayed" in text(adam.get(f"{url}?v=0", headers=poll))
    while backtests.work(observed.tenant.pk, row.pk, now=now(), seconds=0):
        pass
    assert adam.get(f"{url}?v=1", headers=poll)["HX-Refresh"] == "true"
    assert adam.post(f"{url}stop/").status_code == 404


def test_a_running_backtest_is_stopped_on_its_page(
    adam: Client, observed: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "IN_REQUEST", 0)
    monkeypatch.setattr(backtests, "_nudge", lambda *_: None)
    row = run_backtest(observed)
    assert adam.post(f"/policy/backtests/{row.pk}/stop/").status_code == 302
    assert "stopped after 0 of 2 calls" in text(adam.get(f"/policy/backtests/{row.pk}/"))


def test_a_shadow_is_started_and_stopped_on_its_page(adam: Client, observed: People) -> None:
    change_limit(observed, 1_000)
    page = text(adam.get("/policy/shadow/"))
    assert "Off." in page
    assert "Start comparing" in page
    assert adam.post("/policy/shadow/", {"percent": "0"}).status_code == 422
    assert adam.post("/policy/shadow/", {"percent": "100"}).status_code == 302
    live.forget(observed.tenant.pk)
    ask(observed, params=SMALL, repeat="new")
    page = text(adam.get("/policy/shadow/"))
    assert "allow becomes review" in page
    assert adam.post("/policy/shadow/", {"stop": "1"}).status_code == 302
    with as_tenant(observed.tenant.pk):
        assert Shadow.objects.get().percent == 0
    assert adam.post("/policy/shadow/", {"stop": "1"}).status_code == 404


def test_pages_say_the_name_first_and_the_id_beside_it(adam: Client, observed: People) -> None:
    with as_tenant(observed.tenant.pk):
        title = Action.objects.get(action_id=REFUND).title
        rule = Rule.objects.get(effect="review")
    assert title != REFUND
    page = text(adam.get("/policy/readiness/"))
    assert f"{title} {REFUND} 1" in page
    assert f"{rule.name} {rule.slug} 1" in page
    assert f"Readiness of {title} {REFUND}" in text(adam.get(f"/policy/readiness/?action={REFUND}"))
    assert f"Mode of {title} {REFUND}" in text(adam.get(f"{FLIP}?action={REFUND}"))
    freezes.freeze(observed.tenant.pk, acting=observed.adam, scope="action", target="no.such*", reason=WHY, now=now())
    freezes.freeze(observed.tenant.pk, acting=observed.adam, scope="action", target=REFUND, reason=WHY, now=now())
    page = text(adam.get(FREEZES))
    assert f"Calls of {title} {REFUND}" in page
    assert "Calls of no.such*" in page  # what has no name is told by its id


@pytest.mark.parametrize(
    ("posted", "complaint"),
    [
        ({}, "Choose what to freeze."),
        ({"scope": "agent"}, "Choose the agent."),
        ({"scope": "action", "actions": " "}, "Name the actions."),
    ],
)
def test_a_freeze_asks_for_what_its_scope_needs(
    adam: Client, observed: People, posted: dict[str, str], complaint: str
) -> None:
    refused = adam.post(FREEZES, posted | {"reason": WHY})
    assert refused.status_code == 422
    assert complaint in text(refused)
    with as_tenant(observed.tenant.pk):
        assert not Freeze.objects.exists()


def test_a_freeze_reads_the_field_of_its_scope_alone(adam: Client, observed: People) -> None:
    elsewhere = {"agent": "no-such-agent", "actions": "x" * 300}
    assert adam.post(FREEZES, {"scope": "tenant", "reason": WHY} | elsewhere).status_code == 302
    with as_tenant(observed.tenant.pk):
        assert (Freeze.objects.get().scope, Freeze.objects.get().target) == ("tenant", "")


def test_a_freeze_takes_one_screen_and_lifting_it_a_fresh_sign_in(adam: Client, observed: People) -> None:
    form = {"scope": "action", "actions": "billing.*", "reason": WHY}
    assert adam.post(FREEZES, form | {"reason": "no"}).status_code == 422
    assert adam.post(FREEZES, form | {"actions": ""}).status_code == 422
    assert adam.post(FREEZES, {"scope": "agent", "reason": WHY}).status_code == 422
    assert adam.post(FREEZES, form).status_code == 302
    assert adam.post(FREEZES, form).status_code == 422
    assert ask(observed)["decision"] == "deny"
    assert "billing.*" in text(adam.get("/policy/readiness/"))
    with as_tenant(observed.tenant.pk):
        url = f"{FREEZES}{Freeze.objects.get().pk}/lift/"
    age_proof(adam, 301)
    lift = {"reason": "The flood has ended."}
    assert adam.post(url, {"reason": "no"}).status_code == 422
    assert prove(adam, adam.post(url, lift))["Location"] == url
    assert ask(observed, repeat="new")["decision"] == "deny"
    assert "The flood has ended." in adam.get(url).content.decode()
    assert adam.post(url, lift).status_code == 302
    assert ask(observed, repeat="new")["decision"] == "allow"
    assert adam.get(url).status_code == 404
    assert "billing.*" in text(adam.get(FREEZES))


@pytest.mark.parametrize(("who", "may"), [("rita", False), ("lena", True), ("otto", False), ("adam", True)])
def test_who_may_freeze_finds_it_beside_the_agents(observed: People, who: str, may: bool) -> None:
    page = signed_in(getattr(observed, who)).get("/agents/").content.decode()
    assert ('href="/policy/freezes/"' in page) is may


READ = ("/policy/readiness/", "/policy/backtests/", "/policy/shadow/", FREEZES)


@pytest.mark.parametrize(
    ("who", "reads", "labels", "flips", "freezes_"),
    [
        ("rita", False, False, False, False),
        ("lena", True, True, False, True),
        ("otto", True, False, False, False),
        ("devi", True, False, False, False),
        ("adam", True, True, True, True),
    ],
)
def test_each_role_sees_and_does_what_it_may(
    observed: People, who: str, reads: bool, labels: bool, flips: bool, freezes_: bool
) -> None:
    client = signed_in(getattr(observed, who))
    signed_in_ago(client, seconds=301)
    for url in READ:
        assert client.get(url).status_code == (200 if reads else 403), url
    assert client.get(LABEL).status_code == (200 if labels else 403)
    assert client.get(FLIP).status_code == (200 if flips else 403)
    assert client.post(FLIP, ENFORCE).status_code == (302 if flips else 403)  # the proof is too old: asked for one
    assert client.post(FREEZES, {"scope": "tenant", "reason": WHY}).status_code == (302 if freezes_ else 403)
    assert mode_of(observed) == ("observe", 100)


def test_another_tenant_finds_nothing_of_ours(observed: People) -> None:
    row = run_backtest(observed)
    freeze = freezes.freeze(observed.tenant.pk, acting=observed.adam, scope="tenant", reason=WHY, now=now())
    nia = signed_in(observed.nia)
    for url in (f"/policy/backtests/{row.pk}/", f"{FREEZES}{freeze.pk}/lift/", f"{FLIP}?action={REFUND}"):
        assert nia.get(url).status_code == 404
    assert nia.post(f"/policy/backtests/{row.pk}/stop/").status_code == 404
    assert "No call was recorded" in text(nia.get("/policy/readiness/"))
    assert "Nothing is frozen" in text(nia.get(FREEZES))
    assert nia.post(f"{FREEZES}{freeze.pk}/lift/", {"reason": WHY}).status_code == 404


def test_no_page_changes_anything_on_get(adam: Client, observed: People) -> None:
    before = len(entries(observed, "mode.changed"))
    for url in (*READ, FLIP, LABEL):
        adam.get(url)
    assert len(entries(observed, "mode.changed")) == before
    with as_tenant(observed.tenant.pk):
        assert not Backtest.objects.exists()
        assert not Freeze.objects.exists()
