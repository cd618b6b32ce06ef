"""Compiled vocabularies with damage as disks, copies and attackers do it, and a process that runs them."""

from __future__ import annotations

import copy
import json
import signal
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, open_artifact
from portvec._tokenization.selection import choose_tokenizer
from portvec._vocabulary.file import MAGIC, VERSION, pack_vocabulary, read_vocabulary
from portvec.errors import ArtifactError

TEXTS = [
    "the value of a function",
    "",
    "日本語 naïve Straße",
    "\0\x85 a\n b ",
    "x" * 200,
    "[UNK] <s> <unk> <|endoftext|>the value",
    "a  ▁ ▁▁a \u0301 it's \u0600 b",
    "unbelievable, unknowable: 12,345.67!",
]
MANY = TEXTS * 10  # more than are tokenized one by one

_NUMBERS = [0, 1, -1, 255, 256, 65535, 2**31 - 1, -(2**31)]
_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, 1.5, 1e300, "", "a", "▁", "##", " ", "\0", "\ud800"),
    *(
        "Unigram",
        "BPE",
        "WordPiece",
        "WordLevel",
        "first",
        "Sequence",
        [],
        {},
        [0],
        [[]],
        {"type": "Metaspace"},
    ),
]


def damage(random: Random, content: bytes) -> bytes:
    """Return the content with a few changes: bytes, runs, zeroed blocks, blocks that swap places, an end."""
    damaged = bytearray(content)
    for _ in range(random.choice([1, 1, 1, 3])):
        size = len(damaged)
        # Half of the changes are near the start, where the facts are.
        at = random.randrange(random.choice([size, min(size, 4096)]))
        length = min(random.choice([1, 4, 64, 512, 4096]), size - at)
        match random.randrange(7):
            case 0:
                damaged[at] ^= 1 << random.randrange(8)
            case 1:
                damaged[at] = random.randrange(256)
            case 2:
                damaged[at : at + length] = random.randbytes(length)
            case 3:
                damaged[at : at + length] = random.choice([b"\0", b"\xff", b"0", b"\x7f"]) * length
            case 4:
                other = random.randrange(size - length + 1)
                block = damaged[at : at + length]
                damaged[at : at + length] = damaged[other : other + length]
                damaged[other : other + length] = block
            case 5:
                del damaged[at : max(at + 1, at + length)]
            case 6:
                del damaged[at:]
        if len(damaged) < 2:
            return bytes(damaged)
    return bytes(damaged)


def with_checksum(content: bytes) -> bytes:
    """Return the content with its magic, version and checksum put right."""
    rest = content[16:]
    return struct.pack("<8sII", MAGIC, VERSION, zlib.crc32(rest)) + rest


def forge(random: Random, content: bytes) -> bytes:
    """Return a file whose checksum is right, and that nobody would write."""
    if random.random() < 0.3:
        return with_checksum(damage(random, content))
    file = read_vocabulary(content, "here")
    facts: Any = copy.deepcopy(dict(file.facts))
    arrays = {name: array.copy() for name, array in file.arrays.items()}
    for _ in range(random.choice([1, 1, 2, 5])):
        if random.random() < 0.5:
            _change_facts(random, facts)
        else:
            _change_array(random, arrays)
    return pack_vocabulary(json.loads(json.dumps(facts)), arrays)


def _change_facts(random: Random, facts: Any) -> None:
    *parents, name = random.choice(list(_paths(facts)))
    holder = facts
    for parent in parents:
        holder = holder[parent]
    if random.random() < 0.2:
        del holder[name]
    else:
        holder[name] = copy.deepcopy(random.choice(_VALUES))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, (dict, list)):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in list(entries):
            yield from _paths(inner, (*path, key))


def _change_array(random: Random, arrays: dict[str, Any]) -> None:
    name = random.choice(list(arrays))
    array = arrays[name]
    match random.randrange(5):
        case 0:
            arrays[name] = array[: random.randrange(1, len(array) + 1)]
        case 1:
            arrays[name] = array.astype(random.choice(["u1", "i4", "u4", "f8"]))
        case 2:
            del arrays[name]
        case _:
            rows = random.sample(range(len(array)), random.choice([1, min(len(array), 30), len(array)]))
            if array.dtype == np.float64:
                values: Any = random.choices([0.0, 1e300, -1e200, 1e200, np.nan, np.inf])
            elif random.random() < 0.5:
                values = [random.choice([*_NUMBERS, random.randrange(len(array)), random.randrange(800)])]
            else:
                values = [random.randrange(-1, len(array)) for _ in rows]
            array[rows] = np.resize(np.array(values, dtype=np.float64), len(rows)).astype(array.dtype)
    if not arrays:
        arrays["a"] = np.zeros(1, dtype=np.int32)


def use(artifact: Artifact, content: bytes) -> tuple[list[list[list[int]]], str]:
    """Return the ids of `TEXTS` one by one, of `TEXTS`, and of `MANY` under a vocabulary, and no message.

    If it is refused, return no ids, and the message.
    """
    changed = replace(artifact, contents={**artifact.contents, fmt.VOCABULARY: content})
    try:
        tokenizer = choose_tokenizer(changed, "compiled")
        alone = [tokenizer.tokenize_one(text).tolist() for text in TEXTS]
        return [alone, tokenizer.tokenize(TEXTS).lists(), tokenizer.tokenize(MANY).lists()], ""
    except ArtifactError as error:
        return [], str(error)


def main(folder: str, seed: str, count: str) -> None:
    """Forge vocabularies, and print how many were used and which messages refused the others."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
    artifact = open_artifact(Path(folder))
    content = bytes(artifact.contents[fmt.VOCABULARY])
    random = Random(seed)
    used, messages = 0, {""}
    size = artifact.manifest.vocabulary_size
    for number in range(int(count)):
        if hasattr(signal, "alarm"):
            signal.alarm(60)  # what hangs is killed
        forged = forge(random, content)
        try:
            found, message = use(artifact, forged)
        except BaseException:
            print(f"forgery {number} of {seed}", file=sys.stderr)
            raise
        used += bool(found)
        messages.add(message)
        assert all(0 <= token_id < size for texts in found for ids in texts for token_id in ids), number
    print(json.dumps({"used": used, "messages": sorted(messages - {""})}))


if __name__ == "__main__":
    main(*sys.argv[1:])
