"""Handlers as the gate sees them: which arguments are asked about, and which handler a model's function name means."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcpguard_sdk import wire

Handler = Callable[..., Any]  # Any: a tool returns whatever it likes
TOOL_ATTRIBUTE: Final = "__mcpguard_tool__"
FUNCTION_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Tool:
    """A handler with its action.

    `exclude` names arguments that host code supplies (a database session): never asked about, never taken from a model.
    An `idempotent` tool may run again where it is unknown whether it ran.
    """

    action_id: str
    function: Handler = field(repr=False)
    exclude: frozenset[str] = frozenset()
    idempotent: bool = False
    expose_errors: bool = False

    def __post_init__(self) -> None:
        """Raises TypeError for a handler whose arguments have no names to ask about."""
        parameters = self._parameters()
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters.values()):
            raise TypeError(f"the handler of {self.action_id} takes *args, which have no names to show to a reviewer")
        unknown = self.exclude - parameters.keys()
        if unknown:
            raise TypeError(f"the handler of {self.action_id} has no argument {', '.join(sorted(unknown))} to exclude")

    @property
    def is_async(self) -> bool:
        """Whether calling the handler gives a coroutine."""
        # An object with an `async def __call__` is one too; its type says so.
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(type(self.function).__call__)

    def bind(
        self, arguments: tuple[object, ...], keywords: Mapping[str, object]
    ) -> tuple[wire.JsonObject, wire.JsonObject]:
        """(params to ask about, excluded arguments), defaults applied. Raises TypeError if the call does not fit."""
        bound = inspect.signature(self.function).bind(*arguments, **keywords)
        bound.apply_defaults()
        return self._split(bound)

    def bind_params(self, params: Mapping[str, object]) -> wire.JsonObject:
        """The params of a model's own call, defaults applied. Raises TypeError if they do not fit the handler.

        An excluded argument is host code's alone: a model that names one is refused.
        """
        if self.exclude & params.keys():
            raise TypeError("an argument is not the caller's to give")
        signature = inspect.signature(self.function)
        asked = [parameter for name, parameter in signature.parameters.items() if name not in self.exclude]
        # Positional-only arguments have names too, and a model can only give names.
        named = [
            parameter.replace(kind=parameter.KEYWORD_ONLY) if parameter.kind is not parameter.VAR_KEYWORD else parameter
            for parameter in asked
        ]
        bound = inspect.Signature(named).bind(**params)
        bound.apply_defaults()
        return self._split(bound)[0]

    def call(self, params: wire.JsonObject, excluded: Mapping[str, object]) -> Any:  # Any: the tool's own result
        """What the handler returns for these params; a coroutine where it is async."""
        values = {**params, **excluded}
        positional = []
        for name, parameter in self._parameters().items():
            if parameter.kind is parameter.POSITIONAL_ONLY and name in values:
                positional.append(values.pop(name))
        return self.function(*positional, **values)

    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.function).parameters

    def _split(self, bound: inspect.BoundArguments) -> tuple[wire.JsonObject, wire.JsonObject]:
        params: wire.JsonObject = {}
        excluded: wire.JsonObject = {}
        for name, value in bound.arguments.items():
            if name in self.exclude:
                excluded[name] = value
            elif bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                params.update(value)
            else:
                params[name] = value
        return params, excluded


def tool_of(handler: Handler, *, action_id: str) -> Tool:
    """The handler as a tool. One already gated by a decorator is taken apart, so that it is asked about once."""
    gated = getattr(handler, TOOL_ATTRIBUTE, None)
    return gated if isinstance(gated, Tool) else Tool(action_id, handler)


class ToolMap:
    """From the function names of a model, which have no dots, to tools.

    A name is looked up as a handler key, then in `actions` (function name → action id), then as an action id with its
    dots written as underscores. Where two of these mean different tools, construction raises ValueError.

    >>> ToolMap({"billing.refund": refund}).get("billing_refund").action_id
    'billing.refund'
    """

    def __init__(self, handlers: Mapping[str, Handler], actions: Mapping[str, str] | None = None) -> None:
        explicit = dict(actions or {})
        found: dict[str, dict[int, Tool]] = {}
        for key, handler in handlers.items():
            tool = tool_of(handler, action_id=explicit.get(key, key))
            mapped = [name for name, action_id in explicit.items() if action_id in (key, tool.action_id)]
            for name in {key, *mapped, function_name(key), function_name(tool.action_id)}:
                found.setdefault(name, {})[id(handler)] = tool
        twice = sorted(name for name, tools in found.items() if len(tools) > 1)
        if twice:
            raise ValueError(f"two handlers answer to the function name {', '.join(twice)}")
        lost = sorted(explicit.keys() - found.keys())
        if lost:
            raise ValueError(f"no handler for the mapped function name {', '.join(lost)}")
        self._tools = {name: tool for name, tools in found.items() for tool in tools.values()}

    def get(self, name: str) -> Tool | None:
        """The tool that a model's function name means, if any."""
        return self._tools.get(name)

    def names(self) -> Iterable[str]:
        """The names a provider accepts, to declare the tools by."""
        return sorted(name for name in self._tools if FUNCTION_NAME.fullmatch(name))


def function_name(action_id: str) -> str:
    """The action id as a provider takes it: dots as underscores."""
    return action_id.replace(".", "_")
