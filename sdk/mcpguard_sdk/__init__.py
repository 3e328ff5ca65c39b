"""What an agent imports to ask guardsite before it acts. Standard library only.

`MCPGuard` and `AsyncMCPGuard` are the clients; `mcpguard_sdk.openai` is the gate for OpenAI-shaped tool calls.
"""

from mcpguard_sdk.async_guard import AsyncMCPGuard
from mcpguard_sdk.calls import Call, Decision, Question, Review
from mcpguard_sdk.errors import (
    MCPGuardConfigError,
    MCPGuardDeniedError,
    MCPGuardError,
    MCPGuardGrantError,
    MCPGuardRequestError,
    MCPGuardReviewError,
    MCPGuardUnavailableError,
    MCPGuardUncertainError,
    MCPGuardWaitTimeout,
    ToolError,
)
from mcpguard_sdk.guard import Execution, MCPGuard
from mcpguard_sdk.session import VERSION
from mcpguard_sdk.tools import ToolMap

__version__ = VERSION

__all__ = [
    "AsyncMCPGuard",
    "Call",
    "Decision",
    "Execution",
    "MCPGuard",
    "MCPGuardConfigError",
    "MCPGuardDeniedError",
    "MCPGuardError",
    "MCPGuardGrantError",
    "MCPGuardRequestError",
    "MCPGuardReviewError",
    "MCPGuardUnavailableError",
    "MCPGuardUncertainError",
    "MCPGuardWaitTimeout",
    "Question",
    "Review",
    "ToolError",
    "ToolMap",
    "__version__",
]
