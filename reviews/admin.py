"""Django admin of the desk: each page in a module of its own, registered by being imported here."""

from __future__ import annotations

from reviews import admin_desk, admin_notices, admin_templates, admin_tools

__all__ = ["admin_desk", "admin_notices", "admin_templates", "admin_tools"]
