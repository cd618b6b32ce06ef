"""Pairs of texts that mean something similar, from WordNet and from the paragraphs of manuals."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from training.sources import MANUALS, WORDNET

# SHA-256 of WordNet 3.0's files data.adj, data.adv, data.noun and data.verb, one after the other.
_WORDNET_SHA256 = "512500d3515c3ebb31bb9bce65910968272a93103d6d4687f99cefaa1f6e11ed"
# Hash of the pairs that the bundled model learnt from (`Corpus.sha256`).
_BUNDLED_SHA256 = "72c40da0ed108618ef2575a5f1a4c4e63ec634cf4822a538221f045ba35501f0"
# Paragraphs of manuals that are kept out of training, to measure retrieval with.
_HELD_OUT = 10_000
# Paragraphs to train with. More of them improve retrieval, and cost similarity.
_MOST_PARAGRAPHS = 20_000
_MOST_EXAMPLES = 3
_MOST_CHARACTERS = 1500
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_WORD = re.compile(r"[A-Za-z]{2,}")


class Pair(NamedTuple):
    """Two texts, and where they are from."""

    kind: str
    first: str
    second: str


class Corpus(NamedTuple):
    """The pairs to train with, and pairs of the same manuals that are kept out.

    Attributes:
        pairs: what to train with.
        held_out: what to measure retrieval with.
    """

    pairs: list[Pair]
    held_out: list[Pair]

    @property
    def sha256(self) -> str:
        """Hash of all pairs in their order, which tells whether two runs had the same texts."""
        lines = ("\t".join(pair) for pair in self.pairs + self.held_out)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def warn_of_bundled(self) -> None:
        """Say so if the bundled model has learnt from some of the pairs that are held out here."""
        if self.sha256 != _BUNDLED_SHA256:
            print(
                "texts: others than the bundled model's, because the packages are not the same; it has seen "
                "some paragraphs that are held out now, so its R@1 and R@10 are too high",
                flush=True,
            )

    def list_texts(self) -> list[str]:
        """Return each text to train with once, in an order that does not depend on where it is from."""
        texts = sorted({text for pair in self.pairs for text in (pair.first, pair.second)})
        random.Random(0).shuffle(texts)
        return texts


def read_corpus(packages: Path) -> Corpus:
    """Return the pairs from the unpacked packages, the same ones in each run."""
    paragraphs: dict[str, str] = {}
    for name, pages in MANUALS.items():
        for paragraph in _read_paragraphs(packages / name / pages):
            paragraphs.setdefault(paragraph, name)
    parts = [(name, _split(paragraph[:_MOST_CHARACTERS])) for paragraph, name in paragraphs.items()]
    manuals = [Pair(name, *both) for name, both in parts if both is not None]
    random.Random(0).shuffle(manuals)
    held_out, known = manuals[:_HELD_OUT], manuals[_HELD_OUT : _HELD_OUT + _MOST_PARAGRAPHS]
    return Corpus(_read_wordnet(packages / WORDNET) + known, held_out)


def _read_wordnet(package: Path) -> list[Pair]:
    """Return pairs of the words of a synset and its gloss, and of its gloss and an example.

    Source of the layout: the manual page wndb(5WN) of WordNet 3.0.
    """
    pairs = []
    digest = hashlib.sha256()
    for part in ("adj", "adv", "noun", "verb"):
        content = (package / f"usr/share/wordnet/data.{part}").read_bytes()
        digest.update(content)
        for line in content.decode("ascii").splitlines():
            if line.startswith("  "):  # the licence
                continue
            fields, gloss = line.split(" | ", 1)
            columns = fields.split(" ")
            words = [re.sub(r"\(\w+\)$", "", columns[4 + 2 * i]) for i in range(int(columns[3], 16))]
            examples = re.findall(r'"([^"]+)"', gloss)
            meaning = re.split(r'[;:,]?\s*"', gloss.strip(), maxsplit=1)[0].strip(" ;")
            if not meaning:
                continue
            pairs.append(Pair("words", ", ".join(words).replace("_", " "), meaning))
            pairs += [Pair("example", meaning, each) for each in examples[:_MOST_EXAMPLES] if " " in each]
    if digest.hexdigest() != _WORDNET_SHA256:
        raise SystemExit(f"{package}: not WordNet 3.0 as Debian packages it; use Debian 12")
    return pairs


class _Paragraphs(HTMLParser):
    """Collects the text of each <p> of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._parts: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("p", "dd", "li", "pre", "table", "div", "h1", "h2", "h3"):
            self._end()
        if tag in ("p", "dd", "li"):
            self._parts = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "dd", "li", "ul", "div"):
            self._end()

    def handle_data(self, data: str) -> None:
        if self._parts is not None:
            self._parts.append(data)

    def _end(self) -> None:
        if self._parts:
            self.found.append(" ".join("".join(self._parts).split()))
        self._parts = None


def _read_paragraphs(pages: Path) -> Iterator[str]:
    """Yield the paragraphs of the HTML pages below a folder."""
    for path in sorted(pages.rglob("*.html*")):
        if path.is_symlink() or path.suffixes[-1] not in (".html", ".gz"):
            continue
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        parser = _Paragraphs()
        parser.feed(content.decode("utf-8", errors="replace"))
        yield from parser.found


def _split(paragraph: str) -> tuple[str, str] | None:
    """Return the first sentence and the rest of a paragraph, if both say something."""
    parts = _SENTENCE.split(paragraph, maxsplit=1)
    if len(parts) < 2 or any(len(_WORD.findall(part)) < 5 for part in parts):
        return None
    return parts[0], parts[1]
