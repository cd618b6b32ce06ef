"""Proving, at export, that a graph gives the token ids of its tokenizer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise, product
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer

from portvec._failures import is_failure
from portvec._inference.onnxruntime import onnxruntime as ort
from portvec._inference.text_graph import lay_out_code_points
from portvec._itertools import batched
from portvec._messages import fold_lines
from portvec._tokenization.library import read_parts
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import OPSET
from portvec_export._text_input.assemble import add_tokenizer
from portvec_export._text_input.errors import NotExpressible

_INPUT: Final = "codepoints"
# All but surrogates, which are no characters.
CODE_POINTS = np.delete(np.arange(0x110000, dtype="<u4"), slice(0xD800, 0xE000))
# Code points that a run takes, and the texts of a batch, which are sorted by length.
_CHARACTERS: Final = 1 << 16
_TEXTS: Final = 1 << 13
# Pieces that a text holds, and random pairs of pieces.
_PIECES: Final = 16
_PAIRS: Final = 20_000
# No text shows all ids of a difference.
_SHOWN: Final = 60
# Code points that a text holds, each in a word of its own.
_TOGETHER: Final = 32
# Characters that normalizers and pre-tokenizers treat in a way of their own, alone or beside each other.
_HARD: Final = (
    "aZ\u00e9\u00df\u0130\u03a3\ufb01\u01c4 \t\n\r\0\x07\x85\xa0\u2003\u3000\u2028\u200b\u200c\u200d\ufeff"
    "\xad09\u0661\xb2\xbd.,!?'\"-_#@$+\\`\u2581\u2019\u3002\u0300\u0301\u0307\u0327\u0323\u0345\u05b0\u0903\u093c"
    "\u302e\u3099\u1100\u1161\u11a8\uac00\u6f22\u30ac\uff76\uff9e\u0e33\ufe0f\U0001f44d\U0001f3fd\U0001f1ef"
    "\U000e0041\ufffd\ue000\uffff\U0001d165\U0002a6d6\U0010ffff"
)


class GraphTokenizer:
    """A tokenizer as a graph, without limits."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Build the graph and load it.

        Raises:
            NotExpressible: the tokenizer has something that the graph cannot do exactly.
        """
        graph = Graph(OPSET)
        matrix = graph.input(_INPUT, np.int32, ["batch_size", "characters"])
        ids = add_tokenizer(graph, matrix, tokenizer, None)
        graph.output("ids", graph.identity(ids.ids), np.int32, ["ids"])
        graph.output("texts", graph.identity(ids.texts), np.int64, ["ids"])
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        self._session = ort.InferenceSession(graph.to_model().SerializeToString(), options)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts that are sorted by length, the longest last."""
        found: list[list[int]] = []
        width = max(1, *map(len, texts))
        for part in batched(texts, max(1, _CHARACTERS // width)):
            ids, owners = self._session.run(None, {_INPUT: lay_out_code_points(part)})
            bounds = np.searchsorted(owners, np.arange(len(part) + 1)).tolist()
            ids = ids.tolist()
            found += [ids[start:stop] for start, stop in pairwise(bounds)]
        return found


def check_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Compare the ids of a graph with those of `tokenizers`.

    That is done for every code point, alone and inside a word, for pairs of hard characters, for all pieces
    and pairs of some, for added tokens, and for `texts`. The tokenizer must not truncate.

    Raises:
        NotExpressible: the graph cannot have the tokenizer, or an id differs.
    """
    graph = GraphTokenizer(tokenizer)
    for batch in batched(chain(list_texts(tokenizer), texts), _TEXTS):
        ordered = sorted(batch, key=len)
        try:
            expected = tokenizer.encode_batch_fast(ordered, add_special_tokens=False)
        except BaseException as error:  # a library written in Rust may panic
            if not is_failure(error):
                raise
            why = fold_lines(error)
            raise NotExpressible(f"`tokenizers` itself fails on some texts ({why})") from error
        for text, got, encoding in zip(ordered, graph.encode(ordered), expected, strict=True):
            if got != encoding.ids:
                shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
                raise NotExpressible(f"the text {shown!a} would get other ids in the graph")


def list_texts(tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the texts that every graph is proven on."""
    characters = CODE_POINTS.tobytes().decode("utf-32-le")
    yield ""
    yield from characters
    for start in range(0, len(characters), _TOGETHER):
        yield "b a".join(["", *characters[start : start + _TOGETHER], ""])
    yield from map("".join, product(_HARD, repeat=2))
    yield from map("".join, product("a ", _HARD, _HARD, "b"))
    generator = random.Random(0)
    yield from ("".join(generator.choices(_HARD, k=generator.randint(3, 12))) for _ in range(_PAIRS))
    pieces = sorted(tokenizer.get_vocab(with_added_tokens=False))
    yield from (" ".join(some) for some in batched(pieces, _PIECES))
    yield from ("".join(generator.choices(pieces, k=2)) for _ in range(_PAIRS))
    yield from _list_added(read_parts(tokenizer)["added_tokens"])


def _list_added(tokens: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield texts with added tokens in them, and with what is almost one."""
    contents = [token["content"] for token in tokens]
    for content in contents:
        for form in (content, content.upper(), content.lower(), content.title(), content[:-1], content[1:]):
            yield from (form, f"a{form}b", f" {form} ", f"a {form}, {form}{form}", f"\u00e9{form}\u0301")
    generator = random.Random(1)
    some = [*contents, " ", "a", "\u00c9", "\u0301", "\n"]
    for _ in range(2000 if contents else 0):
        yield "".join(generator.choices(some, k=generator.randint(2, 8)))
