"""The tables of `sql/tables.sql`, for reading. Nothing here writes: see record.py, sealing.py and notary.py."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Entry(models.Model):
    """What was recorded. The columns after `received_us` are read from the body by the database."""

    id = models.BigIntegerField(primary_key=True)
    tenant_id = models.UUIDField()
    body = models.TextField()
    body_hash = models.BinaryField()
    received_us = models.BigIntegerField()
    uid = models.UUIDField()
    kind = models.TextField()
    action_id = models.TextField(null=True)  # noqa: DJ001  (generated: NULL where the body has none)
    effect = models.TextField(null=True)  # noqa: DJ001
    decision = models.TextField(null=True)  # noqa: DJ001
    mode = models.TextField(null=True)  # noqa: DJ001
    rule = models.TextField(null=True)  # noqa: DJ001
    actor = models.TextField(null=True)  # noqa: DJ001
    review = models.TextField(null=True)  # noqa: DJ001
    decided_us = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "audit_entry"
        default_permissions = ()
        permissions: ClassVar = [
            ("view_entry", "May read the audit log"),
            ("export_log", "May export the audit log"),
            ("read_disclosure", "May open stored values"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.uid}"


class Pending(models.Model):
    """The sealer's work list: entries without a position."""

    pk = models.CompositePrimaryKey("tenant_id", "entry_id")
    tenant_id = models.UUIDField()
    entry_id = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "audit_pending"
        default_permissions = ()

    def __str__(self) -> str:
        return f"pending {self.entry_id}"


class Log(models.Model):
    """One epoch of a tenant's log, under a name that is never reused."""

    id = models.BigIntegerField(primary_key=True)
    tenant_id = models.UUIDField()
    epoch = models.IntegerField()
    origin = models.TextField(unique=True)

    class Meta:
        managed = False
        db_table = "audit_log"
        default_permissions = ()

    def __str__(self) -> str:
        return self.origin


class Head(models.Model):
    """Where the sealer goes on. A cache: the seals say the same."""

    log_id = models.BigIntegerField(primary_key=True)
    tenant_id = models.UUIDField(unique=True)
    size = models.BigIntegerField()
    row_hash = models.BinaryField()
    recorded_us = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "audit_head"
        default_permissions = ()

    def __str__(self) -> str:
        return f"head at {self.size}"


class Seal(models.Model):
    """The position of an entry, and the hash that chains it."""

    pk = models.CompositePrimaryKey("log_id", "seq")
    log_id = models.BigIntegerField()
    seq = models.BigIntegerField()
    tenant_id = models.UUIDField()
    entry_id = models.BigIntegerField(unique=True)
    body_hash = models.BinaryField()
    recorded_us = models.BigIntegerField()
    row_hash = models.BinaryField()

    class Meta:
        managed = False
        db_table = "audit_seal"
        default_permissions = ()

    def __str__(self) -> str:
        return f"#{self.seq}"


class Checkpoint(models.Model):
    """A signed head, as a C2SP note."""

    pk = models.CompositePrimaryKey("log_id", "size")
    log_id = models.BigIntegerField()
    size = models.BigIntegerField()
    tenant_id = models.UUIDField()
    root = models.BinaryField()
    note = models.TextField()
    signed_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "audit_checkpoint"
        default_permissions = ()

    def __str__(self) -> str:
        return f"checkpoint of {self.size}"


class StoredDisclosure(models.Model):
    """An erasable value. With `key_id` NULL, `ciphertext` holds the plain UTF-8 text."""

    pk = models.CompositePrimaryKey("entry_id", "digest")
    entry_id = models.BigIntegerField()
    digest = models.TextField()
    tenant_id = models.UUIDField()
    key_id = models.BigIntegerField(null=True)
    ciphertext = models.BinaryField()

    class Meta:
        managed = False
        db_table = "audit_disclosure"
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest
