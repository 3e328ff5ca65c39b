"""Makes the vendored tables from their sources: `python -m reviews.cards.data.refresh PSL.dat confusables.txt`.

The sources are the files as their makers publish them; see README.md beside this.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import idna

_HERE: Final = Path(__file__).parent


def write_public_suffixes(source: Path, *, into: Path = _HERE) -> int:
    """How many rules were written; comments left out, names as A-labels, order kept."""
    text = source.read_text(encoding="utf-8")
    version = next(line for line in text.splitlines() if line.startswith("// VERSION:")).removeprefix("// VERSION: ")
    rules = [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("//")]
    head = (
        "# Public Suffix List, modified: comments left out, names as A-labels.\n"
        f"# Source: https://publicsuffix.org/list/public_suffix_list.dat, version {version}\n"
        "# This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0.\n"
        "# If a copy of the MPL was not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/.\n"
    )
    (into / "public_suffix_list.txt").write_text(head + "".join(f"{_ascii(rule)}\n" for rule in rules), "ascii")
    return len(rules)


def _ascii(rule: str) -> str:
    mark = "!" if rule.startswith("!") else "*." if rule.startswith("*.") else ""
    name = rule.removeprefix(mark)
    return mark + (name.lower() if name.isascii() else idna.encode(name, uts46=True).decode("ascii"))


def write_confusables(source: Path, *, into: Path = _HERE) -> int:
    """How many characters were written: code point, space, prototype joined by `+`."""
    text = source.read_text(encoding="utf-8-sig")
    version = next(line for line in text.splitlines() if line.startswith("# Version:")).removeprefix("# Version: ")
    rows = []
    for line in text.splitlines():
        fields = line.partition("#")[0].split(";")
        if len(fields) >= 2:
            rows.append(f"{fields[0].strip()} {'+'.join(fields[1].split())}\n")
    head = (
        f"# Confusables of Unicode Security Mechanisms (UTS #39), version {version}, modified: comments and classes left out.\n"
        "# Source: https://www.unicode.org/Public/security/ (confusables.txt). Copyright Unicode, Inc.\n"
        "# For terms of use, see https://www.unicode.org/terms_of_use.html and LICENSE-unicode.txt beside this.\n"
    )
    (into / "confusables.txt").write_text(head + "".join(rows), "ascii")
    return len(rows)


if __name__ == "__main__":
    sys.stdout.write(f"{write_public_suffixes(Path(sys.argv[1]))} suffixes\n")
    sys.stdout.write(f"{write_confusables(Path(sys.argv[2]))} confusables\n")
