"""Tokenizers that are valid JSON but may make the `tokenizers` library fail, or panic."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from tokenizers import Tokenizer

State = dict[str, Any]

_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**32 - 1, 2**63 - 1, 2**64, 1.5, -0.0, 1e300),
    *("", "\0", "a", "[UNK]", "(", "▁", " ", "a" * 50, "\U0010ffff", "Left", "Isolated", "first", "never"),
    *([], {}, [0], [["a", "b"]], [["a"]], ["a b"], [["", ""]], ["a"]),
    *({"Regex": "("}, {"Regex": ""}, {"Regex": "(?=)"}, {"Regex": "\\b|$"}, {"String": ""}),
]


def _split(pattern: State, behavior: str = "Isolated", *, invert: bool = False) -> State:
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


_PRE_TOKENIZERS: list[State] = [
    *({"type": "FixedLength", "length": length} for length in (0, 1, 3)),
    _split({"Regex": ""}),
    _split({"Regex": "(?=a)"}, "MergedWithNext", invert=True),
    _split({"String": ""}, "Removed"),
    _split({"String": "a"}, "Contiguous", invert=True),
    {"type": "CharDelimiterSplit", "delimiter": "a"},
    {"type": "Digits", "individual_digits": True},
    {"type": "Punctuation", "behavior": "Contiguous"},
    *({"type": name} for name in ("UnicodeScripts", "BertPreTokenizer", "Whitespace", "WhitespaceSplit")),
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
]


def _charsmap(content: bytes) -> State:
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()}


_NORMALIZERS: list[State] = [
    *({"type": name} for name in ("NFC", "NFKD", "Lowercase", "Nmt", "StripAccents", "ByteLevel")),
    {"type": "Strip", "strip_left": True, "strip_right": True},
    *({"type": "Replace", "pattern": {"Regex": regex}, "content": "xx"} for regex in ("", "a*", "^", "$")),
    {"type": "Replace", "pattern": {"String": ""}, "content": "xx"},
    *({"type": "Prepend", "prepend": prefix} for prefix in ("", "▁")),
    *map(_charsmap, (b"", b"\0" * 40, b"\4\0\0\0\xff\xff\xff\xffab", b"\4\0\0\0\0\0\0\0", b"\xff\0\0\0")),
]


def damaged(tokenizer: Tokenizer) -> st.SearchStrategy[str]:
    """Return tokenizer.json with some changes: fields, values, steps, bytes of a charsmap."""
    valid = json.loads(tokenizer.to_str())

    @st.composite
    def draw_state(draw: st.DrawFn) -> str:
        state = copy.deepcopy(valid)
        for _ in range(draw(st.integers(1, 2))):
            change = draw(st.sampled_from([_change_steps, _change_field, _change_charsmap]))
            change(draw, state)
        return json.dumps(state)

    return draw_state()


def _change_steps(draw: st.DrawFn, state: State) -> None:
    kind, key, steps = draw(
        st.sampled_from(
            [
                ("normalizer", "normalizers", _NORMALIZERS),
                ("pre_tokenizer", "pretokenizers", _PRE_TOKENIZERS),
            ]
        )
    )
    drawn = draw(st.lists(st.sampled_from(steps), max_size=3))
    state[kind] = {"type": "Sequence", key: copy.deepcopy(drawn)}


def _change_field(draw: st.DrawFn, state: State) -> None:
    *parents, name = draw(st.sampled_from(list(_paths(state))))
    holder: Any = state
    for parent in parents:
        holder = holder[parent]
    if draw(st.integers(0, 5)) == 0:
        del holder[name]
    else:
        holder[name] = copy.deepcopy(draw(st.sampled_from(_VALUES)))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each value is. Of a vocabulary, only the beginning."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in list(entries)[:20]:
            yield from _paths(inner, (*path, key))


def _change_charsmap(draw: st.DrawFn, state: State) -> None:
    steps = [state["normalizer"]] if isinstance(state.get("normalizer"), dict) else []
    if steps and isinstance(steps[0].get("normalizers"), list):
        steps = [step for step in steps[0]["normalizers"] if isinstance(step, dict)]
    steps = [step for step in steps if isinstance(step.get("precompiled_charsmap"), str)]
    if not steps:
        return
    try:
        content = bytearray(base64.b64decode(steps[0]["precompiled_charsmap"]))
    except ValueError:
        return
    content = content[: draw(st.integers(0, len(content)) | st.just(len(content)))]
    changes = st.tuples(st.integers(0, max(len(content) - 1, 0)), st.integers(0, 255))
    for place, byte in draw(st.lists(changes, max_size=100)) if content else ():
        content[place] = byte
    steps[0].update(_charsmap(bytes(content)))
