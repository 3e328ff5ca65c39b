"""The stand-alone verifier, as a file to hand out. Nothing here is imported by it, and it imports nothing of ours."""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).with_name("guardsite_verify.py")
