"""The site's own settings under a test's environment: nothing is switched off, only secrets and addresses are given."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from tempfile import gettempdir

# An Ed25519 key (PKCS#8 in PEM) that signs nothing but the logs of tests: its seed is 32 zero bytes.
TEST_NOTARY_KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    + base64.b64encode(bytes.fromhex("302e020100300506032b657004220420") + bytes(32)).decode()
    + "\n-----END PRIVATE KEY-----"
)

os.environ.update(
    {
        "GUARDSITE_SECRET_KEY": "only-for-tests-" + "x" * 50,
        "AUDIT_MASTER_KEY": base64.b64encode(bytes(range(32))).decode(),
        "AUDIT_NOTARY_KEY": TEST_NOTARY_KEY,
        "GUARDSITE_URL": os.environ.get("GUARDSITE_TEST_URL", "http://localhost:8000"),
        "GUARDSITE_LOG": "text",
    }
)
os.environ.setdefault("GUARDSITE_STATE", str(Path(gettempdir()) / f"guardsite-tests-state-{os.getpid()}"))
os.environ.setdefault("AUDIT_NOTARY_STATE", str(Path(os.environ["GUARDSITE_STATE"]) / "notary"))

from guardsite.settings import *  # noqa: E402, F403

# A nudge after a commit goes nowhere here; tests of delivery start a real broker and a real worker.
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# One round instead of hundreds of thousands: sign-in is in many tests, its cost in none.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
