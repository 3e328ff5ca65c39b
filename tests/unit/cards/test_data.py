"""The vendored tables: whole, readable, and made again from their sources in the same form."""

from __future__ import annotations

from pathlib import Path

from reviews.cards.data import confusables, public_suffix_rules
from reviews.cards.data.refresh import write_confusables, write_public_suffixes


def test_the_tables_are_whole() -> None:
    assert {"com", "co.uk", "*.ck", "!www.ck", "github.io", "xn--55qx5d.cn"} <= public_suffix_rules()
    assert len(public_suffix_rules()) > 9_000
    assert confusables()[ord("\u0440")] == "p"
    assert confusables()[ord("m")] == "rn"
    assert len(confusables()) > 6_000


def test_each_table_names_source_version_and_licence() -> None:
    folder = Path(__file__).parents[3] / "reviews" / "cards" / "data"
    for name, words in (("public_suffix_list.txt", "Mozilla Public License"), ("confusables.txt", "Unicode, Inc.")):
        head = (folder / name).read_text(encoding="ascii")[:600]
        assert "Source: https://" in head
        assert "version" in head
        assert words in head
    assert (folder / "LICENSE-public-suffix-list.txt").stat().st_size > 10_000
    assert "Unicode" in (folder / "LICENSE-unicode.txt").read_text(encoding="utf-8")


def test_tables_are_made_from_what_their_makers_publish(tmp_path: Path) -> None:
    suffixes = tmp_path / "list.dat"
    suffixes.write_text("// VERSION: 2026\n// a\ncom\n*.ck\n!www.ck\n\u516c\u53f8.cn\n", encoding="utf-8")
    assert write_public_suffixes(suffixes, into=tmp_path) == 4
    rules = (tmp_path / "public_suffix_list.txt").read_text(encoding="ascii").splitlines()
    assert rules[-4:] == ["com", "*.ck", "!www.ck", "xn--55qx5d.cn"]
    source = tmp_path / "source.txt"
    source.write_text("\ufeff# Version: 13.0.0\n006D ;\t0072 006E ;\tMA\t# m\n\n", encoding="utf-8")
    assert write_confusables(source, into=tmp_path) == 1
    assert (tmp_path / "confusables.txt").read_text(encoding="ascii").splitlines()[-1] == "006D 0072+006E"
