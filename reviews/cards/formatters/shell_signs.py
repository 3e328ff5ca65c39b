"""The words by which a shell command tells what it may do. A sign that is not found clears nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from reviews.cards.types import Severity


@dataclass(frozen=True, slots=True)
class Sign:
    """A chip, the caution it stands for, and how it is found."""

    chip: str
    code: str
    severity: Severity
    pattern: re.Pattern[str]


# Where a command name may stand: at the start, after a separator, in a substitution; with a path before it.
_AT: Final = r"(?:^|[\s;&|(`{!]|\$\()(?:[^\s;&|]{0,200}/)?"
_SHELLS: Final = r"(?:ba|z|da|k|c|tc|fi|a)?sh"
_LANGUAGES: Final = r"(?:python|perl|ruby|node|php|lua|deno|osascript)[\d.]*"
_INSTALLERS: Final = r"(?:pip[\d.]*|npm|npx|yarn|pnpm|uv|uvx|gem|cargo|go|apt|apt-get|yum|dnf|brew|apk)"


def _sign(chip: str, code: str, severity: Severity, *patterns: str) -> Sign:
    return Sign(chip, code, severity, re.compile("|".join(patterns), re.MULTILINE))


SIGNS: Final = (
    _sign(
        "pipe to shell",
        "pipe_to_shell",
        Severity.DANGER,
        rf"\|&?\s*(?:(?:sudo|env|nohup|exec)\s+)*(?:[^\s;&|]{{0,200}}/)?(?:{_SHELLS}|{_LANGUAGES})\b",
        rf"{_SHELLS}\s+<\(",
    ),
    _sign("sudo", "sudo", Severity.DANGER, _AT + r"(?:sudo|doas|su|pkexec|runas|runuser|chroot|setpriv)(?:\s|$)"),
    _sign(
        "delete",
        "deletes",
        Severity.DANGER,
        _AT + r"(?:rm|rmdir|unlink|shred|wipe|mkfs(?:\.\w+)?|wipefs|del|erase|rd|truncate|Remove-Item)\b",
        r"\s-delete\b|\bdd\b[^\n]{0,100}\bof=|\brsync\b[^\n]{0,100}--delete",
        r"\bgit\s+(?:clean|reset\s+--hard|push\s[^\n]{0,100}(?:--force|-f\b|\s:))",
        r"(?i:\bDROP\s+(?:TABLE|DATABASE|SCHEMA)\b)",
        r"\bterraform\s+destroy\b|\bkubectl\s+delete\b|\bdocker\s+(?:\w+\s+)?(?:rm|rmi|prune)\b",
    ),
    _sign(
        "network",
        "network",
        Severity.CAUTION,
        _AT + r"(?:curl|wget|nc|ncat|netcat|socat|ssh|scp|sftp|rsync|ftp|tftp|telnet|dig|nslookup|host|ping|aria2c)\b",
        _AT + r"(?:http|https|xh|lynx|w3m|Invoke-WebRequest|iwr|aws|gcloud|az|gsutil|kubectl|helm)(?:\s|$)",
        r"/dev/(?:tcp|udp)/|(?:https?|ftp|wss?)://",
        r"\bgit\s+(?:push|pull|fetch|clone|remote|submodule)\b|\bdocker\s+(?:pull|push|run|build)\b",
        _AT + _INSTALLERS + r"\s[^\n;&|]{0,200}?\b(?:install|add|i|get|update|run)\b",
    ),
    _sign(
        "runs other code",
        "runs_other_code",
        Severity.DANGER,
        _AT + _SHELLS + r"\s+(?:-\w+\s+)*-\w*c(?:\s|$)",
        _AT + _LANGUAGES + r"\s+(?:-\w+\s+)*-\w*[ceEr](?:\s|$)",
        _AT + r"(?:xargs|eval|source|exec|parallel|awk|crontab|at|batch|watch|ssh|npx|uvx|busybox|make)(?:\s|$)",
        _AT + r"(?:powershell|pwsh|cmd)(?:\.exe)?\s",
        r"\benv\s+-S\b|\bdocker\s+(?:run|exec)\b|\bfind\b[^\n]{0,100}-exec",
        r"(?:^|[;&|]\s*)\.\s+\S|(?:^|[;&|]\s*)\./\S|`[^`]+`|\$\((?!\()|<\(",
        r"\bbase64\s+(?:-d|-D|--decode)\b|\bxxd\s+-r\b|\$'\\x",
    ),
    _sign("writes a file", "writes_file", Severity.INFO, r"(?<![<>&\d])>{1,2}(?![>&(])\s*\S", _AT + r"tee(?:\s|$)"),
    _sign(
        "stays running",
        "background",
        Severity.CAUTION,
        r"(?<![&>|])&(?![&>\d])\s*(?:$|[;\n)]|\w)",
        _AT + r"(?:nohup|disown|setsid|screen|tmux|systemctl|crontab)(?:\s|$)",
    ),
)


def signs_in(command: str) -> list[Sign]:
    """The signs found in a command, quotes and backslashes within words undone: they change nothing for a shell."""
    bare = re.sub(r"\$\{?IFS\}?", " ", re.sub(r"\\\n|[\\'\"]", "", command))
    forms = (command,) if bare == command else (command, bare)
    return [sign for sign in SIGNS if any(sign.pattern.search(form) for form in forms)]
