#!/usr/bin/env python3
"""Checks a guardsite evidence bundle against a key that you pinned beforehand. One file, standard library only.

    python3 -I guardsite_verify.py BUNDLE --key VKEY [--previous CHECKPOINT] [--receipt FILE]... [--max-age 24h]
                                   [--policy FILE] [--json] [--strict]

BUNDLE is a directory or an uncompressed ZIP. VKEY is `origin+hash+base64`; get it from somewhere else than the bundle.
It shares no code with the server that wrote the bundle, so that one mistake cannot hide in both. Python 3.9 or newer.

Output: one line per check, PASS, FAIL or NOT CHECKED, then the result. Exit status: 0 nothing failed (with --strict:
nor stayed unchecked), 1 something failed or the bundle is malformed, 2 it could not start.

What it shows: these rows are all rows of the range, in this order, unchanged since the pinned key signed the head.
What it does not show: that what was logged is true, or that nothing happened off the log; that the key's holder showed
others the same log; anything after the checkpoint.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import sys
import time
import zipfile

MAX_LINE = 4 * 1024 * 1024
MAX_SMALL = 64 * 1024 * 1024
KNOWN_FILES = {"manifest.json", "checkpoint", "entries.jsonl", "frontier.json", "consistency.proof"}
ENTRY_KEYS = {"seq", "recorded_us", "body_hash", "row_hash", "body", "disclosures", "withheld", "erased"}
MANIFEST_KEYS = {
    "format", "origin", "from", "to", "size", "counts", "erased", "filter", "time_range", "generator", "requester",
    "export", "disclosures", "files",
}
HEX64 = re.compile(r"[0-9a-f]{64}")
ORIGIN = re.compile(r"[a-z0-9.-]+(/[A-Za-z0-9._~-]+)+")
SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
GRACE_US = 60 * 1000000  # a row may be sealed a little after its receipt was given


class CannotStart(Exception):
    """Bad arguments or an unreadable file: exit status 2."""


class Bad(Exception):
    """A check failed. `seq` is the first bad row, where there is one."""

    def __init__(self, text, seq=None):
        super().__init__(text)
        self.seq = seq


# --- Ed25519, verifying only (RFC 8032, section 5.1.7) -----------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def point_of(data):
    """The curve point of 32 bytes, or None; refuses encodings that are not the shortest."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P != 0:
        x = x * SQRT_M1 % P
    if (v * x * x - u) % P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def added(a, b):
    """The sum of two points in extended coordinates."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    i, j, k, m = f - e, h - g, h + g, f + e
    return (i * j % P, k * m % P, j * k % P, i * m % P)


def times(number, point):
    """`number` times the point."""
    found = (0, 1, 1, 0)
    while number:
        if number & 1:
            found = added(found, point)
        point = added(point, point)
        number >>= 1
    return found


def same_point(a, b):
    """Equality of points, whatever their scale."""
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_ok(public, message, signature):
    """True when `signature` is that of `message` under the 32-byte key; no small-order keys, no second form of s."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = point_of(public), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or same_point(times(8, a), (0, 1, 1, 0)):
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return same_point(times(s, BASE), added(r, times(h, a)))


# --- Hashes and trees (RFC 6962) ---------------------------------------------------------------------------------------


def sha(data):
    return hashlib.sha256(data).digest()


def joined(left, right):
    return sha(b"\x01" + left + right)


class Tree:
    """Roots of the maximal perfect subtrees of a growing tree."""

    def __init__(self):
        self.size = 0
        self.stack = []  # (number of leaves, hash)

    def push(self, leaves, item):
        """Adds a perfect subtree; it must be aligned."""
        if self.size % leaves:
            raise Bad("a subtree of the frontier is not aligned")
        self.size += leaves
        self.stack.append((leaves, item))
        while len(self.stack) > 1 and self.stack[-1][0] == self.stack[-2][0]:
            right, left = self.stack.pop(), self.stack.pop()
            self.stack.append((2 * left[0], joined(left[1], right[1])))

    def root(self):
        if not self.stack:
            return sha(b"")
        found = self.stack[-1][1]
        for _, item in reversed(self.stack[:-1]):
            found = joined(item, found)
        return found


def perfect_cover(begin, end):
    """Sizes of the maximal aligned perfect subtrees of [begin, end)."""
    sizes = []
    while begin < end:
        size = 1
        while begin % (2 * size) == 0 and begin + 2 * size <= end:
            size *= 2
        sizes.append(size)
        begin += size
    return sizes


def consistent(size1, size2, root1, root2, proof):
    """True when the proof shows that the second tree extends the first (RFC 9162, section 2.1.4.2)."""
    if size1 == size2:
        return not proof and root1 == root2
    if not 0 < size1 < size2 or not proof:
        return False
    path = list(proof)
    if size1 & (size1 - 1) == 0:
        path.insert(0, root1)
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for item in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = joined(item, fr), joined(item, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = joined(sr, item)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == root1 and sr == root2


# --- Reading -----------------------------------------------------------------------------------------------------------


def no_twins(pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError("an object has the same key twice")
        found[key] = value
    return found


def refuse_constant(name):
    raise ValueError("%s is not JSON" % name)


def read_json(data):
    """Strict JSON of bytes; raises Bad."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=no_twins, parse_constant=refuse_constant)
    except RecursionError:
        raise Bad("nested too deeply")
    except ValueError as problem:
        raise Bad("malformed JSON: %s" % (problem if "key twice" in str(problem) else "cannot be read"))


def b64(text):
    """Standard base64 in the only form that an encoder writes; raises Bad."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise Bad("not base64")
    if base64.b64encode(data).decode() != text:
        raise Bad("not canonical base64")
    return data


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hex32(value):
    if not isinstance(value, str) or not HEX64.fullmatch(value):
        raise Bad("a hash is not 64 lowercase hex digits")
    return bytes.fromhex(value)


class Bundle:
    """The files of a directory or of a stored ZIP."""

    def __init__(self, path):
        self.path = path
        self.zip = None
        if os.path.isdir(path):
            self.names = sorted(
                os.path.relpath(os.path.join(folder, name), path).replace(os.sep, "/")
                for folder, _, names in os.walk(path)
                for name in names
            )
        else:
            try:
                self.zip = zipfile.ZipFile(path)
            except OSError as problem:
                raise CannotStart("the bundle cannot be read: %s" % problem.strerror)
            except (zipfile.BadZipFile, ValueError, NotImplementedError):
                raise Bad("the bundle is neither a directory nor a ZIP")
            infos = self.zip.infolist()
            self.names = sorted(info.filename for info in infos)
            if len(set(self.names)) != len(self.names):
                raise Bad("the ZIP holds a file twice")
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise Bad("the ZIP is compressed; bundles are stored")

    def open(self, name):
        if name not in self.names:
            raise Bad("%s is missing" % name)
        try:
            if self.zip is not None:
                return self.zip.open(name)
            return open(os.path.join(self.path, *name.split("/")), "rb")
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
            raise Bad("%s cannot be read" % name)

    def read(self, name):
        with self.open(name) as file:
            try:
                data = file.read(MAX_SMALL + 1)
            except (OSError, zipfile.BadZipFile, EOFError):
                raise Bad("%s cannot be read" % name)
        if len(data) > MAX_SMALL:
            raise Bad("%s is too large" % name)
        return data

    def sha256(self, name):
        digest = hashlib.sha256()
        with self.open(name) as file:
            try:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
            except (OSError, zipfile.BadZipFile, EOFError):
                raise Bad("%s cannot be read" % name)
        return digest.hexdigest()


class Key:
    """A pinned verifier key: the name of the log and an Ed25519 public key."""

    def __init__(self, text):
        parts = text.strip().split("+", 2)
        try:
            self.name = parts[0]
            data = b64(parts[2])
            known_id = parts[1]
        except (IndexError, Bad):
            raise CannotStart("the key is not of the form origin+hash+base64")
        if len(data) != 33 or data[:1] != b"\x01" or not ORIGIN.fullmatch(self.name):
            raise CannotStart("the key is not an Ed25519 key of a log")
        self.public = data[1:]
        self.id = sha(self.name.encode() + b"\n\x01" + self.public)[:4]
        if self.id.hex() != known_id:
            raise CannotStart("the key is damaged: its hash does not belong to its name and key")


def open_note(data, key):
    """(origin, size, root, other signers) of a checkpoint signed by `key`; raises Bad."""
    try:
        note = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Bad("the checkpoint is not UTF-8")
    if any(char < " " and char != "\n" for char in note):
        raise Bad("the checkpoint holds a control character")
    text, blank, block = note.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise Bad("the checkpoint is not a signed note")
    text += "\n"
    lines = text.split("\n")
    if len(lines) != 4 or not ORIGIN.fullmatch(lines[0]) or not SIZE.fullmatch(lines[1]):
        raise Bad("the checkpoint is malformed")
    root = b64(lines[2])
    if len(root) != 32:
        raise Bad("the root is not 32 bytes")
    signed, others = False, []
    for line in block[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not parts[1]:
            raise Bad("a signature line is malformed")
        signature = b64(parts[2])
        if parts[1] == key.name and signature[:4] == key.id:
            if not ed25519_ok(key.public, text.encode(), signature[4:]):
                raise Bad("the signature is wrong")
            signed = True
        else:
            others.append(parts[1])
    if not signed:
        raise Bad("not signed by the pinned key")
    return lines[0], int(lines[1]), root, others


# --- The checks --------------------------------------------------------------------------------------------------------


class Verifier:
    """Runs the checks in their order and keeps what they found."""

    def __init__(self, options, key):
        self.options = options
        self.key = key
        self.results = []
        self.first_bad = None
        self.manifest = {}
        self.origin = self.root = None
        self.size = 0
        self.rows = 0
        self.unsealed = 0
        self.first_us = self.last_us = None
        self.rows_ok = False
        self.computed_root = None
        self.roots_at = {}  # size of an older tree -> its root in this bundle
        self.body_hashes = {}  # body hash -> seq
        self.ids = {}
        self.counts = {}
        self.states = {"present": 0, "withheld": 0, "not kept": 0, "erased": 0}
        self.missing = []
        self.erasures = {}  # seq -> digests that the entry says are erased
        self.claimed_erased = []  # (seq of row, digest, seq of erasure)
        self.lints = []
        self.requester_entry = None
        self.previous = None
        self.receipts = []

    def note(self, status, check, text=""):
        self.results.append((status, check, text))

    def attempt(self, check, function):
        """Runs one check; True when it passed."""
        try:
            text = function()
        except Bad as problem:
            if problem.seq is not None and self.first_bad is None:
                self.first_bad = problem.seq
            self.note("FAIL", check, str(problem))
            return False
        if text is not False:
            self.note("PASS", check, text or "")
        return True

    def failed(self):
        return any(status == "FAIL" for status, _, _ in self.results)

    def run(self):
        self.read_extras()
        try:
            self.bundle = Bundle(self.options.bundle)
        except Bad as problem:
            self.note("FAIL", "bundle", str(problem))
            return
        has_manifest = self.attempt("manifest", self.check_manifest)
        if has_manifest:
            self.attempt("file hashes", self.check_files)
        has_checkpoint = self.attempt("checkpoint signature", self.check_checkpoint)
        if has_checkpoint:
            self.attempt("origin", self.check_origin)
        if not (has_manifest and has_checkpoint):
            return
        tree = Tree()
        if not self.attempt("frontier", lambda: self.read_frontier(tree)):
            return
        self.rows_ok = self.attempt("entries", lambda: self.check_entries(tree))
        if self.rows_ok:
            self.attempt("root", lambda: self.check_root(tree))
        else:
            self.note("NOT CHECKED", "root", "the rows above are broken")
        self.check_previous()
        if self.others:
            self.note("NOT CHECKED", "cosignatures", "%d by keys that are not pinned" % len(self.others))
        self.check_freshness()
        if self.rows_ok:
            self.attempt("disclosures", self.check_disclosures)
            for name, receipt in self.receipts:
                self.attempt("receipt %s" % name, lambda: self.check_receipt(name, receipt))
            self.attempt("lints", self.check_lints)
            self.check_requester()
        if self.options.policy:
            self.note("NOT CHECKED", "policy", "witness policies are not read by this version")
        for name in self.bundle.names:
            if name not in KNOWN_FILES:
                self.note("NOT CHECKED", "file", "%s is not known to this version" % ascii(name))
        if self.unsealed:
            self.note("NOT CHECKED", "UNSEALED", "%d rows past the checkpoint" % self.unsealed)

    def read_extras(self):
        """Files that the command line names; unreadable ones stop the start."""
        if self.options.previous:
            self.previous = read_file(self.options.previous)
        for path in self.options.receipt:
            self.receipts.append((os.path.basename(path), read_file(path)))

    def check_manifest(self):
        data = self.bundle.read("manifest.json")
        manifest = read_json(data)
        if not isinstance(manifest, dict) or set(manifest) != MANIFEST_KEYS:
            raise Bad("the manifest does not have the fields of guardsite.bundle.v1")
        if manifest["format"] != "guardsite.bundle.v1":
            raise Bad("an unknown format")
        if json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() != data:
            raise Bad("the manifest is not canonical JSON")
        for name in ("from", "to", "size", "erased"):
            if type(manifest[name]) is not int or manifest[name] < 0:
                raise Bad("%s is not a count" % name)
        if not manifest["from"] <= manifest["to"]:
            raise Bad("the range is reversed")
        if not isinstance(manifest["files"], dict) or not isinstance(manifest["counts"], dict):
            raise Bad("the manifest is malformed")
        self.manifest = manifest
        return "rows %d to %d of %d" % (manifest["from"], manifest["to"], manifest["size"])

    def check_files(self):
        listed = self.manifest["files"]
        for name in sorted(KNOWN_FILES - {"manifest.json", "consistency.proof"}):
            if name not in listed:
                raise Bad("%s is not listed" % name)
        if "consistency.proof" in self.bundle.names and "consistency.proof" not in listed:
            raise Bad("consistency.proof is not listed")
        for name, expected in sorted(listed.items()):
            if self.bundle.sha256(name) != expected:
                raise Bad("%s is not the file that was listed" % ascii(name))
        return "%d files" % len(listed)

    def check_checkpoint(self):
        self.origin, self.size, self.root, self.others = open_note(self.bundle.read("checkpoint"), self.key)
        return "size %d, signed by %s" % (self.size, self.key.name)

    def check_origin(self):
        if self.origin != self.key.name:
            raise Bad("the checkpoint is of another log than the pinned key")
        if self.manifest and (self.manifest["origin"] != self.origin or self.manifest["size"] != self.size):
            raise Bad("the manifest speaks of another log or size than the checkpoint")
        return self.origin

    def read_frontier(self, tree):
        frontier = read_json(self.bundle.read("frontier.json"))
        if not isinstance(frontier, dict) or set(frontier) != {"prev_hash", "left", "right"}:
            raise Bad("the frontier is malformed")
        start = self.manifest["from"]
        self.link = hex32(frontier["prev_hash"])
        if start == 0 and self.link != sha(b"guardsite.genesis.v1\n" + self.origin.encode() + b"\n"):
            raise Bad("the first row does not follow from this log's name", 0)
        left, right = frontier["left"], frontier["right"]
        cover = perfect_cover(0, start)
        if not isinstance(left, list) or not isinstance(right, list) or len(left) != len(cover):
            raise Bad("the frontier has the wrong number of hashes for this range")
        for size, item in zip(cover, left):
            tree.push(size, hex32(item))
        self.right = [hex32(item) for item in right]  # judged with the root, after the rows
        return "%d hashes before, %d after" % (len(left), len(right))

    def check_entries(self, tree):
        wanted = set()
        if self.previous is not None:
            wanted.add(self.previous_size())
        for _, data in self.receipts:
            wanted.add(receipt_size(data))
        expected, stop = self.manifest["from"], self.manifest["to"]
        with self.bundle.open("entries.jsonl") as file:
            while True:
                try:
                    line = file.readline(MAX_LINE + 1)
                except (OSError, zipfile.BadZipFile, EOFError):
                    raise Bad("entries.jsonl cannot be read", expected)
                if not line:
                    break
                if len(line) > MAX_LINE or not line.endswith(b"\n"):
                    raise Bad("a line is too long or not ended", expected)
                try:
                    row = read_json(line[:-1])
                    if expected >= self.size:
                        self.unsealed += 1
                        expected += 1
                        continue
                    self.check_row(row, expected)
                except Bad as problem:
                    raise Bad("#%d: %s" % (expected, problem), expected)
                tree.push(1, self.link)
                expected += 1
                if self.manifest["from"] == 0 and expected in wanted:
                    self.roots_at[expected] = tree.root()
        if expected < min(stop, self.size):
            raise Bad("#%d: the rows end here, %d are missing" % (expected, stop - expected), expected)
        if expected != stop:
            raise Bad("there are more rows than the manifest says", min(expected, stop))
        self.rows = expected - self.manifest["from"] - self.unsealed
        return "%d rows, each follows from the one before" % self.rows

    def check_row(self, row, expected):
        if not isinstance(row, dict) or set(row) != ENTRY_KEYS:
            raise Bad("the row does not have the fields of a row")
        if type(row["seq"]) is not int or row["seq"] != expected:
            raise Bad("found row %s" % ascii(row["seq"])[:30])
        moment = row["recorded_us"]
        if type(moment) is not int or moment < 0 or (self.last_us is not None and moment < self.last_us):
            raise Bad("the time runs backwards")
        body_hash, body = hex32(row["body_hash"]), row["body"]
        if body is not None and not isinstance(body, str):
            raise Bad("the body is not text")
        if body is not None and sha(b"guardsite.body.v1\n" + body.encode("utf-8", "surrogatepass")) != body_hash:
            raise Bad("the body is not the one that was sealed")
        envelope = "guardsite.audit.v1\n%s\n%d\n%s\n%s\n%d\n" % (
            self.origin, expected, self.link.hex(), body_hash.hex(), moment
        )
        link = sha(b"\x00" + envelope.encode("ascii"))
        if link != hex32(row["row_hash"]):
            raise Bad("the row hash does not follow from the row before it")
        self.link = link
        self.last_us = moment
        if self.first_us is None:
            self.first_us = moment
        if body_hash in self.body_hashes:
            self.lints.append((expected, "the same body as row %d" % self.body_hashes[body_hash]))
        self.body_hashes[body_hash] = expected
        self.read_body(row, expected)

    def read_body(self, row, seq):
        """What disclosures and lints need; problems are collected, not raised."""
        if row["body"] is None:
            if self.manifest["filter"] is None:
                self.missing.append((seq, "the body is missing"))
            return
        text = row["body"]
        try:
            body = read_json(text.encode("utf-8", "surrogatepass"))
        except Bad as problem:
            self.lints.append((seq, "body: %s" % problem))
            return
        if not isinstance(body, dict):
            self.lints.append((seq, "the body is not an object"))
            return
        if not text.isascii() or json.dumps(body, sort_keys=True, separators=(",", ":")) != text:
            self.lints.append((seq, "the body is not canonical JSON"))
        identity, kind = body.get("id"), body.get("kind")
        if not isinstance(identity, str) or not isinstance(kind, str):
            self.lints.append((seq, "the body has no id or kind"))
            return
        if identity in self.ids:
            self.lints.append((seq, "the same id as row %d" % self.ids[identity]))
        self.ids[identity] = seq
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == "erasure.executed" and isinstance(body.get("digests"), list):
            self.erasures[seq] = set(item for item in body["digests"] if isinstance(item, str))
        if self.manifest["export"] == identity:
            self.requester_entry = body
        self.read_disclosures(row, body, seq)

    def read_disclosures(self, row, body, seq):
        digests = body.get("_sd", [])
        stored, withheld, erased = row["disclosures"], row["withheld"], row["erased"]
        lists = isinstance(digests, list) and isinstance(stored, list) and isinstance(withheld, list)
        if not lists or not isinstance(erased, dict) or not all(isinstance(item, str) for item in digests + stored + withheld):
            self.missing.append((seq, "the disclosures are malformed"))
            return
        present = set()
        for encoded in stored:
            digest = b64url(sha(encoded.encode("utf-8", "surrogatepass")))
            if digest not in digests or digest in present:
                self.missing.append((seq, "a disclosed value is not one that the entry commits to"))
            present.add(digest)
        keep, decision = body.get("keep"), body.get("decision")
        not_kept = keep == "none" or (keep == "held" and decision != "review")
        for digest in digests:
            if digest in present:
                self.states["present"] += 1
            elif digest in erased:
                self.states["erased"] += 1
                self.claimed_erased.append((seq, digest, erased[digest]))
            elif digest in withheld:
                self.states["withheld"] += 1
            elif not_kept:
                self.states["not kept"] += 1
            else:
                self.missing.append((seq, "a value that the entry commits to is missing"))
        for digest in list(withheld) + list(erased):
            if digest not in digests:
                self.missing.append((seq, "withheld or erased is a value that the entry does not have"))

    def check_root(self, tree):
        cover = perfect_cover(tree.size, max(tree.size, self.size))
        if len(cover) != len(self.right):
            raise Bad("the rows and the frontier do not make up the signed head", tree.size)
        for size, item in zip(cover, self.right):
            tree.push(size, item)
        if tree.size != self.size or tree.root() != self.root:
            raise Bad("the rows are not those of the signed head", self.manifest["from"])
        return "the rows and the frontier give the signed head"

    def previous_size(self):
        try:
            return open_note(self.previous, self.key)[1]
        except Bad:
            return -1

    def check_previous(self):
        if self.previous is None:
            if "consistency.proof" in self.bundle.names:
                self.note("NOT CHECKED", "consistency", "no --previous checkpoint was given")
            else:
                self.note("NOT CHECKED", "consistency", "no --previous checkpoint: a log cut or rewritten before looks whole")
            return
        self.attempt("consistency", self.check_consistency)

    def check_consistency(self):
        origin, size, root, _ = open_note(self.previous, self.key)
        if origin != self.origin:
            raise Bad("the previous checkpoint is of another log")
        if size > self.size:
            raise Bad("the log was cut: it had %d rows before, now %d" % (size, self.size), self.size)
        if size == self.size:
            if root != self.root:
                raise Bad("the log was rewritten: same size, another head", 0)
            return "the same head"
        if size in self.roots_at:
            if self.roots_at[size] != root:
                raise Bad("the log was rewritten: its first %d rows are not those of the previous checkpoint" % size, 0)
            return "the first %d rows are those of the previous checkpoint" % size
        lines = self.bundle.read("consistency.proof").decode("utf-8", "replace").split("\n")
        if lines[:3] != ["guardsite.consistency.v1", str(size), str(self.size)] or lines[-1:] != [""]:
            raise Bad("consistency.proof is malformed or for other sizes; ask for one from size %d" % size)
        if not consistent(size, self.size, root, self.root, [b64(line) for line in lines[3:-1]]):
            raise Bad("the log was rewritten: the proof does not lead from the previous checkpoint to this one", 0)
        return "proved from size %d" % size

    def check_freshness(self):
        limit = self.options.max_age
        if self.last_us is None:
            self.note("NOT CHECKED", "freshness", "there are no rows")
            return
        newest = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.last_us // 1000000))
        if limit is None:
            self.note("NOT CHECKED", "freshness", "newest row %s; give --max-age to demand more" % newest)
        elif time.time() - self.last_us / 1e6 > limit:
            self.note("FAIL", "freshness", "newest row %s is older than allowed" % newest)
        else:
            self.note("PASS", "freshness", "newest row %s" % newest)

    def check_disclosures(self):
        outside = 0
        for seq, digest, by in self.claimed_erased:
            if type(by) is not int or not self.manifest["from"] <= by < self.manifest["to"]:
                outside += 1
            elif digest not in self.erasures.get(by, ()):
                self.missing.append((seq, "entry %d does not say that the value was erased" % by))
        if self.missing:
            seq, problem = min(self.missing)
            raise Bad("#%d: %s" % (seq, problem), seq)
        if outside:
            self.note("NOT CHECKED", "erasures", "%d are recorded outside this range" % outside)
        return ", ".join("%d %s" % (count, name) for name, count in self.states.items())

    def check_receipt(self, name, data):
        receipt = read_json(data)
        if not isinstance(receipt, dict) or not isinstance(receipt.get("entry_id"), str):
            raise Bad("not a receipt")
        body_hash = hex32(receipt.get("body_hash"))
        head = receipt.get("checkpoint")
        if isinstance(head, dict) and isinstance(head.get("root"), str) and head.get("size") in self.roots_at:
            if b64(head["root"]) != self.roots_at[head["size"]]:
                raise Bad("the head that it names is not of this log")
        if body_hash in self.body_hashes:
            if self.ids.get(receipt["entry_id"], self.body_hashes[body_hash]) != self.body_hashes[body_hash]:
                raise Bad("its id and its hash are of two entries")
            return "its entry is #%d" % self.body_hashes[body_hash]
        received = receipt.get("received_us")
        if self.manifest["from"] > 0 or self.manifest["to"] < self.size:
            self.note("NOT CHECKED", "receipt %s" % name, "its entry may lie outside this range")
            return False
        if type(received) is int and self.last_us is not None and received > self.last_us - GRACE_US:
            self.note("NOT CHECKED", "receipt %s" % name, "it is newer than this bundle; ask again")
            return False
        raise Bad("its entry is not in the log")

    def check_lints(self):
        if self.lints:
            seq, problem = min(self.lints)
            raise Bad("#%d: %s" % (seq, problem), seq)
        problems = []
        if self.counts != self.manifest["counts"]:
            problems.append("the counts by kind are not those of the rows")
        if self.manifest["time_range"] != {"first_us": self.first_us, "last_us": self.last_us}:
            problems.append("the time range is not that of the rows")
        if self.manifest["erased"] != self.states["erased"]:
            problems.append("the count of erased values is not that of the rows")
        if problems:
            raise Bad("; ".join(problems))
        return "canonical bodies, no id twice, counts as listed"

    def check_requester(self):
        entry, claimed = self.requester_entry, self.manifest["requester"]
        if entry is None:
            self.note("NOT CHECKED", "requester", "who asked for this export is the exporter's word")
        elif entry.get("kind") != "export.created" or entry.get("actor") != claimed:
            self.note("FAIL", "requester", "the entry of this export names somebody else")
        else:
            self.note("PASS", "requester", "as the entry of this export says")


def receipt_size(data):
    try:
        return read_json(data)["checkpoint"]["size"]
    except (Bad, KeyError, TypeError):
        return -1


def read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read(MAX_SMALL)
    except OSError as problem:
        raise CannotStart("%s cannot be read: %s" % (path, problem.strerror))


def seconds(text):
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if not found:
        raise argparse.ArgumentTypeError("a number and s, m, h or d, such as 24h")
    return int(found.group(1)) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found.group(2)]


def arguments(argv):
    parser = argparse.ArgumentParser(prog="guardsite_verify.py", description="Checks a guardsite evidence bundle.")
    parser.add_argument("bundle", help="directory or stored ZIP")
    parser.add_argument("--key", required=True, help="the pinned key: origin+hash+base64, or a file that holds it")
    parser.add_argument("--previous", help="a checkpoint that you kept")
    parser.add_argument("--receipt", action="append", default=[], help="a receipt that an agent kept")
    parser.add_argument("--policy", help="a witness policy")
    parser.add_argument("--max-age", type=seconds, help="fail when the newest row is older, such as 24h")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--strict", action="store_true", help="what stays unchecked fails too")
    return parser.parse_args(argv)


def main(argv=None):
    """Runs the checks and returns the exit status."""
    options = arguments(argv)
    try:
        text = options.key
        if "+" not in text or os.path.exists(text):
            text = read_file(text).decode("ascii", "replace")
        if not os.path.exists(options.bundle):
            raise CannotStart("the bundle %s is not there" % options.bundle)
        verifier = Verifier(options, Key(text))
        verifier.run()
    except CannotStart as problem:
        print("guardsite_verify: %s" % problem, file=sys.stderr)
        return 2
    unchecked = any(status == "NOT CHECKED" for status, _, _ in verifier.results)
    failed = verifier.failed() or (options.strict and unchecked)
    if options.json:
        print(json.dumps({
            "result": "failed" if failed else "verified",
            "origin": verifier.origin,
            "size": verifier.size,
            "rows": verifier.rows,
            "first_bad_seq": verifier.first_bad,
            "checks": [{"status": s, "check": c, "text": t} for s, c, t in verifier.results],
        }, indent=1))
    else:
        for status, check, words in verifier.results:
            print("%-12s %s%s" % (status, check, ": " + words if words else ""))
        if failed:
            where = "" if verifier.first_bad is None else " at #%d" % verifier.first_bad
            print("RESULT: FAILED%s" % where)
        else:
            print("RESULT: VERIFIED, %d rows of %s up to a head of %d signed by the pinned key"
                  % (verifier.rows, verifier.origin, verifier.size))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
