"""`manage.py notary`: seals every 50 ms and signs every 10 s, on two connections with two roles."""

from __future__ import annotations

import logging
import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connections

from audit import notary, sealing
from audit.chain import ChainBroken
from audit.memory import MemoryUnreadable
from audit.note import NoteError

log = logging.getLogger("guardsite.audit")

SEAL_EVERY_SECONDS = 0.05
SIGN_EVERY_SECONDS = 0.5
REQUEUE_EVERY_SECONDS = 60.0
RETRY_AFTER_SECONDS = 1.0


class Command(BaseCommand):
    """The notary process."""

    help = "Gives audit entries their positions and signs checkpoints. In production, run it twice with --only seal and --only sign."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which half, once or for ever, or the way back after a lost memory."""
        parser.add_argument("--only", choices=("seal", "sign"), help="run one of the two loops")
        parser.add_argument("--once", action="store_true", help="seal and sign what is there, then end")
        parser.add_argument(
            "--adopt", type=Path, metavar="FILE", help="take a published checkpoint as the lost memory, then end"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the loops until SIGTERM or SIGINT."""
        does_seal, does_sign = options["only"] != "sign", options["only"] != "seal"
        try:
            signer = notary.notary() if does_sign else None
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        if options["adopt"]:
            self._adopt(signer, options["adopt"])
        elif options["once"]:
            self._once(does_seal, signer)
        else:
            self._run(does_seal, signer)

    def _adopt(self, signer: notary.Notary | None, path: Path) -> None:
        if signer is None:
            raise CommandError("--adopt belongs to the signing half.")
        try:
            checkpoint = signer.adopt(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read.") from error
        except (notary.Refused, NoteError, ChainBroken, MemoryUnreadable) as error:
            raise CommandError(f"Not adopted: {error}") from None
        self.stdout.write(f"Adopted {checkpoint.origin} at size {checkpoint.size}.")

    def _once(self, does_seal: bool, signer: notary.Notary | None) -> None:
        sealed = signed = 0
        while does_seal and (count := sealing.seal_pending()):
            sealed += count
        if signer is not None:
            signed = signer.cycle(at_once=True)
        self.stdout.write(f"sealed {sealed}, signed {signed}")
        if signer is not None and signer.alarms:
            raise CommandError("; ".join(f"{origin}: {problem}" for origin, problem in sorted(signer.alarms.items())))

    def _run(self, does_seal: bool, signer: notary.Notary | None) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        threads = []
        if does_seal:
            threads.append(
                threading.Thread(target=_loop, args=(stop, SEAL_EVERY_SECONDS, _sealing_turn()), name="seal")
            )
        if signer is not None:
            threads.append(
                threading.Thread(target=_loop, args=(stop, SIGN_EVERY_SECONDS, _signing_turn(signer)), name="sign")
            )
        for thread in threads:
            thread.start()
        log.info("the notary runs", extra={"loops": [thread.name for thread in threads]})
        # Not join(): a signal is handled between these short waits.
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.2)
            if not stop.is_set() and not all(thread.is_alive() for thread in threads):
                stop.set()
                raise CommandError("A loop of the notary ended by itself; see the log.")


def _sealing_turn() -> Callable[[], bool]:
    """One turn of the sealer: True when more is waiting already."""
    looked_at = time.monotonic()

    def turn() -> bool:
        nonlocal looked_at
        sealed = sealing.seal_pending()
        if time.monotonic() - looked_at >= REQUEUE_EVERY_SECONDS:
            looked_at = time.monotonic()
            sealing.requeue_stranded(sealing.all_tenants())
        return sealed >= sealing.BATCH

    return turn


def _signing_turn(signer: notary.Notary) -> Callable[[], bool]:
    """One turn of the signer; it also watches how long entries wait."""
    # What waited before this process ran is being sealed right now: that is no alarm.
    is_late = True

    def turn() -> bool:
        nonlocal is_late
        signer.cycle()
        waited = notary.oldest_pending_seconds()
        if (waited > sealing.PROMISE_SECONDS) and not is_late:
            log.error("entries wait too long for their position", extra={"seconds": round(waited, 1)})
        is_late = waited > sealing.PROMISE_SECONDS
        return False

    return turn


def _loop(stop: threading.Event, pause: float, turn: Callable[[], bool]) -> None:
    """Runs `turn` until `stop`; a database that is away is tried again each second."""
    is_away = False
    try:
        while not stop.is_set():
            try:
                is_more = turn()
                is_away = False
            except (DatabaseError, InterfaceError):
                if not is_away:
                    log.exception("the database refused or is away; trying again")
                is_away = True
                connections.close_all()
                stop.wait(RETRY_AFTER_SECONDS)
                continue
            if not is_more:
                stop.wait(pause)
    except Exception:
        log.critical("a loop of the notary failed", exc_info=True)
    finally:
        connections.close_all()
