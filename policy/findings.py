"""What a check says: one finding with its place, and every message, marked for translation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


def N_(message: str) -> str:  # noqa: N802  (the name gettext's extractors know)
    """The message itself: a mark for extraction."""
    return message


@dataclass(frozen=True)
class Finding:
    """One finding. `line` and `column` count from 1; an error refuses, a warning informs."""

    line: int
    column: int
    code: str
    sentence: str
    severity: Literal["error", "warning"] = "error"
    suggestions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"Line {self.line}, column {self.column}: {self.sentence}"


OPERATOR_WORDS = N_("Write `&&` for and, `||` for or, `!` for not.")
COMPARE = N_("Write `==` to compare.")
SEPARATORS = N_("Write {number}, without separators.")
QUOTE_OPEN = N_("Quote not closed.")
STRAIGHT_QUOTES = N_("Use straight quotes.")
DID_YOU_MEAN = N_("Did you mean `{meant}`? Text needs quotes.")
DID_YOU_MEAN_ROOT = N_("There is no `{name}`. Did you mean `{meant}`?")
NOT_AVAILABLE = N_("`{name}` is not available; use `icontains`, `regex`, `exists`.")
MIXED_NUMBERS = N_("A number with and one without decimals are not compared: write `5000.0`, or `num(x) > 5000`.")
NO_OVERLOAD = N_("`{operator}` does not take {types} here.")
ENDS_EARLY = N_("The condition ends here, but something is missing.")
UNEXPECTED = N_("`{token}` is not expected here.")
BAD_CHARACTER = N_("This character is not part of the rule language.")
HAS_FIELD = N_("`has` takes a field, as in `has(params.amount)`.")
BIG_NUMBER = N_("This number is too large or malformed.")
BAD_ESCAPE = N_("Write r'…' for a text with a backslash.")
BAD_TEXT = N_("This text has an escape that is not allowed.")
TOO_DEEP = N_("The condition is nested deeper than 32 levels.")
TOO_LONG = N_("The condition is longer than {most} characters.")
EMPTY = N_("Write a condition; `true` matches every call.")
LOOP_NAME = N_("The first argument of a loop is a name for one item, as in `params.to.exists(r, …)`.")
NOT_UNDERSTOOD = N_("Not understood: {detail}")
NOT_BOOLEAN = N_("The condition gives {kind}; it must give true or false.")
LOOP_IN_LOOP = N_("A loop inside a loop is not allowed.")
LOOP_SHADOWS = N_("`{name}` is the name of a root; call the item something else.")
REGEX_IN_LOOP = N_("`regex` is not allowed inside a loop.")
REGEX_MANY = N_("A rule may use `regex` {most} times at most.")
REGEX_BAD = N_("This pattern is not valid: {detail}.")
REGEX_BACKSPACE = N_("`\\b` outside r'…' is a backspace: write the pattern as r'…'.")
REGEX_REPEATS = N_("Counted repetition in patterns may be {most} in all.")
LITERAL_PATTERN = N_("The pattern of `{name}` must be written here as text.")
LITERAL_LIST = N_("`in_list` takes the name of a list, written here as text.")
UNKNOWN_LIST = N_("There is no list named `{name}`.")
LITERAL_CALENDAR = N_("`within` takes the name of a calendar, written here as text.")
UNKNOWN_LIST_MEANT = N_("There is no list named `{name}`. Did you mean `{meant}`?")
UNKNOWN_CALENDAR = N_("There is no calendar named `{name}`.")
UNKNOWN_CALENDAR_MEANT = N_("There is no calendar named `{name}`. Did you mean `{meant}`?")
UNKNOWN_FIELD = N_("`{root}` has no field `{field}`.")
UNKNOWN_FIELD_MEANT = N_("`{root}` has no field `{field}`. Did you mean `{root}.{meant}`?")
UNKNOWN_COUNTER = N_("There is no counter named `{name}`.")
UNKNOWN_COUNTER_MEANT = N_("There is no counter named `{name}`. Did you mean `stats.{meant}`?")
NOT_A_NUMBER = N_("This gives {kind}; it must give a whole number.")
COUNTS_ITSELF = N_("What a counter adds may not depend on `stats`.")
LITERAL_INDEX = N_("An index into `{root}` must be written here as text.")
UNKNOWN_CURRENCY = N_("`{code}` is not a currency code of ISO 4217.")
TOO_SLOW = N_("On the largest calls this condition takes {milliseconds} ms; 25 ms is the limit.")
ALL_OF_NONE = N_("`all` is true for an empty list: add `size({path}) > 0 &&`.")
IN_TEXT = N_("For text: `{path}.contains({item})`.")
IN_MAYBE_TEXT = N_("If `{path}` is text, write `{path}.contains({item})`.")
UNGUARDED = N_("`{path}` may be missing, and a missing field is an error, which holds the call.")
NO_SUCH_PARAM = N_("No action in scope has `{path}`.")
NO_SUCH_PARAM_MEANT = N_("No action in scope has `{path}`. Did you mean `{meant}`?")
