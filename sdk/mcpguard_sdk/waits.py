"""All waits of one asynchronous client in as few list requests as there are hundreds of reviews."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

from mcpguard_sdk.calls import Review
from mcpguard_sdk.errors import MCPGuardConfigError, MCPGuardError, MCPGuardUnavailableError, MCPGuardWaitTimeout
from mcpguard_sdk.guard import outage_pause_seconds
from mcpguard_sdk.session import LONGEST_WAIT_SECONDS, Session
from mcpguard_sdk.transport import Interrupt

MOST_REVIEWS_PER_REQUEST: Final = 100
GATHER_SECONDS: Final = 0.02
SHORTEST_ROUND_SECONDS: Final = 0.25


class WaitRoom:
    """Waits on any number of reviews with one poll at a time; a newcomer ends the running poll and joins the next."""

    def __init__(self, session: Session, executor: Executor) -> None:
        self._session = session
        self._executor = executor
        self._waiting: dict[str, list[asyncio.Future[Review]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._interrupt = Interrupt()

    async def wait(self, review_id: str, *, timeout_seconds: float) -> Review:
        """The review once decided. Raises MCPGuardWaitTimeout, or MCPGuardConfigError for a refused key or id."""
        future: asyncio.Future[Review] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(review_id, []).append(future)
        self._interrupt.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            message = "Nobody has decided yet; the review stays open."
            raise MCPGuardWaitTimeout(message, review_id=review_id) from None
        finally:
            self._leave(review_id, future)

    async def close(self) -> None:
        """End the poll that runs."""
        self._interrupt.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _poll(self) -> None:
        try:
            await self._poll_while_awaited()
        except Exception as error:
            # Whoever waits must hear of it; a wait that nothing serves would last its whole time-out.
            self._fail(list(self._waiting), MCPGuardUnavailableError(f"The wait broke off: {type(error).__name__}."))
            raise

    async def _poll_while_awaited(self) -> None:
        failure_count = 0
        while self._waiting:
            # Waits that begin together share the first request.
            await asyncio.sleep(GATHER_SECONDS)
            self._interrupt = Interrupt()
            began = time.monotonic()
            review_ids = list(self._waiting)
            rounds = [
                self._ask(review_ids[start : start + MOST_REVIEWS_PER_REQUEST])
                for start in range(0, len(review_ids), MOST_REVIEWS_PER_REQUEST)
            ]
            answers = await asyncio.gather(*rounds)
            was_interrupted = self._interrupt.is_set
            if all(answers) or was_interrupted:
                failure_count = 0
            else:
                failure_count += 1
                await asyncio.sleep(outage_pause_seconds(failure_count))
            if not was_interrupted and time.monotonic() - began < SHORTEST_ROUND_SECONDS:
                await asyncio.sleep(SHORTEST_ROUND_SECONDS)

    async def _ask(self, review_ids: Sequence[str]) -> bool:
        """Whether the guard answered; those decided are handed over."""
        interrupt = self._interrupt
        try:
            reviews = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._look, review_ids, interrupt
            )
        except MCPGuardConfigError as error:
            await self._find_refused(review_ids, error)
            return True
        except MCPGuardUnavailableError:
            return False
        except MCPGuardError as error:
            self._fail(review_ids, error)
            return True
        for review in reviews:
            if not review.is_open:
                self._hand_over(review)
        return True

    async def _find_refused(self, review_ids: Sequence[str], error: MCPGuardConfigError) -> None:
        """A list request fails as a whole for one unknown id: look at each, and fail those that are refused."""
        if len(review_ids) == 1:
            self._fail(review_ids, error)
            return
        for review_id in review_ids:
            await self._ask([review_id])

    def _look(self, review_ids: Sequence[str], interrupt: Interrupt) -> list[Review]:
        return self._session.reviews(review_ids, wait_seconds=LONGEST_WAIT_SECONDS, interrupt=interrupt)

    def _hand_over(self, review: Review) -> None:
        for future in self._waiting.pop(review.review_id, []):
            if not future.done():
                future.set_result(review)

    def _fail(self, review_ids: Sequence[str], error: MCPGuardError) -> None:
        for review_id in review_ids:
            for future in self._waiting.pop(review_id, []):
                if not future.done():
                    future.set_exception(error)

    def _leave(self, review_id: str, future: asyncio.Future[Review]) -> None:
        futures = self._waiting.get(review_id, [])
        if future in futures:
            futures.remove(future)
        if not futures:
            self._waiting.pop(review_id, None)
        if not self._waiting:
            self._interrupt.set()
