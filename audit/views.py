"""The audit pages: list, entry, checkpoints, verification, exports. They read as `gs_auditor`, one tenant's rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from audit import browse, kinds
from audit.access import requires
from audit.errors import DomainError
from audit.export import BadRange, NoSuchExport, covering_cut, find_export, request_export, zip_bundle
from audit.forms import ExportForm, FilterForm
from audit.keys import vkey
from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from audit.standing import standing
from audit.subjects import subject_of
from audit.verification import verify_log
from audit.verifier import SCRIPT

# A walk over more rows than this takes longer than a page may; the command has no such limit.
VERIFY_ROWS = 200_000
EXPORT_ROWS = 200_000
# Over short lines, so that a narrow page shows all of it; a shell joins them.
VERIFY_COMMAND = f"""\
python3 -I {SCRIPT.name} \\
  --previous checkpoint-kept.txt \\
  --key vkey.txt guardsite.zip"""


class TooManyRows(DomainError):
    """More than a page can do; the commands can."""

    code = "too_many_rows"
    status = 422
    default_sentence = "This log is too long for a page. Use manage.py audit_verify or manage.py audit_export."


class HoldsFirstVerdicts(DomainError):
    """The bundle would show verdicts to somebody who may still give the next one."""

    code = "blind_review"
    status = 409
    default_sentence = (
        "The bundle holds verdicts on calls that you may still decide, which you must not see yet."
        " It is yours once they are decided; an auditor can download one now."
    )


def _tenant_id(request: HttpRequest) -> UUID:
    tenant_id: UUID = request.tenant.pk  # type: ignore[attr-defined]  # set by the tenant middleware
    return tenant_id


def _acting(request: HttpRequest) -> Actor:
    return Actor("member", str(request.member.pk))  # type: ignore[attr-defined]  # set by the tenant middleware


def reading(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view, run with the reader's connection bound to the request's tenant."""

    @wraps(view)
    def bound(request: HttpRequest, **kwargs: Any) -> HttpResponse:  # Any: whatever the route captured
        with as_tenant(_tenant_id(request), using=browse.READER):
            return view(request, **kwargs)

    return bound


@require_GET
@requires("audit.view_entry")
@never_cache
@reading
def entry_list(request: HttpRequest) -> HttpResponse:
    """The log, newest first, by the filters in the URL."""
    tenant_id = _tenant_id(request)
    form = FilterForm(request.GET, tenant_id=tenant_id)
    page = browse.Page([], None)
    withheld = kinds.withheld(tenant_id, request.user.has_perm)
    if form.is_valid():
        page = browse.page(
            tenant_id,
            equal=form.equal(),
            about=form.subject(),
            since=form.cleaned_data["since"],
            until=form.cleaned_data["until"],
            before=form.cleaned_data["before"],
            without=withheld,
        )
    older = None
    if page.next_before:
        query = request.GET.copy()
        query["before"] = page.next_before
        older = query.urlencode()
    context = {
        "form": form,
        "page": page,
        "older": older,
        "is_filtered": form.is_valid() and any(value for value in form.cleaned_data.values()),
        "subject": subject_of(request, form.given()) if form.is_valid() else None,
        "standing": standing(tenant_id, now=timezone.now()),
        "is_withheld": bool(withheld),
    }
    return render(request, "audit/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("audit.view_entry")
@never_cache
@reading
def entry(request: HttpRequest, uid: UUID) -> HttpResponse:
    """One entry. A POST opens its stored values, and that is an entry too."""
    tenant_id = _tenant_id(request)
    opens = request.method == "POST"
    if opens and not request.user.has_perm("audit.read_disclosure"):
        raise Http404
    withheld = kinds.withheld(tenant_id, request.user.has_perm)
    found = None if uid in withheld else browse.detail(tenant_id, uid, opened=opens, without=withheld)
    if found is None:
        raise Http404
    if opens:
        record(
            tenant_id,
            EntryDraft(
                "disclosure.read", {"entry": str(uid), "values": len(found.values)}, _acting(request), refs=[str(uid)]
            ),
        )
    context = {"entry": found, "is_opened": opens, "has_stored": any(value.state == "stored" for value in found.values)}
    return render(request, "audit/entry.html", context)


@require_GET
@requires("audit.view_entry")
@never_cache
@reading
def checkpoint_list(request: HttpRequest) -> HttpResponse:
    """Signed heads, largest first."""
    tenant_id = _tenant_id(request)
    below = request.GET.get("below", "")
    found = browse.checkpoints(
        tenant_id, below=int(below) if below.isascii() and below.isdecimal() and len(below) < 19 else None
    )
    context = {"checkpoints": found, "older": found[-1].size if len(found) == browse.PAGE else None, **_pin(tenant_id)}
    return render(request, "audit/checkpoints.html", context)


@require_GET
@requires("audit.view_entry")
@reading
def checkpoint_note(request: HttpRequest, size: int) -> HttpResponse:
    """One signed head as the note itself, to keep elsewhere."""
    found = browse.checkpoint(_tenant_id(request), size) if size < 2**63 else None
    if found is None:
        raise Http404
    return _download(found.note.encode(), f"checkpoint-{size}.txt", "text/plain; charset=utf-8")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("audit.view_entry")
@never_cache
def verify(request: HttpRequest) -> HttpResponse:
    """The server's own walk over the log, on demand, and what an auditor needs to do it without the server."""
    tenant_id = _tenant_id(request)
    report = None
    with as_tenant(tenant_id, using=browse.READER):
        context: dict[str, Any] = {
            "verifier_sha256": sha256(SCRIPT.read_bytes()).hexdigest(),
            "command": VERIFY_COMMAND,
            **_pin(tenant_id),
        }
        if request.method == "POST":
            if browse.log_size(tenant_id) > VERIFY_ROWS:
                raise TooManyRows
            report = verify_log(tenant_id)
    return render(request, "audit/verify.html", context | {"report": report})


@require_GET
@requires("audit.view_entry")
def verifier(request: HttpRequest) -> HttpResponse:
    """The stand-alone verifier: one file of Python, to be read and run elsewhere."""
    return _download(SCRIPT.read_bytes(), SCRIPT.name, "text/x-python; charset=utf-8")


@require_GET
@requires("audit.view_entry")
@reading
def pinned_key(request: HttpRequest) -> HttpResponse:
    """The verifier key of this tenant's log, as a file."""
    text = _pin(_tenant_id(request))["vkey"]
    if text is None:
        raise Http404
    return _download(f"{text}\n".encode(), "vkey.txt", "text/plain; charset=utf-8")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("audit.view_entry", "audit.export_log")
@never_cache
@reading
def export_list(request: HttpRequest) -> HttpResponse:
    """Exports and the form for a new one, which is recorded at once and ready when it is signed."""
    tenant_id = _tenant_id(request)
    form = ExportForm(
        request.POST if request.method == "POST" else None,
        may_read_values=request.user.has_perm("audit.read_disclosure"),
        checkpoints=browse.checkpoints(tenant_id),
    )
    if request.method == "POST" and form.is_valid():
        try:
            request_export(
                tenant_id,
                actor=_acting(request),
                with_disclosures=form.cleaned_data.get("with_disclosures", False),
                previous_size=form.cleaned_data["previous_size"],
            )
        except BadRange:
            form.add_error(
                "previous_size", "The log has no signed head of this size yet. The Checkpoints page lists them."
            )
        else:
            messages.success(
                request, "Recorded. The bundle is ready as soon as a checkpoint covers it, in a few seconds."
            )
            return redirect("audit:exports")
    mine = _acting(request).id
    listed = [
        {"row": row, "export": item, "cut": covering_cut(tenant_id, item), "is_mine": item.requester.get("id") == mine}
        for row, item in browse.exports(tenant_id)
    ]
    status = 422 if form.is_bound else 200
    return render(request, "audit/exports.html", {"form": form, "exports": listed, **_pin(tenant_id)}, status=status)


@require_GET
@requires("audit.view_entry", "audit.export_log")
@never_cache
def export_bundle(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The bundle of one's own export: who else wants it asks, and that is recorded."""
    tenant_id = _tenant_id(request)
    with as_tenant(tenant_id, using=browse.READER):
        export = find_export(tenant_id, uid)
        cut = covering_cut(tenant_id, export)
        withheld = kinds.withheld(tenant_id, request.user.has_perm)
        is_blind = cut is not None and browse.any_sealed_below(tenant_id, cut.size, uids=withheld)
    if export.requester.get("id") != _acting(request).id:
        raise NoSuchExport
    if export.with_disclosures and not request.user.has_perm("audit.read_disclosure"):
        raise NoSuchExport
    if is_blind:
        raise HoldsFirstVerdicts
    if cut is not None and cut.size > EXPORT_ROWS:
        raise TooManyRows
    bundle, cut = zip_bundle(tenant_id, uid)
    with bundle:
        return _download(bundle.read(), f"guardsite-{cut.size}.zip", "application/zip")


def _pin(tenant_id: UUID) -> dict[str, Any]:
    """The log's name and the key to pin, where this process knows it."""
    log = browse.log_of(tenant_id)
    key = vkey(log.origin) if log else None
    return {"origin": log.origin if log else None, "vkey": str(key) if key else None}


def _download(content: bytes, name: str, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
