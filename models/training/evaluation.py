"""What the model is measured on. The test set of STS-B and Banking77 must not be used to choose anything."""

from __future__ import annotations

import csv
import hashlib
import io
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from training.texts import Pair

Rows: TypeAlias = "npt.NDArray[np.float32]"
# Returns embeddings of unit length, (n, dim).
Embed: TypeAlias = Callable[[Sequence[str]], Rows]


# Files by their names here: where they can be fetched, and their SHA-256. STS-B has the licence CC BY-SA 4.0,
# Banking77 CC BY 4.0.
_STSB = (
    "https://raw.githubusercontent.com/PhilipMay/stsb-multi-mt/30de0dec4ee199b7f42351d3f1a0b19592955385/data/"
)
_BANKING = (
    "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/"
    "57ec275d8078af65b7731c2a98be812d844a6d6b/banking_data/"
)
_FILES = {
    "stsb-en-dev.csv": (
        _STSB + "stsb-en-dev.csv",
        "d29586e96558c4eb52cf5ea5d14e9c24d3bf0e44f111b017caba43a5adc33226",
    ),
    "stsb-en-test.csv": (
        _STSB + "stsb-en-test.csv",
        "11523b625219e94e9ca05d2816b5f02cac1614c5894fe657376fa0806378d053",
    ),
    "banking-train.csv": (
        _BANKING + "train.csv",
        "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
    ),
    "banking-test.csv": (
        _BANKING + "test.csv",
        "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
    ),
}
# The token id that the bundled model leaves out.
UNK = 1


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return Spearman's rank correlation; equal values share the mean of their ranks."""

    def rank(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        ranks: npt.NDArray[np.float64] = (ends - (counts - 1) / 2)[inverse]
        return ranks

    return float(np.corrcoef(rank(first), rank(second))[0, 1])


def embed_with(table: Rows, tokenizer: Tokenizer) -> Embed:
    """Return what embeds texts with a table (V, dim) and the bundled model's tokenizer, as model2vec does."""

    def embed(texts: Sequence[str]) -> Rows:
        encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ids = [[token_id for token_id in encoding.ids if token_id != UNK] for encoding in encodings]
        sums = np.stack([table[each].sum(axis=0) for each in ids])
        return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-32), np.float32)

    return embed


class Scores(dict[str, float]):
    """Scores in percent, by what was measured."""

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.2f}" for name, value in self.items())


class Evaluation:
    """Scores functions that embed texts."""

    def __init__(self, files: dict[str, list[list[str]]], held_out: Sequence[Pair]) -> None:
        self._files = files
        self._held_out = held_out

    @classmethod
    def open(cls, folder: Path, held_out: Sequence[Pair]) -> Evaluation:
        """Fetch the files that `folder` lacks. Without them, only retrieval is measured."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            files = {name: _read(folder / name, *source) for name, source in _FILES.items()}
        except OSError as error:
            print(f"evaluation: only retrieval, because STS-B and Banking77 cannot be fetched ({error})")
            print(f"evaluation: put {', '.join(_FILES)} into {folder} for the rest; _FILES says from where")
            files = {}
        return cls(files, held_out)

    def develop(self, embed: Embed) -> Scores:
        """Return the one score that may be looked at while training."""
        return Scores({"STS-B dev": self._sts(embed, "stsb-en-dev.csv")} if self._files else {})

    def score(self, embed: Embed) -> Scores:
        """Return all scores."""
        scores = self.develop(embed)
        if self._files:
            scores["STS-B test"] = self._sts(embed, "stsb-en-test.csv")
            scores["Banking77 1-NN"] = self._banking(embed)
        first, ten = self._retrieval(embed)
        return Scores({**scores, "R@1": first, "R@10": ten})

    def _sts(self, embed: Embed, name: str) -> float:
        """Return Spearman's correlation between cosines and human judgements."""
        rows = self._files[name]
        first, second = (embed([row[column] for row in rows]) for column in (0, 1))
        return 100 * spearman((first * second).sum(axis=1), [float(row[2]) for row in rows])

    def _retrieval(self, embed: Embed) -> tuple[float, float]:
        """Return how often a first sentence finds the rest of its paragraph: first, and in the first ten."""
        queries = embed([pair.first for pair in self._held_out])
        documents = embed([pair.second for pair in self._held_out])
        ranks = []
        for start in range(0, len(queries), 1000):
            scores = queries[start : start + 1000] @ documents.T
            own = scores[np.arange(len(scores)), np.arange(start, start + len(scores))]
            ranks.append((scores > own[:, None]).sum(axis=1))
        found = np.concatenate(ranks)
        return 100 * float((found < 1).mean()), 100 * float((found < 10).mean())

    def _banking(self, embed: Embed) -> float:
        """Return how often the nearest training question has the intent of the question."""
        known, asked = (self._files[f"banking-{part}.csv"][1:] for part in ("train", "test"))
        scores = embed([row[0] for row in asked]) @ embed([row[0] for row in known]).T
        intents = [known[index][1] for index in scores.argmax(axis=1)]
        return 100 * float(np.mean([intent == row[1] for intent, row in zip(intents, asked, strict=True)]))


def _read(path: Path, url: str, sha256: str) -> list[list[str]]:
    """Return the rows of a CSV file, fetched if it is not there.

    Raises:
        OSError: it cannot be fetched, or has other content.
    """
    if not path.exists():
        with urllib.request.urlopen(url, timeout=30) as response:
            path.write_bytes(response.read())
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise OSError(f"{path} has other content than expected")
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
