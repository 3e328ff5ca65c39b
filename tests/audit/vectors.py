"""Vectors: our own, committed here, and those of others, from the folder that GUARDSITE_VECTORS names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ORIGIN = "log.example/t/4f1c/e1"
SEED = bytes(range(32))
SALT = bytes(range(16))
BODY_0 = '{"decided_at_us":1767225600000000,"id":"019a0b1c-0000-7000-8000-000000000000","kind":"log.opened","v":1}'
RECORDED_US_0 = 1767225600020000
GENESIS = "f9da97c8fbcee07bf36e88cd829afe4c0c3c3d6c48cd036516674f97e53898ab"
BODY_HASH_0 = "1cb1c37f85babb11c871ffac8063422d9ce465ea5cac558dd85d6d07121cfd6e"
ENVELOPE_0 = f"guardsite.audit.v1\n{ORIGIN}\n0\n{GENESIS}\n{BODY_HASH_0}\n{RECORDED_US_0}\n".encode()  # 190 bytes
ROW_HASH_0 = "88a8045ae18980467bc50ce3d83cb4af70130e90f0c4dfdca9e18c5fd3e92306"
DISCLOSURE = '["AAECAwQFBgcICQoLDA0ODw", "params.amount", 120.50]'
DISCLOSURE_DIGEST = "trTKV-UE-xvJFi_m8R46uUH9e7IlB1y5CfEIqDM8Jds"
BODY_1 = (
    '{"_sd":["trTKV-UE-xvJFi_m8R46uUH9e7IlB1y5CfEIqDM8Jds"],"decided_at_us":1767225601000000,'
    '"id":"019a0b1c-0001-7000-8000-000000000001","kind":"call.evaluated","v":1}'
)
RECORDED_US_1 = 1767225601030000
ROW_HASH_1 = "c8680848e776f04bc9c5b200abb677b3e9c258112731e6da8dcf3fd366bb29f7"
VKEY = "log.example/t/4f1c/e1+8b0a241f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
CHECKPOINT = (
    f"{ORIGIN}\n2\nT5NgonEW0lHVa7Flv9utoOh2KjNx557+rcCxrCLSOBs=\n\n"
    f"\u2014 {ORIGIN} iwokH61b49tGFW95HVes47w9Eyqxjoi7bytOX029heN9XMzfZCgLrqXnUI8Q1LbOzyYKVZVgr54ExhlC3ihaexJxZwY=\n"
)


def shared(name: str) -> Any:
    """A vector file of others; skips where the folder is not named."""
    folder = os.environ.get("GUARDSITE_VECTORS")
    if not folder:
        pytest.skip("GUARDSITE_VECTORS names no folder; set it to the folder with the shared test vectors")
    return json.loads((Path(folder) / name).read_text(encoding="utf-8"))
