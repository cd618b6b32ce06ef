"""The file of a compiled vocabulary: what is refused, and that no bytes make a reader go wrong."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from portvec._vocabulary import blocks
from portvec._vocabulary.file import MAGIC, VERSION, pack_vocabulary, read_vocabulary
from portvec._vocabulary.models import open_model
from portvec.errors import ArtifactError
from portvec_export._vocabulary.models import compile_model
from project import FUZZ
from random_vocabularies import make

Arrays = dict[str, npt.NDArray[Any]]
AGAIN = "; export the model again"
KINDS = ["Unigram", "WordPiece", "WordLevel"]


def facts_and_arrays(kind: str) -> tuple[dict[str, Any], Arrays]:
    facts, arrays = compile_model(make(kind, 7)[0])
    return {"model": facts}, arrays


def refusal(content: bytes) -> str:
    with pytest.raises(ArtifactError) as error:
        open_model(read_vocabulary(content, "here"))
    return str(error.value)


def test_what_is_packed_is_read() -> None:
    facts = {"model": {"type": "Unigram"}, "tokenizer": {"normalizer": None, "added_tokens": ["é\0"]}}
    arrays: Arrays = {
        "a": np.array([1, -2, 3], dtype=np.int32),
        "b": np.array([0.1], dtype=np.float64),
        "c": np.array([255], dtype=np.uint8),
        "d": np.array([2**32 - 1] * 100, dtype=np.uint32),
    }
    content = pack_vocabulary(facts, arrays)
    file = read_vocabulary(content, "here")
    assert file.facts == facts
    assert list(file.arrays) == list(arrays)
    for name, array in file.arrays.items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype
        assert not array.flags.writeable
        offset = array.ctypes.data - np.frombuffer(content, np.uint8).ctypes.data
        assert offset % 64 == 0


def with_checksum(rest: bytes) -> bytes:
    return struct.pack("<8sII", MAGIC, VERSION, zlib.crc32(rest)) + rest


def with_header(header: Any, data: bytes = bytes(256)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    rest = struct.pack("<Q", len(text)) + text
    return with_checksum(rest + bytes(-(16 + len(rest)) % 64) + data)


def test_content_that_is_no_such_file() -> None:
    content = pack_vocabulary(*facts_and_arrays("Unigram"))
    assert refusal(b"") == f"here: has 0 bytes, expected at least 24{AGAIN}"
    assert refusal(content[:23]) == f"here: has 23 bytes, expected at least 24{AGAIN}"
    assert refusal(b"x" * 24) == f"here: begins with b'xxxxxxxx', expected b'PORTVOCB'{AGAIN}"
    newer = content[:8] + struct.pack("<I", 2) + content[12:]
    assert refusal(newer) == (
        "here: version 2 of the format, but this portvec reads 1; upgrade portvec, or export the model again"
    )
    for damaged in (content[:-1], content + b"\0", content[:40] + b"\xff" + content[41:]):
        assert refusal(damaged) == (
            "here: the checksum does not match the content; copy the folder again, or export again"
        )


def test_headers_that_are_none() -> None:
    much = with_checksum(struct.pack("<Q", 2**63) + b"{}")
    assert refusal(much) == f"here: says that its header has {2**63} bytes, more than there can be{AGAIN}"
    assert refusal(with_header(b"{")).startswith("here: the header is not JSON (")
    assert refusal(with_header(b"\xff")).startswith("here: the header is not JSON (")
    assert refusal(with_header(b"[" * 100_000)) == f"here: the header is not JSON (nested too deeply){AGAIN}"
    assert refusal(with_header([])) == f"here: the header is a JSON list, expected an object{AGAIN}"
    assert refusal(with_header({})) == f"here: field facts is missing{AGAIN}"
    assert refusal(with_header({"facts": {}})) == f"here: field arrays is missing{AGAIN}"
    assert (
        refusal(with_header({"facts": [], "arrays": {}}))
        == f"here: field facts has type list, expected dict{AGAIN}"
    )


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"dtype": "O"}, f"dtype is 'O', expected uint8, int32, uint32, float64{AGAIN}"),
        ({"dtype": 4}, f"field dtype has type int, expected str{AGAIN}"),
        ({"offset": 4}, f"offset is 4, expected a multiple of 64{AGAIN}"),
        ({"offset": -64}, f"offset is -64, expected a multiple of 64{AGAIN}"),
        ({"offset": True}, f"field offset has type bool, expected int{AGAIN}"),
        ({"count": 0}, f"count is 0, expected at least 1{AGAIN}"),
        ({"count": -1}, f"count is -1, expected at least 1{AGAIN}"),
        ({"count": 65}, f"ends at byte 260, but the file has 256 bytes for arrays{AGAIN}"),
        ({"offset": 1 << 80}, f"ends at byte {(1 << 80) + 4}, but the file has 256 bytes for arrays{AGAIN}"),
        ({"count": 1 << 80}, f"ends at byte {1 << 82}, but the file has 256 bytes for arrays{AGAIN}"),
    ],
)
def test_arrays_that_are_not_in_the_file(entry: dict[str, Any], fault: str) -> None:
    good = {"dtype": "int32", "offset": 0, "count": 1}
    assert (
        refusal(with_header({"facts": {}, "arrays": {"a": {**good, **entry}}})) == f"here: arrays: a: {fault}"
    )


def test_arrays_that_overlap() -> None:
    arrays = {
        "a": {"dtype": "int32", "offset": 64, "count": 17},
        "b": {"dtype": "int32", "offset": 128, "count": 1},
    }
    assert refusal(with_header({"facts": {}, "arrays": arrays})) == f"here: arrays: a and b overlap{AGAIN}"


def set_all(value: float) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    return lambda array: np.full_like(array, value)


LEAVES = "a step of the trie leaves its arrays"


@pytest.mark.parametrize(
    ("kind", "name", "change", "fault"),
    [
        ("Unigram", "base", None, "has no array 'base'"),
        ("Unigram", "base", np.uint32, "array 'base' is uint32, expected int32"),
        ("WordPiece", "base", set_all(-1), LEAVES),
        ("WordPiece", "base", set_all(2**31 - 1), LEAVES),
        ("WordPiece", "base", lambda array: array + 1, LEAVES),
        ("WordPiece", "symbols", set_all(-1), LEAVES),
        ("WordPiece", "symbols", set_all(2**31 - 1), LEAVES),
        ("WordPiece", "symbol_pages", set_all(-1), "an element of 'symbol_pages' points outside 'symbols'"),
        (
            "WordPiece",
            "symbol_pages",
            set_all(1 << 20),
            "an element of 'symbol_pages' points outside 'symbols'",
        ),
        (
            "WordPiece",
            "symbol_pages",
            lambda array: array[1:],
            "array 'symbol_pages' has 4351 elements, expected 4352",
        ),
        (
            "WordLevel",
            "symbols",
            lambda array: array[:255],
            "an element of 'symbol_pages' points outside 'symbols'",
        ),
        (
            "WordPiece",
            "check",
            lambda array: np.arange(len(array), dtype=np.int32),
            "a step of the trie is one by symbol 0",
        ),
        ("Unigram", "score", lambda array: array[:1], "a piece has the id 260, but there are 1 scores"),
        ("Unigram", "score", set_all(np.nan), "a score is not a number from -1e+200 to 1e+200"),
        ("Unigram", "score", set_all(np.inf), "a score is not a number from -1e+200 to 1e+200"),
        ("Unigram", "score", set_all(-1e300), "a score is not a number from -1e+200 to 1e+200"),
    ],
)
def test_arrays_that_do_not_fit_a_model(kind: str, name: str, change: Any, fault: str) -> None:
    facts, arrays = facts_and_arrays(kind)
    if change is None:
        del arrays[name]
    elif change is np.uint32:
        arrays[name] = arrays[name].astype(change)
    else:
        arrays[name] = change(arrays[name])
    assert refusal(pack_vocabulary(facts, arrays)) == f"here: {fault}{AGAIN}"


@pytest.mark.parametrize("name", ["check", "token"])
def test_arrays_of_a_trie_have_one_length(name: str) -> None:
    facts, arrays = facts_and_arrays("WordPiece")
    size = len(arrays[name])
    arrays[name] = arrays[name][1:]
    fault = f"here: array '{name}' has {size - 1} elements, expected {size}{AGAIN}"
    assert refusal(pack_vocabulary(facts, arrays)) == fault


@pytest.mark.parametrize(
    ("kind", "name", "value", "fault"),
    [
        (
            "Unigram",
            "type",
            "GPT",
            f"the model is of type 'GPT', expected BPE, Unigram, WordLevel, WordPiece{AGAIN}",
        ),
        ("Unigram", "unk_id", -1, f"unk_id is -1, expected a token id from 0 to 2147483647{AGAIN}"),
        ("WordLevel", "unk_id", 2**31, f"unk_id is {2**31}, expected a token id from 0 to 2147483647{AGAIN}"),
        ("WordPiece", "unk_id", None, f"model: field unk_id has type NoneType, expected int{AGAIN}"),
        (
            "WordPiece",
            "continuing_subword_prefix",
            1,
            f"model: field continuing_subword_prefix has type int, expected str{AGAIN}",
        ),
        (
            "WordPiece",
            "max_input_chars_per_word",
            "1",
            f"model: field max_input_chars_per_word has type str, expected int{AGAIN}",
        ),
    ],
)
def test_facts_that_do_not_fit_a_model(kind: str, name: str, value: Any, fault: str) -> None:
    facts, arrays = facts_and_arrays(kind)
    facts["model"][name] = value
    assert refusal(pack_vocabulary(facts, arrays)) == f"here: {fault}"


def test_tokens_for_bytes_that_are_missing() -> None:
    facts, arrays = facts_and_arrays("Unigram")
    facts["model"]["byte_fallback"] = True
    arrays.pop("byte_ids", None)
    assert refusal(pack_vocabulary(facts, arrays)) == f"here: has no array 'byte_ids'{AGAIN}"


def damage_bytes(random: Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(random.choice([1, 1, 3, 20])):
        at = random.choice([random.randrange(len(damaged)), random.randrange(min(400, len(damaged)))])
        match random.randrange(4):
            case 0:
                damaged[at] ^= 1 << random.randrange(8)
            case 1:
                damaged[at : at + 4] = random.choice([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f"])
            case 2:
                del damaged[at:]
            case 3:
                damaged[at:at] = random.randbytes(random.randrange(1, 65))
        if len(damaged) < 24:
            break
    return bytes(damaged)


def damage_arrays(random: Random, facts: dict[str, Any], arrays: Arrays) -> bytes:
    """Return a file that is right as far as its checksum goes, with numbers that nobody would write."""
    arrays = {name: array.copy() for name, array in arrays.items()}
    size = len(arrays["base"])
    for _ in range(random.choice([1, 2, 10])):
        array = arrays[random.choice(list(arrays))]
        rows = random.sample(range(len(array)), random.choice([1, min(len(array), 30), len(array)]))
        if array.dtype == np.int32:
            values: list[float] = [
                random.choice([0, -1, 1, random.randrange(size), random.randrange(300), 2**31 - 1, -(2**31)])
            ]
            if random.random() < 0.5:
                values = [random.randrange(-1, size) for _ in rows]
        else:
            values = random.choices([0.0, 1e300, -1e200, 1e200, np.nan, np.inf])
        array[rows] = np.resize(np.array(values, dtype=array.dtype), len(rows))
    if random.random() < 0.1:
        facts = {
            "model": {
                **facts["model"],
                random.choice(list(facts["model"])): random.choice([0, 2**31, -1, "", None]),
            }
        }
    return pack_vocabulary(facts, arrays)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_or_works_within_bounds(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the bytes are: an ArtifactError, or ids of known number, together as one by one."""
    monkeypatch.setattr(blocks, "FEW", 1)  # words in blocks, few though they are
    random = Random(kind)
    opened, messages = 0, []
    for seed in range(1_000 * FUZZ):
        if seed % 50 == 0:
            tokenizer, source = make(kind, seed)
            facts, arrays = compile_model(tokenizer)
            words = [*source.words(6), "a" * 50]
            content = pack_vocabulary({"model": facts}, arrays)
        if seed % 3 == 0:
            damaged = damage_bytes(random, content)
            if seed % 2 and len(damaged) > 24:
                damaged = with_checksum(damaged[16:])
        else:
            damaged = damage_arrays(random, {"model": facts}, arrays)
        try:
            model = open_model(read_vocabulary(damaged, "here"))
        except ArtifactError as error:
            messages.append(str(error))
            continue
        opened += 1
        together = model.encode(words).lists()
        assert together == [model.encode_one(word) for word in words]
        assert all(0 < len(ids) <= len(word.encode()) for ids, word in zip(together, words, strict=True))
    assert opened > 100
    assert all(message.startswith("here: ") and "\n" not in message for message in messages)
