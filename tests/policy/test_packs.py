"""Risk packs: in order, adopted on record, never over what is there, upgraded by choice."""

from __future__ import annotations

import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.scope import as_tenant
from policy import live, strict_yaml
from policy.errors import InvalidRule, PolicyForbidden
from policy.evaluate import Program, RuleSet
from policy.models import Action, PackAdoption, Rule
from policy.modes import set_tenant_mode
from policy.packs import NOTICE, SHIPPED, BadPack, Pack, read_pack, shipped
from policy.packs.adoption import adopt, differences
from policy.packs.lint import lint
from policy.revisions import publish
from tests.people import People, proof
from tests.policy.calls import ENFORCE, a_call
from tests.policy.drafts import a_draft_rule, an_action, entries
from tests.policy.test_admin import signed_in, text_of

PACKS = "/admin/policy/packadoption/"


def test_four_packs_ship_and_nothing_is_wrong_with_them() -> None:
    assert set(shipped()) == {"payments", "communications", "data-and-infrastructure", "clinical"}
    for pack in shipped().values():
        assert lint(pack) == []
        assert pack.legal_review == "none"
        assert all(f"# {NOTICE}" in text for text in pack.texts.values())
        assert all(action.sources and action.rationale for action in pack.actions)
    assert NOTICE == "Not legal advice. Not reviewed by counsel. You answer for the classifications you adopt."


@pytest.mark.parametrize(
    ("pack_id", "action_id", "params", "roots", "expected"),
    [
        ("payments", "billing.refund", {"amount_cents": 600_000, "currency": "USD"}, {}, ("review", 3)),
        ("payments", "billing.refund", {"amount_cents": 100, "currency": "USD"}, {}, ("allow", 2)),
        ("payments", "payments.payout_account.add", {"beneficiary_id": "b", "account": "DE"}, {}, ("review", 4)),
        ("payments", "billing.credit.grant", {"beneficiary_id": "u_1"}, {"user": {"user_id": "u_1"}}, ("deny", 3)),
        (
            "communications",
            "email.send",
            {"to": ["b@other.example"], "body": "hi", "attachments": ["f"]},
            {"user": {"email": "a@demo.example"}},
            ("review", 3),
        ),
        ("data-and-infrastructure", "db.query", {"sql": "DROP TABLE x", "environment": "test"}, {}, ("deny", 3)),
        (
            "data-and-infrastructure",
            "infra.scale",
            {"replicas": 0, "environment": "production", "service": "api"},
            {},
            ("review", 4),
        ),
        (
            "clinical",
            "clinical.medication.order",
            {"dose_mg": 50, "max_daily_mg": "5", "patient_age_years": 40},
            {},
            ("deny", 4),
        ),
        ("clinical", "clinical.prescription.send", {"patient_id": "p"}, {}, ("review", 4)),
    ],
)
def test_a_pack_decides_as_it_says(
    pack_id: str, action_id: str, params: dict[str, Any], roots: dict[str, Any], expected: tuple[str, int]
) -> None:
    pack = shipped()[pack_id]
    rules = RuleSet(pack.rules, {action.id: action.tier_floor for action in pack.actions})
    context: dict[str, Any] = {"user": {"user_id": "u_9"}, **roots}
    ruling = Program(rules).decide(a_call(params, action_id=action_id, **context), ENFORCE)
    assert (ruling.effect, ruling.tier) == expected


# The format and the linter.


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the payments pack, to break."""
    shutil.copytree(SHIPPED / "payments", tmp_path / "payments")
    return tmp_path / "payments"


def broken(copy: Path, name: str, old: str, new: str) -> Pack:
    text = (copy / name).read_text()
    assert old in text
    (copy / name).write_text(text.replace(old, new, 1))
    return read_pack(copy)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("pack.yaml", "legal_review: none", "legal_review: done", "legal_review is none"),
        ("pack.yaml", "version: 1.0.0", "version: first", "The version is such as 1.0.0."),
        ("pack.yaml", "notice: Not legal advice.", "notice: Legal advice.", "The notice is exactly"),
        ("actions.yaml", f"# {NOTICE}\n", "", "The notice stands in a comment at the top."),
        ("actions.yaml", "A refund leaves", "Reviewed by counsel. A refund leaves", "It claims what a pack cannot"),
        ("actions.yaml", "class: money_out", "class: money", "The class is one of"),
        ("actions.yaml", "tier_floor: 2", "tier_floor: 1", "tier floor of 2 at least"),
        (
            "actions.yaml",
            "    undo: Restore the earlier account before the next payout run.\n",
            "",
            "say how it is undone",
        ),
        ("actions.yaml", 'date: "2026-11-21"', "date: soon", "The date is such as"),
        ("actions.yaml", 'url: "https://genai', 'url: "http://genai', "has an https address"),
        ("actions.yaml", "id: billing.refund", "id: billing.repay", "No rule of the pack is about it."),
        (
            "policy.yaml",
            "scope: {actions: [billing.refund]}",
            "scope: {actions: [billing.repay]}",
            "No action of the pack",
        ),
        ("policy.yaml", "expect: match", "expect: no match", "expected no match, got match"),
        ("policy.yaml", "when: params.beneficiary_id ==", "when: params.beneficiary =", "Write `==` to compare."),
        (
            "policy.yaml",
            "params.beneficiary_id == user",
            "params.payee == user",
            "`params.payee` may be missing",
        ),
    ],
)
def test_the_linter_says_what_is_wrong_and_where(copy: Path, name: str, old: str, new: str, sentence: str) -> None:
    assert any(sentence in str(defect) for defect in lint(broken(copy, name, old, new)))
    with pytest.raises(CommandError, match=r"payments"):
        call_command("policy_packs", "lint", str(copy), stdout=StringIO())


def test_the_linter_wants_a_test_that_does_not_match(copy: Path) -> None:
    text = (copy / "policy.yaml").read_text()
    lines = [line for line in text.splitlines() if "name: small" not in line and "name: at the limit" not in line]
    (copy / "policy.yaml").write_text("\n".join(lines))
    assert "It needs a test that matches and one that does not." in {d.sentence for d in lint(read_pack(copy))}


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("pack.yaml", "format: guardsite-pack/1", "format: other/1", "pack.yaml: format is guardsite-pack/1"),
        ("pack.yaml", "title: Payments", "colour: blue", "colour is not known here"),
        ("pack.yaml", "title: Payments", "id: again", "Line 5, column 1: The key id is here twice."),
        ("actions.yaml", "reversible: false", "reversible: no", "Write true, false or null, or put no in quotes."),
        ("actions.yaml", "title: Refund a payment", "title: !!python/name:os.system x", "Tags are not allowed."),
        ("actions.yaml", "title: Refund a payment", "title: &a Refund", "Anchors and aliases are not allowed."),
        ("actions.yaml", "    rationale: >-", "    reason: >-", "billing.refund|action 1"),
        ("policy.yaml", "effect: review", "effect: maybe", "effect is allow or review or deny"),
        ("policy.yaml", "due_in: 15m", "due_in: soon", "a time is such as 15m or 2h"),
        ("policy.yaml", "tier: 3", "tier: 9", "tier is 1 to 4"),
        ("policy.yaml", "rules:", "rules: {", "policy.yaml: Line"),
    ],
)
def test_a_pack_that_is_not_in_form_is_refused_with_file_and_place(
    copy: Path, name: str, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(BadPack, match=sentence):
        broken(copy, name, old, new)


@pytest.mark.parametrize(
    "text", ["a: *b", "a: {<<: {b: 1}}", "--- 1\n--- 2", "? [a]\n: 1", "a: 'x", "a: " + "[" * 2000]
)
def test_hostile_yaml_is_refused(text: str) -> None:
    with pytest.raises(strict_yaml.BadYaml):
        strict_yaml.load(text)


def test_yaml_keeps_what_was_written() -> None:
    text = 'a: 2026-11-21\nb: "yes"\nc: 012\nd: 1e3\ne: 1.5\nf: true\ng:\nh: 7\n'
    values = {"a": "2026-11-21", "b": "yes", "c": "012", "d": "1e3", "e": 1.5, "f": True, "g": None, "h": 7}
    assert strict_yaml.load(text).value == values


# Adoption.


def test_adopting_copies_actions_and_rules_on_record(stored: People) -> None:
    pack = shipped()["payments"]
    adopted = adopt(stored.tenant.pk, acting=stored.adam, pack=pack, sign_off="Lena Lind, head of support")
    with as_tenant(stored.tenant.pk):
        assert {row.action_id for row in Action.objects.all()} == {action.id for action in pack.actions}
        assert {row.slug for row in Rule.objects.all()} == {rule.id for rule in pack.rules}
        refund = Rule.objects.get(slug="pack-refund-over-limit")
        assert (refund.tier, refund.due_in_seconds, refund.expires_in_seconds, refund.mode) == (
            3,
            900,
            14400,
            "enforce",
        )
        row = PackAdoption.objects.get()
    assert (row.pack_id, row.version, row.digest) == ("payments", "1.0.0", pack.digest)
    assert (row.adopted_by_id, row.sign_off) == (stored.adam.pk, "Lena Lind, head of support")
    assert (len(adopted.created), adopted.replaced, adopted.kept) == (9, (), ())
    (body,) = entries(stored, "pack.adopted")
    assert body["pack"] == {"id": "payments", "version": "1.0.0", "digest": pack.digest}
    assert body["actor"]["id"] == str(stored.adam.pk)
    assert body["legal_review"] == "none"
    assert "Lena" not in str(body)
    revision = publish(stored.tenant.pk, acting=stored.adam, reason="Payments pack, as read.", evidence=proof())
    assert revision.notes == ""
    assert (
        live.live_policy(stored.tenant.pk).decide(a_call({"amount_cents": 600_000, "currency": "USD"})).effect
        == "review"
    )


@pytest.mark.parametrize("pack_id", ["communications", "data-and-infrastructure", "clinical"])
def test_every_pack_can_be_adopted_and_published(people: People, pack_id: str) -> None:
    adopt(people.tenant.pk, acting=people.adam, pack=shipped()[pack_id])
    assert publish(people.tenant.pk, acting=people.adam, reason="The pack, as read.", evidence=proof()).notes == ""


def test_what_the_draft_has_is_kept_unless_it_is_named(people: People) -> None:
    pack = shipped()["payments"]
    an_action(people, "billing.refund", title="Ours")
    a_draft_rule(people, slug="pack-own-benefit", name="Ours")
    adopted = adopt(people.tenant.pk, acting=people.adam, pack=pack)
    assert adopted.kept == ("action:billing.refund", "rule:pack-own-benefit")
    with as_tenant(people.tenant.pk):
        assert Action.objects.get(action_id="billing.refund").title == "Ours"
        assert Rule.objects.get(slug="pack-own-benefit").name == "Ours"
        changed = {one.key: one for one in differences(people.tenant.pk, pack) if one.state == "changed"}
        assert ("name", "Ours", "Money to the person who asks") in changed["rule:pack-own-benefit"].fields
        assert {one.state for one in differences(people.tenant.pk, pack)} == {"changed", "same"}
    again = adopt(people.tenant.pk, acting=people.adam, pack=pack, replace=["rule:pack-own-benefit"])
    assert (again.created, again.replaced, again.kept) == (
        (),
        ("rule:pack-own-benefit",),
        ("action:billing.refund",),
    )
    with as_tenant(people.tenant.pk):
        assert Rule.objects.get(slug="pack-own-benefit").effect == "deny"
        assert PackAdoption.objects.count() == 2


def test_an_adoption_is_refused_whole(people: People, copy: Path) -> None:
    pack = shipped()["payments"]
    with pytest.raises(InvalidRule, match="not among what differs"):
        adopt(people.tenant.pk, acting=people.adam, pack=pack, replace=["rule:pack-own-benefit"])
    with pytest.raises(PolicyForbidden):
        adopt(people.tenant.pk, acting=people.rita, pack=pack)
    with pytest.raises(PolicyForbidden):
        adopt(people.tenant.pk, acting=people.nia, pack=pack)
    with pytest.raises(InvalidRule, match="not in order"):
        adopt(people.tenant.pk, acting=people.adam, pack=broken(copy, "pack.yaml", "version: 1", "version: x"))
    with as_tenant(people.tenant.pk):
        assert not Rule.objects.exists()
        assert not PackAdoption.objects.exists()


def test_in_an_enforcing_tenant_nothing_is_let_through_and_nothing_surprises(people: People) -> None:
    an_action(people, "billing.refund")
    set_tenant_mode(
        people.tenant.pk, acting=people.adam, mode="enforce", evidence=proof(), reason="This test enforces."
    )
    adopt(people.tenant.pk, acting=people.adam, pack=shipped()["payments"])
    with as_tenant(people.tenant.pk):
        # The action ran before: its new rule observes first. The others were held until now: theirs enforce.
        assert Rule.objects.get(slug="pack-refund-over-limit").mode == "observe"
        assert Rule.objects.get(slug="pack-new-payout-account").mode == "enforce"
        assert Action.objects.get(action_id="payments.transfer").mode_override == "enforce"


def test_an_upgrade_shows_what_changes_and_takes_what_is_chosen(people: People, copy: Path) -> None:
    adopt(people.tenant.pk, acting=people.adam, pack=shipped()["payments"])
    newer = broken(copy, "pack.yaml", "version: 1.0.0", "version: 1.1.0")
    newer = broken(copy, "policy.yaml", "'USD': 20000, 'EUR': 20000", "'USD': 20000, 'EUR': 19000")
    with as_tenant(people.tenant.pk):
        (changed,) = [one for one in differences(people.tenant.pk, newer) if one.state != "same"]
    assert [field for field, _, _ in changed.fields] == ["condition"]
    adopt(people.tenant.pk, acting=people.adam, pack=newer, replace=[changed.key])
    with as_tenant(people.tenant.pk):
        assert "19000" in Rule.objects.get(slug="pack-credit-over-limit").condition
        assert [row.version for row in PackAdoption.objects.all()] == ["1.1.0", "1.0.0"]


# The page and the command.


def test_a_pack_is_read_and_adopted_in_the_page(people: People) -> None:
    adam = signed_in(people.adam)
    page = text_of(adam.get(PACKS))  # type: ignore[arg-type]  # the client's response
    assert NOTICE in page
    assert "Not adopted" in page
    a_draft_rule(people, slug="pack-own-benefit", name="Ours")
    shown: Any = adam.get(f"{PACKS}pack/payments/")
    text = text_of(shown)
    assert NOTICE in text
    assert "Business e-mail compromise" in text
    assert "Your draft differs from the pack" in text
    digest = shipped()["payments"].digest
    done: Any = adam.post(f"{PACKS}pack/payments/", {"digest": digest, "sign_off": "Adam Abara, owner"}, follow=True)
    after = text_of(done)
    assert "8 added, 0 replaced" in after
    assert "Kept as they were, unlike the pack: pack-own-benefit." in after
    taken: Any = adam.post(
        f"{PACKS}pack/payments/", {"digest": digest, "replace": ["rule:pack-own-benefit"]}, follow=True
    )
    assert "0 added, 1 replaced" in text_of(taken)
    with as_tenant(people.tenant.pk):
        assert Rule.objects.get(slug="pack-own-benefit").effect == "deny"
    assert "Adam Abara, owner" in text_of(adam.get(PACKS))  # type: ignore[arg-type]


def test_the_page_refuses_what_was_not_read_and_who_may_not(people: People) -> None:
    adam = signed_in(people.adam)
    stale: Any = adam.post(f"{PACKS}pack/payments/", {"digest": "0" * 64})
    assert stale.status_code == 422
    assert "updated since you read it" in text_of(stale)
    unknown: Any = adam.post(f"{PACKS}pack/payments/", {"digest": shipped()["payments"].digest, "replace": ["rule:x"]})
    assert unknown.status_code in (200, 302, 422)
    assert adam.get(f"{PACKS}pack/nothing/").status_code == 404
    for member in (people.rita, people.devi, people.otto):
        refused = signed_in(member).post(f"{PACKS}pack/payments/", {"digest": shipped()["payments"].digest})
        assert refused.status_code in (302, 403, 404)
    with as_tenant(people.tenant.pk):
        assert not PackAdoption.objects.filter(adopted_by__in=[people.rita, people.devi, people.otto]).exists()


def test_the_command_lists_lints_shows_compares_and_adopts(people: People) -> None:
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("policy_packs", *arguments, stdout=out)
        assert NOTICE in out.getvalue()
        return out.getvalue()

    assert "payments 1.0.0  4 actions, 5 rules" in run("list")
    assert "4 packs, nothing wrong." in run("lint")
    assert "rationale:" in run("show", "clinical")
    assert "new      rule:pack-own-benefit" in run("diff", "payments", "--tenant", "demo")
    adopted = run("adopt", "payments", "--tenant", "demo", "--as", "adam@demo.example")
    assert "added    action:billing.refund" in adopted
    assert "same     rule:pack-own-benefit" in run("diff", "payments", "--tenant", "demo")
    for arguments in (
        ("show", "nothing"),
        ("diff", "payments", "--tenant", "nowhere"),
        ("adopt", "payments", "--tenant", "demo", "--as", "nia@elsewhere.example"),
        ("adopt", "payments", "--tenant", "demo", "--as", "rita@demo.example"),
    ):
        with pytest.raises(CommandError):
            run(*arguments)
