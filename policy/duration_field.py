"""A length of time as a number and a unit; it gives seconds, which is what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString

from policy.rulewords import in_words

_UNITS: Final = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


class DurationWidget(forms.MultiWidget):
    """A number beside its unit."""

    use_fieldset = False

    def __init__(self) -> None:
        units = [(str(size), name) for size, name in reversed(_UNITS)]
        super().__init__(
            {
                "count": forms.NumberInput(attrs={"min": 1}),
                "unit": forms.Select(choices=units, attrs={"aria-label": "Unit"}),
            }
        )

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Both on one line."""
        return format_html('<span class="duration">{}</span>', super().render(name, value, attrs, renderer))

    def id_for_label(self, id_: str) -> str:
        """The number's."""
        return f"{id_}_0"

    def decompress(self, value: Any) -> list[Any]:
        """Seconds in the largest unit that divides them; hours where there are none yet."""
        if not value:
            return [None, "3600"]
        size = next(size for size, _ in _UNITS if value % size == 0)
        return [value // size, str(size)]


class DurationField(forms.MultiValueField):
    """`least` to `most` seconds."""

    widget = DurationWidget

    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        self.least, self.most = least, most
        count = forms.IntegerField(min_value=1)
        unit = forms.TypedChoiceField(coerce=int, choices=[(size, name) for size, name in _UNITS])
        super().__init__((count, unit), **kwargs)

    def compress(self, data_list: Sequence[Any]) -> int | None:
        """The seconds."""
        if not data_list or data_list[0] is None:
            return None
        count, unit = data_list
        if not unit:
            raise ValidationError("Choose the unit.")
        seconds: int = count * unit
        if not self.least <= seconds <= self.most:
            raise ValidationError(f"Give {in_words(self.least)} to {in_words(self.most)}.")
        return seconds
