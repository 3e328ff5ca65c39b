"""Bytes, trees, notes and disclosures, judged by our own vector and by those of others."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import disclosures, envelope, merkle, note
from tests.audit import vectors as v

KEY = Ed25519PrivateKey.from_private_bytes(v.SEED)
HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=70)


def rows() -> list[bytes]:
    return [bytes.fromhex(v.ROW_HASH_0), bytes.fromhex(v.ROW_HASH_1)]


def test_envelope_and_row_hash_are_those_of_the_vector() -> None:
    assert envelope.genesis_hash(v.ORIGIN).hex() == v.GENESIS
    body_0 = envelope.body_hash(v.BODY_0.encode())
    assert body_0.hex() == v.BODY_HASH_0
    made = envelope.envelope(
        origin=v.ORIGIN, seq=0, previous=bytes.fromhex(v.GENESIS), body=body_0, recorded_us=v.RECORDED_US_0
    )
    assert made == v.ENVELOPE_0
    assert len(made) == 190
    body_1 = envelope.body_hash(v.BODY_1.encode())
    chained = envelope.chain(
        v.ORIGIN, bytes.fromhex(v.GENESIS), [(0, body_0, v.RECORDED_US_0), (1, body_1, v.RECORDED_US_1)]
    )
    assert [item.hex() for item in chained] == [v.ROW_HASH_0, v.ROW_HASH_1]


def test_disclosure_is_that_of_the_vector_and_keeps_the_text_received() -> None:
    made = disclosures.seal_value("params.amount", "120.50", salt=v.SALT)
    assert made.text == v.DISCLOSURE
    assert made.digest == v.DISCLOSURE_DIGEST == disclosures.digest_of(made.encoded)
    opened = disclosures.open_value(disclosures.decode(made.encoded))
    assert (opened.name, opened.value, opened.value_json) == ("params.amount", 120.5, "120.50")


def test_equal_values_have_different_digests() -> None:
    assert disclosures.seal_value("a", "1").digest != disclosures.seal_value("a", "1").digest


@pytest.mark.parametrize("text", [b"{}", b"[1,2,3]", b'["a","b"]', b'["a","b",1,2]', b"nonsense", b'["a","b",NaN]'])
def test_what_is_not_a_disclosure_is_refused(text: bytes) -> None:
    with pytest.raises(disclosures.DisclosureError):
        disclosures.open_value(text)


@pytest.mark.parametrize("text", ["AB==", "A", "A+", "AR", "A\n"])
def test_base64url_has_one_form(text: str) -> None:
    with pytest.raises(disclosures.DisclosureError):
        disclosures.decode(text)


def test_checkpoint_and_key_are_those_of_the_vector() -> None:
    key = note.parse_vkey(v.VKEY)
    assert str(key) == v.VKEY
    made = note.sign_checkpoint(note.Checkpoint(v.ORIGIN, 2, merkle.root_of(rows())), KEY)
    assert made == v.CHECKPOINT
    assert note.open_checkpoint(made, key) == note.Checkpoint(v.ORIGIN, 2, merkle.root_of(rows()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("\n2\n", "\n3\n"),
        lambda text: text.replace("\n2\n", "\n02\n"),
        lambda text: text.replace("\n2\n", "\n-2\n"),
        lambda text: text.replace("OBs=", "OBt="),
        lambda text: text.replace("\u2014", "-"),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text[:-1],
        lambda text: text.replace("e1\n2", "e2\n2"),
        lambda text: text.replace("\n2\n", "\n2\r\n"),
        lambda text: text.replace("SOBs=\n", "SOBs=\nextension\n"),
        lambda text: text.replace("iwok", "iwol"),
        lambda text: text.replace("ZwY=", "ZwZ="),
        lambda text: text.replace("\u2014 log.example/t/4f1c/e1", "\u2014 log.example/t/4f1c/e2"),
        lambda text: text + "junk\n",
        lambda text: "",
        lambda text: text + text.splitlines(keepends=True)[-1] * 16,
        lambda text: text.replace("log.example/t", "LOG.example/t"),
    ],
)
def test_damaged_checkpoint_is_refused(damage: Any) -> None:
    broken = damage(v.CHECKPOINT)
    assert broken != v.CHECKPOINT
    with pytest.raises(note.NoteError):
        note.open_checkpoint(broken, note.parse_vkey(v.VKEY))


def test_checkpoint_signed_by_another_key_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    forged = note.sign_checkpoint(note.Checkpoint(v.ORIGIN, 2, merkle.root_of(rows())), other)
    with pytest.raises(note.NoteError, match="not signed"):
        note.open_checkpoint(forged, note.parse_vkey(v.VKEY))


@pytest.mark.parametrize(
    "text", ["", "a+b+c", v.VKEY.replace("8b0a241f", "8b0a2410"), v.VKEY.replace("4f1c", "4f1d"), v.VKEY[:-4] + "VTG="]
)
def test_damaged_vkey_is_refused(text: str) -> None:
    with pytest.raises(note.NoteError):
        note.parse_vkey(text)


def test_merkle_vectors_of_others() -> None:
    accepted = refused = 0
    for item in shared_merkle():
        case, proof = item["case"], [base64.b64decode(step) for step in item["case"]["proof"] or []]
        try:
            if item["file"].startswith("inclusion"):
                merkle.verify_inclusion(
                    index=case["leafIdx"],
                    size=case["treeSize"],
                    leaf=b64(case["leafHash"]),
                    proof=proof,
                    root=b64(case["root"]),
                )
            else:
                merkle.verify_consistency(
                    size1=case["size1"],
                    size2=case["size2"],
                    root1=b64(case["root1"]),
                    root2=b64(case["root2"]),
                    proof=proof,
                )
        except merkle.ProofError:
            assert case["wantErr"], item["file"]
            refused += 1
        else:
            assert not case["wantErr"], item["file"]
            accepted += 1
    assert (accepted, refused) == (7, 93)


def shared_merkle() -> Any:
    return v.shared("transparency-dev-merkle.json")


def b64(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@given(HASHES, st.data())
def test_proofs_of_any_tree_verify_and_no_other_leaf_does(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    root = merkle.root_of(leaves)
    older = data.draw(st.integers(0, size))
    proof = merkle.consistency_proof(leaves, older)
    merkle.verify_consistency(size1=older, size2=size, root1=merkle.root_of(leaves[:older]), root2=root, proof=proof)
    if 0 < older < size:
        with pytest.raises(merkle.ProofError):
            merkle.verify_consistency(size1=older, size2=size, root1=bytes(32), root2=root, proof=proof)
    if size:
        index = data.draw(st.integers(0, size - 1))
        path = merkle.inclusion_proof(leaves, index)
        merkle.verify_inclusion(index=index, size=size, leaf=leaves[index], proof=path, root=root)
        with pytest.raises(merkle.ProofError):
            merkle.verify_inclusion(index=index, size=size, leaf=merkle.node_hash(b"", b""), proof=path, root=root)


@given(HASHES, st.data())
def test_ranges_put_together_give_the_root_of_the_whole(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    parts = [
        merkle.CompactRange.of(0, leaves[:start]),
        merkle.CompactRange.of(start, leaves[start:stop]),
        merkle.CompactRange.of(stop, leaves[stop:]),
    ]
    whole = merkle.CompactRange()
    for part in parts:
        whole.extend(merkle.CompactRange.restore(part.begin, part.end, part.hashes))
    assert whole.root() == merkle.root_of(leaves)
    assert whole.end == size


def test_a_range_with_missing_or_short_hashes_is_refused() -> None:
    with pytest.raises(merkle.ProofError):
        merkle.CompactRange.restore(0, 3, [bytes(32)])
    with pytest.raises(merkle.ProofError):
        merkle.CompactRange.restore(0, 1, [bytes(31)])
    with pytest.raises(merkle.ProofError):
        merkle.CompactRange.of(0, [bytes(32)]).extend(merkle.CompactRange.of(2, [bytes(32)]))
    with pytest.raises(merkle.ProofError):
        merkle.CompactRange.of(1, [bytes(32)]).root()
    with pytest.raises(merkle.ProofError):
        merkle.inclusion_proof([bytes(32)], 1)
    with pytest.raises(merkle.ProofError):
        merkle.consistency_proof([bytes(32)], 2)


_IDENTIFIERS = st.text(st.sampled_from([chr(n) for n in range(0x20, 0x7F) if chr(n) not in '"\\']), max_size=40)
_BODIES = st.dictionaries(
    _IDENTIFIERS,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _IDENTIFIERS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_IDENTIFIERS, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=8,
)


@given(_BODIES)
def test_body_bytes_are_rfc_8785(body: dict[str, Any]) -> None:
    made = envelope.body_bytes(body)
    assert made == rfc8785.dumps(body)
    assert orjson.loads(made) == body


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        2**53,
        -(2**53),
        "caf\u00e9",
        'a"b',
        "a\\b",
        "a\nb",
        "x" * 201,
        {"a": {"b": 0.1}},
        [object()],
        {"a\u0301": 1},
        {1: 2},
        b"x",
    ],
)
def test_a_body_holds_identifiers_and_whole_numbers_only(value: object) -> None:
    with pytest.raises(envelope.BadBody) as caught:
        envelope.body_bytes({"field": value})
    assert "caf" not in str(caught.value)


def test_a_body_is_at_most_64_kib() -> None:
    with pytest.raises(envelope.BadBody):
        envelope.body_bytes({"list": ["x" * 200] * 400})


@pytest.mark.parametrize("text", ["", "host", "host/", "HOST/t", "host//t", "host/t t", "h/" + "x" * 127])
def test_what_is_no_origin(text: str) -> None:
    assert not envelope.is_origin(text)
