"""Random models with small alphabets, in which ties, unknown characters and duplicates are frequent."""

from __future__ import annotations

from random import Random
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordLevel, WordPiece

# A NUL, a lone combining mark, an astral character and the last code point are letters like any other.
_LETTERS = "abc\0\u0301é漢\U0001f600\U0010ffff"
_UNKNOWN = "xyz\u3042\U0001f9ff"


class Vocabularies:
    """A source of pieces, words and models."""

    def __init__(self, seed: int) -> None:
        """Choose the letters that pieces and words are made of."""
        self._random = random = Random(seed)
        self._letters = random.sample(_LETTERS, random.randint(1, 4))
        self._longest = random.choice([2, 3, 5, 12])

    def piece(self) -> str:
        return "".join(self._random.choices(self._letters, k=self._random.randint(1, self._longest)))

    def words(self, count: int) -> list[str]:
        """Return words with known and unknown characters, and pieces in them, the unknown one too."""
        random = self._random
        parts = [*self._letters, *_UNKNOWN, "<unk>", "<0x61>", self.piece(), self.piece()]
        weights = [6] * len(self._letters) + [random.choice([0.2, 2])] * (len(parts) - len(self._letters))
        return [
            "".join(random.choices(parts, weights, k=random.choice([1, 2, 3, 8, 30]))) for _ in range(count)
        ]

    def unigram(self) -> Tokenizer:
        random = self._random
        pieces = [self.piece() for _ in range(random.choice([1, 5, 30, 200]))]
        if random.random() < 0.3:
            pieces += self._letters
        if random.random() < 0.3:
            pieces += ["", *random.choices(["<unk><unk>", "xy", "x", "<unk>x", "<unk>"], k=2)]
        with_bytes = random.random() < 0.4
        if with_bytes:
            spelled = [f"<0x{byte:02X}>" for byte in range(256)]
            pieces += spelled if random.random() < 0.7 else random.sample(spelled, 200)
        pieces += random.choices(pieces, k=random.choice([0, 3]))  # of duplicates, the last counts
        random.shuffle(pieces)
        unk_id = random.randint(0, len(pieces))
        pieces.insert(unk_id, random.choice(["<unk>", "<unk>", "<unk>", self.piece(), "x", ""]))
        scores = self._scores(len(pieces))
        vocabulary = list(zip(pieces, scores, strict=True))
        return Tokenizer(Unigram(vocabulary, unk_id, with_bytes))

    def _scores(self, count: int) -> list[float]:
        random = self._random
        choices: list[list[float]] = [
            [0.0],
            [-1.0, -2.0],
            [-1.0, -2.0, -3.0, 0.0],
            [100.0, 50.0],  # an unknown character has a score above 0
            [-0.1, -0.2, -0.3],  # sums that depend on their order
            [random.uniform(-15, 0) for _ in range(count)],
            [random.uniform(-1e-3, 1e18) for _ in range(count)],
        ]
        return random.choices(random.choice(choices), k=count)

    def wordpiece(self) -> Tokenizer:
        random = self._random
        prefix = random.choice(["##", "##", "", "a", "ab", "\0", "#" * 20])
        pieces = [self.piece() for _ in range(random.choice([1, 5, 30, 200]))]
        pieces += [prefix + piece for piece in pieces if random.random() < random.choice([0, 0.5, 1])]
        vocabulary = self._number(
            [*pieces, "<unk>", *random.choices(["", "x", "##x"], k=random.choice([0, 1]))]
        )
        longest = random.choice([0, 1, 5, 30, 100, 2**63])
        return Tokenizer(
            WordPiece(
                vocabulary,
                unk_token=random.choice(["<unk>", pieces[0]]),
                max_input_chars_per_word=longest,
                continuing_subword_prefix=prefix,
            )
        )

    def wordlevel(self) -> Tokenizer:
        vocabulary = self._number(["<unk>", *(self.piece() for _ in range(self._random.choice([1, 5, 30])))])
        return Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))

    def _number(self, pieces: list[str]) -> dict[str, int]:
        """Return ids with gaps, in no order."""
        ids = self._random.sample(range(3 * len(pieces)), len(pieces))
        return dict(zip(pieces, ids, strict=True))


def make(kind: str, seed: int) -> tuple[Tokenizer, Vocabularies]:
    """Return a tokenizer whose model is of a kind, and where words for it come from."""
    source = Vocabularies(seed)
    maker: Any = getattr(source, kind.lower())
    return maker(), source
