"""The parent of every refusal: one code, one HTTP status, one sentence."""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """A refusal that the caller can act on.

    `code` is the stable name on the wire, `status` the HTTP status, `sentence` what a person reads; the
    sentence never repeats a value from the request.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    default_sentence: ClassVar[str] = "Something went wrong here. Nothing was decided."

    def __init__(self, sentence: str | None = None, **details: object) -> None:
        self.sentence = sentence or self.default_sentence
        self.details = details
        super().__init__(self.sentence)
