"""Sending notices: lease, send, record, as for resume deliveries (resumes); what fails for 72 hours is given up.

A crash between sending and recording sends twice, with the same Message-ID or `webhook-id`. Source: house-style.md
section 5, integrations.md section 3.2.
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from audit.scope import as_tenant
from reviews import notice_secrets, outbound
from reviews.models import Notice, NoticeTarget
from reviews.notice_text import Mail, is_stale, mail_of, webhook_body
from reviews.resumers import Delivered, Failed, Retry
from reviews.retrying import GIVE_UP_AFTER, back_off
from tenants.isolation import rows_of
from tenants.models import Tenant

LEASE: Final = timedelta(seconds=60)
MOST_IN_A_DIGEST: Final = 100
GONE: Final = 410
_TRY_AGAIN: Final = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Parcel:
    """Notices that go together, with what they say; leased until it is recorded how they fared."""

    notices: tuple[Notice, ...]
    target: NoticeTarget
    mail: Mail | None = None
    body: bytes = b""


def deliver(tenant_id: UUID, notice_id: UUID, *, now: datetime) -> bool:
    """Tell one recipient. False when there was nothing to do: not due, leased by another, done, or no longer true."""
    parcel = _lease(tenant_id, notice_id, now=now)
    if parcel is None:
        return False
    result = _mail(parcel) if parcel.mail is not None else _post(parcel, now=timezone.now())
    _record(parcel, result, now=timezone.now())
    return True


def _lease(tenant_id: UUID, notice_id: UUID, *, now: datetime) -> Parcel | None:
    with as_tenant(tenant_id):
        due = (
            rows_of(Notice, tenant_id)
            .filter(state=Notice.State.WAITING, due_at__lte=now)
            .filter(Q(leased_until=None) | Q(leased_until__lte=now))
            .select_for_update(no_key=True, of=("self",), skip_locked=True)
            .select_related("target", "review__agent", "agent", "member__user")
            .prefetch_related("review__verdicts")
            .order_by("id")
        )
        first = due.filter(pk=notice_id).first()
        if first is None:
            return None
        target, notices = first.target, [first]
        if target.cadence == NoticeTarget.Cadence.DIGEST:
            notices = list(due.filter(target=target, address=first.address)[:MOST_IN_A_DIGEST])
        wanted = [notice for notice in notices if target.is_active and not is_stale(notice, now=now)]
        for notice in notices:
            if notice in wanted:
                notice.leased_until = now + LEASE
                notice.attempt_count += 1
            else:
                notice.state = Notice.State.CANCELLED
            notice.save(update_fields=["state", "leased_until", "attempt_count"])
        if not wanted:
            return None
        # Read here, sent after the commit: the network is never asked inside a transaction.
        if target.channel == NoticeTarget.Channel.WEBHOOK:
            return Parcel(tuple(wanted), target, body=webhook_body(wanted[0], now=now))
        tenant = Tenant.objects.get(pk=tenant_id)
        return Parcel(tuple(wanted), target, mail=mail_of(wanted, tenant_name=tenant.name, now=now))


def _mail(parcel: Parcel) -> Delivered | Retry | Failed:
    assert parcel.mail is not None
    first = parcel.notices[0]
    message = EmailMessage(
        subject=parcel.mail.subject,
        body=parcel.mail.body,
        to=[first.address],
        headers={
            "Message-ID": f"<{first.wire_id}@{urlsplit(settings.GUARDSITE_URL).hostname}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused:
        return Failed("the mail server refused the address")
    except smtplib.SMTPResponseException as error:
        if error.smtp_code >= 500 and not isinstance(error, smtplib.SMTPAuthenticationError):
            return Failed(f"the mail server answered {error.smtp_code}")
        return Retry(reason=f"the mail server answered {error.smtp_code}")
    except ValueError:  # a header that Django refuses to write
        return Failed("the mail could not be written")
    except OSError as error:  # smtplib's other errors are OSErrors too
        return Retry(reason=f"the mail server was not reached: {type(error).__name__}")
    return Delivered()


def _post(parcel: Parcel, *, now: datetime) -> Delivered | Retry | Failed:
    target, notice = parcel.target, parcel.notices[0]
    try:
        secrets = [notice_secrets.unseal(target.secret_sealed)]
        if target.former_secret_sealed and target.former_until is not None and now < target.former_until:
            secrets.append(notice_secrets.unseal(target.former_secret_sealed))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "guardsite",
            "webhook-id": notice.wire_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": notice_secrets.signature(secrets, message_id=notice.wire_id, at=now, body=parcel.body),
        }
        answer = outbound.post(target.url, body=parcel.body, headers=headers)
    except InvalidToken:
        return Failed("the secret was sealed by another deployment: rotate it")
    except outbound.BadUrl as error:
        return Failed(str(error))
    except outbound.Unreachable as error:
        return Retry(reason=f"not reached: {error}")
    if 200 <= answer.status < 300:
        return Delivered()
    if answer.status >= 500 or answer.status in _TRY_AGAIN:
        return Retry(after_seconds=answer.retry_after_seconds, reason=f"answered {answer.status}")
    return Failed(f"answered {answer.status}")


def _record(parcel: Parcel, result: Delivered | Retry | Failed, *, now: datetime) -> None:
    with as_tenant(parcel.target.tenant_id):
        attempts = {notice.pk: notice.attempt_count for notice in parcel.notices}
        current = (
            rows_of(Notice, parcel.target.tenant_id)
            .select_for_update(no_key=True, of=("self",))
            .filter(pk__in=attempts, state=Notice.State.WAITING)
            .order_by("id")
        )
        for notice in current:
            if notice.attempt_count == attempts[notice.pk]:  # else the lease ran out and somebody else took over
                _settle(notice, result, now=now)
        if isinstance(result, Failed) and result.reason == f"answered {GONE}":
            # The receiver says that it is gone for good.
            rows_of(NoticeTarget, parcel.target.tenant_id).filter(pk=parcel.target.pk).update(
                is_active=False, stopped_because="The receiver answered 410: gone."
            )


def _settle(notice: Notice, result: Delivered | Retry | Failed, *, now: datetime) -> None:
    notice.leased_until = None
    notice.last_error = getattr(result, "reason", "")[:200]
    if isinstance(result, Delivered):
        notice.state, notice.sent_at = Notice.State.SENT, now
    elif isinstance(result, Failed) or now - notice.trying_since > GIVE_UP_AFTER:
        notice.state = Notice.State.DEAD
    else:
        notice.due_at = now + timedelta(seconds=back_off(notice.attempt_count, after_seconds=result.after_seconds))
    notice.save(update_fields=["leased_until", "last_error", "state", "sent_at", "due_at"])


def sweep(*, now: datetime, limit: int = 200) -> int:
    """Send what a lost message dropped, and the digests of the hour; how many parcels went out."""
    sent = 0
    for tenant_id in _tenants():
        with as_tenant(tenant_id):
            due = (
                rows_of(Notice, tenant_id)
                .filter(state=Notice.State.WAITING, due_at__lte=now)
                .filter(Q(leased_until=None) | Q(leased_until__lte=now))
                .order_by("due_at")
                .values_list("pk", flat=True)
            )
            waiting: Sequence[UUID] = list(due[:limit])
        for notice_id in waiting:
            sent += deliver(tenant_id, notice_id, now=now)
    return sent


def _tenants() -> list[UUID]:
    """Answered by a SECURITY DEFINER function (migration 0009): no tenant is set yet, and only ids come back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reviews_notice_tenants()")
        return [row[0] for row in cursor.fetchall()]
