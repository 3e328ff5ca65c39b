"""Django admin for risk packs and judges: browse a pack, adopt it on record, see what an upgrade changes; judges per
action. Saves through the write functions.
"""

from __future__ import annotations

import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from audit.errors import DomainError
from policy import judges, judging
from policy.admin import member_of, require_permission, tenant_id_of
from policy.functions import glob
from policy.models import Action, JudgeSetting, PackAdoption
from policy.packs import NOTICE, Pack, shipped
from policy.packs.adoption import CHANGE_RULE, LONGEST_SIGN_OFF, Difference, adopt, adoptions, differences
from tenants.admin import TenantAdmin
from tenants.isolation import rows_of


class AdoptForm(forms.Form):
    """Which differing parts to take from the pack, and who in the firm answers for the classification."""

    digest = forms.CharField(widget=forms.HiddenInput, max_length=64)
    replace = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Replace in the draft",
        help_text="Unticked ones stay as they are in your draft.",
    )
    sign_off = forms.CharField(
        required=False,
        max_length=LONGEST_SIGN_OFF,
        label="Signed off by",
        help_text="If somebody in your firm answers for these classifications: who, and in what role. On the record.",
    )

    def __init__(self, *args: Any, found: list[Difference], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(one.key, f"{one.what} {one.id}") for one in found if one.state == "changed"]
        if choices:
            self.fields["replace"].choices = choices  # type: ignore[attr-defined]  # a MultipleChoiceField
        else:
            del self.fields["replace"]


@admin.register(PackAdoption)
class PackAdmin(TenantAdmin):
    """The packs that come with guardsite, and which of them this tenant adopted."""

    never_added = "Open a pack in the list, and adopt it there."

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Adopting has a page of its own."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: what was adopted is on record."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever reads rules."""
        return request.user.has_perm("policy.view_rule")

    def get_urls(self) -> list[URLPattern]:
        """A page for each pack, before the catch-all of the detail page."""
        view = self.admin_site.admin_view(self.pack_view)
        return [path("pack/<slug:pack_id>/", view, name="policy_pack"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Each pack with its latest adoption here, and the history."""
        require_permission(request, "policy.view_rule")
        history = adoptions(tenant_id_of(request))
        latest: dict[str, PackAdoption] = {}
        for row in history:
            latest.setdefault(row.pack_id, row)
        packs = [
            {
                "pack": pack,
                "adopted": latest.get(pack.id),
                "is_newer": pack.id in latest and latest[pack.id].digest != pack.digest,
            }
            for pack in shipped().values()
        ]
        context = {"title": "Risk packs", "packs": packs, "history": history}
        return self._page(request, "admin/policy/packs.html", context)

    def pack_view(self, request: HttpRequest, pack_id: str) -> HttpResponse:
        """One pack against the draft: read, adopt, upgrade."""
        require_permission(request, "policy.view_rule")
        pack = shipped().get(pack_id)
        if pack is None:
            raise Http404
        tenant_id = tenant_id_of(request)
        found = differences(tenant_id, pack)
        form = AdoptForm(
            request.POST if request.method == "POST" else None, found=found, initial={"digest": pack.digest}
        )
        refusal = None
        if request.method == "POST":
            require_permission(request, CHANGE_RULE)
        if form.is_valid():
            if form.cleaned_data["digest"] != pack.digest:
                form.add_error(None, "The pack was updated since you read it. Look at it again.")
            else:
                try:
                    adopted = adopt(
                        tenant_id,
                        acting=member_of(request),
                        pack=pack,
                        sign_off=form.cleaned_data["sign_off"],
                        replace=form.cleaned_data.get("replace", []),
                    )
                except DomainError as error:
                    refusal = error
                else:
                    self._say(request, pack, adopted.created, adopted.replaced, adopted.kept)
                    return redirect("admin:policy_pack", pack.id)
        context = {
            "title": f"{pack.title} {pack.version}",
            "pack": pack,
            "actions": [(action, _scoped(pack, action.id)) for action in pack.actions],
            "found": found,
            "changed": [one for one in found if one.state == "changed"],
            "new_count": sum(one.state == "new" for one in found),
            "adopted": next(iter(adoptions(tenant_id, pack.id)), None),
            "form": form,
            "refusal": refusal,
        }
        status = refusal.status if refusal else 422 if form.is_bound and form.errors else 200
        return self._page(request, "admin/policy/pack.html", context, status)

    def _say(
        self,
        request: HttpRequest,
        pack: Pack,
        created: tuple[str, ...],
        replaced: tuple[str, ...],
        kept: tuple[str, ...],
    ) -> None:
        done = f"{pack.title} {pack.version} is adopted: {len(created)} added, {len(replaced)} replaced."
        self.message_user(request, f"{done} This is the draft. It acts once it is published.", messages.SUCCESS)
        if kept:
            names = ", ".join(key.partition(":")[2] for key in kept)
            self.message_user(request, f"Kept as they were, unlike the pack: {names}.", messages.WARNING)

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "notice": NOTICE, **context}
        return TemplateResponse(request, template, context, status=status)


def _scoped(pack: Pack, action_id: str) -> list[Any]:
    """The pack's rules about one of its actions."""
    return [rule for rule in pack.rules if any(glob(action_id, pattern) for pattern in rule.actions)]


class JudgeForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A judge for an action: chosen, not typed."""

    judge = forms.ChoiceField(choices=())
    action_id = forms.ChoiceField(label="Action", choices=())
    fields_seen = forms.CharField(
        label="Params that it may see",
        help_text="Separated by commas, such as note, customer.name. Name at least one: it sees nothing else of a call.",
    )

    class Meta:
        model = JudgeSetting
        fields = ("timeout_ms",)
        labels = {"timeout_ms": "Milliseconds that it may take"}  # noqa: RUF012  # Django reads it once
        help_texts = {  # noqa: RUF012
            "timeout_ms": f"{judging.SHORTEST_MS} to {judging.LONGEST_MS}. Calls wait for it; without its answer a person decides."
        }

    def clean_fields_seen(self) -> list[str]:
        """The paths."""
        return [judging.without_root(part) for part in self.cleaned_data["fields_seen"].split(",") if part.strip()]

    def clean(self) -> dict[str, Any]:
        """What the write function would refuse is said here."""
        data = super().clean() or {}
        if not self.errors:
            judge = data.get("judge", self.instance.judge)
            action_id = data.get("action_id", self.instance.action_id)
            try:
                judging.check_setting(judge, action_id, data["fields_seen"], data["timeout_ms"])
            except DomainError as error:
                self.add_error("fields_seen", error.sentence)
        return data


@admin.register(JudgeSetting)
class JudgeAdmin(TenantAdmin):
    """Judges that are on. They only ever tighten; there is none by default."""

    form = JudgeForm
    about = "A judge is a model or a classifier that looks at the calls of one action and may ask for more care, never less."
    list_display = ("action_id", "judge", "sees", "timeout_ms")
    history = ("judge.changed", "action_id", "action_id")

    def get_fields(self, request: HttpRequest, obj: JudgeSetting | None = None) -> Any:
        """Judge and action are what the setting is."""
        return ["fields_seen", "timeout_ms"] if obj else ["judge", "action_id", "fields_seen", "timeout_ms"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form with this tenant's actions; a setting shows what it sees."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)  # made for this request alone
        # Its declared fields are not: they are the class's, and choices would reach the next tenant.
        form.base_fields = copy.deepcopy(form.base_fields)
        names = [(judge.id, judge.label) for judge in judges.registered()]
        actions = rows_of(Action, tenant_id_of(request)).values_list("action_id", "action_id")
        if obj is None:
            form.base_fields["judge"].choices = names
            form.base_fields["action_id"].choices = [("", "Choose an action"), *actions]
        else:
            del form.base_fields["judge"], form.base_fields["action_id"]
            form.base_fields["fields_seen"].initial = ", ".join(obj.fields)
        return form

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever reads rules."""
        return request.user.has_perm("policy.view_rule")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever publishes: a judge acts at once."""
        return request.user.has_perm(judging.CHANGE_JUDGE)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever publishes."""
        return request.user.has_perm(judging.CHANGE_JUDGE)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever publishes."""
        return request.user.has_perm(judging.CHANGE_JUDGE)

    @admin.display(description="Sees")
    def sees(self, setting: JudgeSetting) -> str:
        """The allow-listed params."""
        return ", ".join(setting.fields)

    def save_model(self, request: HttpRequest, obj: JudgeSetting, form: JudgeForm, change: bool) -> None:
        """Switch it on, or change it."""
        data = form.cleaned_data
        saved = judging.set_judge(
            tenant_id_of(request),
            acting=member_of(request),
            judge=data.get("judge") or obj.judge,
            action_id=data.get("action_id") or obj.action_id,
            fields=data["fields_seen"],
            timeout_ms=data["timeout_ms"],
        )
        obj.pk, obj.judge, obj.action_id = saved.pk, saved.judge, saved.action_id
        self.message_user(request, "Every process follows within 5 seconds.", messages.INFO)

    def delete_consequence(self, obj: JudgeSetting) -> str:
        """Judges only tighten: without one the rules stand alone."""
        return (
            f"Within 5 seconds {obj.judge} looks at no more calls of {obj.action_id}, and only rules decide them. "
            "Reviews that wait because of it stay in the queue."
        )

    def delete_model(self, request: HttpRequest, obj: JudgeSetting) -> None:
        """Switch it off."""
        judging.remove_judge(tenant_id_of(request), acting=member_of(request), setting=obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """One by one, each with its entry."""
        for row in queryset:
            self.delete_model(request, row)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Back to the list."""
        return redirect(reverse("admin:policy_judgesetting_changelist"))
