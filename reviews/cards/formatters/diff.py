"""Changes to a file, line by line. Source: reviewer-experience.md section 3, "file diff"."""

from __future__ import annotations

import difflib
import posixpath
import re
from typing import Final

from audit.pointer import MissingError, resolve
from audit.secrets import holds_secret, mask_text
from reviews.cards.formatters.base import distinct, in_role, mono_lines, want
from reviews.cards.text import flat, reveal, text_cautions
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

DIFF_OPTIONS: Final = {
    "path_pointer": "Where the call names the file",
    "mode_pointer": "Where the call names the file's mode, such as 100644",
    "base_pointer": "Where the user context holds the earlier text: the application's claim",
    "before_pointer": "Where the call itself holds the earlier text: the agent's claim",
    "as": "`diff` where the value is a diff, `text` where it is the new text of a file (default: by its look)",
    "workspace": "The directory that changes should stay in",
}

# Comparing costs the product of both lengths at worst.
_LONGEST: Final = 2_000
_HUNK: Final = re.compile(r"@@+ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_LOOK: Final = re.compile(r"\A(?:diff --git |Index: |--- [^\n]*\n\+\+\+ |@@ -\d)")
_CI: Final = re.compile(
    r"(?:^|/)(?:\.github/(?:workflows|actions)/|\.gitlab-ci\.ya?ml$|\.circleci/|\.ci/|jenkinsfile|azure-pipelines"
    r"|\.travis\.ya?ml$|bitbucket-pipelines|\.drone\.|\.buildkite/|\.husky/|\.git/|\.pre-commit-config)",
    re.IGNORECASE,
)
_LOCK: Final = re.compile(
    r"(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.ya?ml|poetry\.lock|uv\.lock|pdm\.lock|pipfile\.lock"
    r"|cargo\.lock|go\.sum|gemfile\.lock|composer\.lock|flake\.lock|bun\.lockb?|[^/]+\.lock|requirements[^/]*\.txt)$",
    re.IGNORECASE,
)


def diff(value: Value) -> Rendered:
    """A unified diff: signs kept, added lines as INS and removed ones as DEL, the path first.

    Reads a diff as text, or the new text of a file, which it compares with the earlier text it is pointed to.
    """
    written = want(value.value, str)
    covers = {value.pointer}
    said: list[Caution] = []
    paths, modes = _from_call(value, covers)
    whole: tuple[Part, ...] = ()
    label = ""
    if _is_diff(value, written):
        lines, roles, found_paths, found_modes = _read_unified(written)
        paths, modes = [*found_paths, *paths], [*found_modes, *modes]
        if "deleted file mode" in written or re.search(r"^\+\+\+ /dev/null", written, re.MULTILINE):
            said.append(Caution("deletes_file", Severity.DANGER))
        source = ""
        body, hidden = mono_lines("\n".join(lines), roles=roles, first=None)
    else:
        before, source = _before(value, covers)
        if before is None:
            said.append(Caution("no_base", Severity.INFO))
        lines, roles = _compare(before or "", written)
        body, hidden = mono_lines("\n".join(lines), roles=roles, first=None)
        if before is not None:
            # A comparison leaves equal lines out; the text that will stand in the file is there as well.
            whole, more_hidden = mono_lines(written)
            hidden = (*hidden, *more_hidden)
            label = f"show the whole new text ({written.count(chr(10)) + 1:,} lines)"
    head = _head(paths, modes, source)
    cautions = [*said, *_path_cautions(paths, modes, value), *hidden]
    cautions += [
        item for item in text_cautions(written, reveal(written)) if item.code in ("claims_approval", "our_words")
    ]
    return Rendered(
        (*head, *body),
        frozenset(covers),
        cautions=distinct(cautions),
        more=whole,
        more_label=label,
        short=flat(paths[0]) if paths else "",
        exact=written,
        can_copy=True,
        hides=frozenset(
            pointer for pointer in covers - {value.pointer} if holds_secret(str(resolve(value.root, pointer)))
        ),
    )


def _is_diff(value: Value, written: str) -> bool:
    """Whether the value is a diff. A file may be written that looks like one: where a template says more, that counts."""
    kind = value.options.get("as")
    if kind in ("diff", "text"):
        return kind == "diff"
    if isinstance(value.options.get("base_pointer"), str) or isinstance(value.options.get("before_pointer"), str):
        return False
    return _LOOK.match(written) is not None


def _from_call(value: Value, covers: set[str]) -> tuple[list[str], list[str]]:
    found: dict[str, list[str]] = {"path_pointer": [], "mode_pointer": []}
    for option, names in found.items():
        pointer = value.options.get(option)
        if not isinstance(pointer, str):
            continue
        try:
            named = resolve(value.root, pointer)
        except MissingError:
            continue
        if isinstance(named, str) and named:
            names.append(mask_text(named))
            if option == "path_pointer":
                covers.add(pointer)
    return found["path_pointer"], found["mode_pointer"]


def _before(value: Value, covers: set[str]) -> tuple[str | None, str]:
    """The earlier text, and whose word it is."""
    for option, root, words in (
        ("before_pointer", value.root, "compared with the earlier text in the call"),
        ("base_pointer", value.known.context, "compared with the earlier text that your application gave"),
    ):
        pointer = value.options.get(option)
        if not isinstance(pointer, str):
            continue
        try:
            found = resolve(root, pointer)
        except MissingError:
            continue
        if isinstance(found, str):
            if option == "before_pointer":
                covers.add(pointer)
            return mask_text(found), words
    return None, ""


def _read_unified(written: str) -> tuple[list[str], dict[int, Role], list[str], list[str]]:
    """Lines with a role each, by counting what every hunk announces: a removed line may itself begin with `-- `."""
    lines = written.split("\n")
    roles: dict[int, Role] = {}
    paths: list[str] = []
    modes: list[str] = []
    old = new = 0
    for at, line in enumerate(lines):
        if old > 0 or new > 0:
            if line.startswith("+"):
                roles[at], new = Role.INS, new - 1
            elif line.startswith("-"):
                roles[at], old = Role.DEL, old - 1
            elif not line.startswith("\\"):
                old, new = old - 1, new - 1
            continue
        if found := _HUNK.match(line):
            roles[at] = Role.LINE
            old, new = int(found.group(1) or 1), int(found.group(2) or 1)
        elif line.startswith("+"):
            roles[at] = Role.LINE if line.startswith("+++ ") else Role.INS
        elif line.startswith("-"):
            roles[at] = Role.LINE if line.startswith("--- ") else Role.DEL
        if found := re.match(r"(?:---|\+\+\+) (?:[abiw]/)?([^\t]+)|(?:rename|copy) to (.+)", line):
            path = (found.group(1) or found.group(2)).strip()
            if path != "/dev/null":
                paths.append(path)
        elif found := re.match(r"diff --git a/.+ b/(.+)$", line):
            paths.append(found.group(1).strip())
        elif found := re.match(r"(?:new file|new|deleted file) mode (\d{6})", line):
            modes.append(found.group(1))
    return lines, roles, list(dict.fromkeys(paths)), modes


def _compare(before: str, after: str) -> tuple[list[str], dict[int, Role]]:
    old, new = (before.split("\n") if before else []), after.split("\n")
    if not old:
        lines = [f"+{line}" for line in new]
    elif max(len(old), len(new)) > _LONGEST:
        lines = [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    else:
        # The first two lines are file names, which the head already tells.
        lines = [line.rstrip("\n") for line in difflib.unified_diff(old, new, n=3, lineterm="")][2:]
        lines = lines or [" (no line changes)"]
    signs = {"+": Role.INS, "-": Role.DEL, "@": Role.LINE}
    return lines, {at: signs[line[0]] for at, line in enumerate(lines) if line and line[0] in signs}


def _head(paths: list[str], modes: list[str], source: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for path in dict.fromkeys(paths):
        parts.extend((*in_role(reveal(path).parts, Role.STRONG), Part(" ")))
    if modes:
        parts.append(Part(f"mode {', '.join(flat(mode) for mode in dict.fromkeys(modes))} ", Role.QUIET))
    if source:
        parts.append(Part(source, Role.QUIET))
    return (*parts, Part("\n")) if parts else ()


def _path_cautions(paths: list[str], modes: list[str], value: Value) -> list[Caution]:
    found: list[Caution] = []
    workspace = value.options.get("workspace")
    for path in paths:
        found.extend(reveal(path).cautions)
        # Separators of Windows count as well, whoever runs the tool.
        plain = posixpath.normpath(path.replace("\\", "/"))
        if _is_outside(plain, workspace if isinstance(workspace, str) else ""):
            found.append(Caution("outside_workspace", Severity.DANGER))
        if _CI.search(plain):
            found.append(Caution("ci_file", Severity.DANGER))
        if any(step.startswith(".") and step not in (".", "..") for step in plain.split("/")):
            found.append(Caution("dotfile"))
        if _LOCK.search(plain):
            found.append(Caution("lockfile"))
    if any(mode.endswith("120000") or mode.casefold() in ("symlink", "link") for mode in modes):
        found.append(Caution("symlink", Severity.DANGER))
    if any(re.fullmatch(r"(?:100|0o?)?[0-7]*[1357][0-7]{0,2}", mode) for mode in modes):
        found.append(Caution("executable"))
    return found


def _is_outside(path: str, workspace: str) -> bool:
    if path.startswith(("../", "~", "//")) or path == ".." or re.match(r"[A-Za-z]:", path):
        return True
    if not path.startswith("/"):
        return False
    root = posixpath.normpath(workspace) if workspace else ""
    return not root or not (path == root or path.startswith(f"{root.rstrip('/')}/"))
