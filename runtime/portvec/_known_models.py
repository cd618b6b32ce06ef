"""The catalogue: Model2Vec models on the Hub, and what public documents say of each.

`models/README.md` has it as a table, which `tests/tools/known_models_page.py` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_RESULTS = "MinishLab/model2vec results/README.md, commit c901407, 2026-05-29"
_RESULTS_2024 = "MinishLab/model2vec results/README.md, commit 01b9bbb, 2024-11-11"
_MTEB = "embeddings-benchmark/mteb model metadata, commit a905523, 2026-08-22"
_TURBOEMBED = 'ai-pipestream/turboembed, document "Static models" and recipes of the potion models'
_AUDIT = "roman-haidarov/static_embeddings docs/MODEL_AUDIT.md"
_GO_POTION = "trengrj/go-potion README"
_BLOG = 'Hugging Face blog, "Train 400x faster Static Embedding Models", 2025-01-15'
_SEMBLE = "MinishLab/semble benchmarks/README.md"
_README_2024 = "MinishLab/model2vec README of October 2024"
_SEEKSTONE = "shaqmughal/seekstone pull request 326"

# In the order in which the page numbers them.
SOURCES = (
    _RESULTS,
    _RESULTS_2024,
    _MTEB,
    _TURBOEMBED,
    _AUDIT,
    _GO_POTION,
    _BLOG,
    _SEMBLE,
    _README_2024,
    _SEEKSTONE,
)


@dataclass(frozen=True)
class Score:
    """A published score of a model, and the document that has it."""

    benchmark: str
    value: float
    source: str

    def __str__(self) -> str:
        digits = 2 if self.value > 1 else 3
        return f"{self.benchmark} {self.value:.{digits}f}"


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """What public documents say of a model on the Hub. None of it was verified by running the model.

    Compare only scores of the same benchmark. "MTEB" is the mean over English tasks, "MTEB retrieval" its
    retrieval part, "MTEB (2024)" another edition, and "MMTEB" the mean over tasks in many languages, all from
    0 to 100. "NanoBEIR" (English retrieval) and "code search" are NDCG@10, from 0 to 1.

    Attributes:
        id: the Hub id, for `portvec export` and `StaticEmbedder.load`.
        dim: length of an embedding.
        parameters: numbers in the table.
        rows: vectors in the table; None if no document says.
        tokenizer: "WordPiece" or "Unigram"; None if the kind was not verified.
        languages: such as "English" or "101 languages"; None if they were not verified.
        license: the model's own, as an SPDX identifier.
        description: what to expect, in a few words.
        scores: published scores, each with `benchmark`, `value` and `source`; empty if none was found.
        restrictions: what the model's training data may forbid; None if nothing is known.
        sources: the documents that state a fact, by the name of its attribute.
    """

    id: str
    dim: int
    parameters: int
    rows: int | None = None
    tokenizer: str | None = None
    languages: str | None = None
    license: str
    description: str
    scores: tuple[Score, ...] = ()
    restrictions: str | None = None
    sources: Mapping[str, tuple[str, ...]] = field(hash=False)

    @property
    def float32_mb(self) -> float:
        """Size of the table as float32, in units of 1e6 bytes. `dtype="float16"` halves it."""
        return self.parameters * 4 / 1e6


def known_models() -> list[KnownModel]:
    """Return the models on the Hub that portvec is known to read. It uses no network.

    Other models in a layout of Model2Vec can be read as well. A model's card on the Hub is authoritative.
    """
    return list(_MODELS)


# Sources that several models share.
_MTEB_FACTS = {"dim": (_MTEB,), "languages": (_MTEB,), "license": (_MTEB,)}
_TABLE_FACTS = {"rows": (_TURBOEMBED,), "tokenizer": (_TURBOEMBED,)}
_POTION = {**_MTEB_FACTS, **_TABLE_FACTS}
_UNLISTED = {**_TABLE_FACTS, "dim": (_TURBOEMBED,), "license": (_TURBOEMBED,)}
_STATIC = {**_MTEB_FACTS, "rows": (_AUDIT,), "tokenizer": (_AUDIT,), "description": (_BLOG,)}
_FIRST = {**_MTEB_FACTS, "parameters": (_MTEB,), "description": (_README_2024,)}

_MODELS = (
    KnownModel(
        id="minishlab/potion-base-2M",
        dim=64,
        parameters=29_528 * 64,
        rows=29_528,
        tokenizer="WordPiece",
        languages="English",
        license="MIT",
        description="the smallest",
        scores=(Score("MTEB (2024)", 44.77, _RESULTS_2024), Score("NanoBEIR", 0.367, _BLOG)),
        sources=_POTION,
    ),
    KnownModel(
        id="minishlab/potion-base-4M",
        dim=128,
        parameters=29_528 * 128,
        rows=29_528,
        tokenizer="WordPiece",
        languages="English",
        license="MIT",
        description="small",
        scores=(Score("MTEB (2024)", 48.23, _RESULTS_2024), Score("NanoBEIR", 0.423, _BLOG)),
        sources=_POTION,
    ),
    KnownModel(
        id="minishlab/potion-base-8M",
        dim=256,
        parameters=29_528 * 256,
        rows=29_528,
        tokenizer="WordPiece",
        languages="English",
        license="MIT",
        description="small; where to start",
        scores=(
            Score("MTEB", 51.08, _RESULTS),
            Score("MTEB (2024)", 50.03, _RESULTS_2024),
            Score("NanoBEIR", 0.442, _BLOG),
        ),
        sources={**_POTION, "rows": (_TURBOEMBED, _AUDIT)},
    ),
    KnownModel(
        id="minishlab/potion-base-32M",
        dim=512,
        parameters=63_091 * 512,
        rows=63_091,
        tokenizer="WordPiece",
        languages="English",
        license="MIT",
        description="better than potion-base-8M",
        scores=(Score("MTEB", 52.13, _RESULTS), Score("MTEB retrieval", 32.67, _RESULTS)),
        sources=_POTION,
    ),
    KnownModel(
        id="minishlab/potion-retrieval-32M",
        dim=512,
        parameters=63_091 * 512,
        rows=63_091,
        tokenizer="WordPiece",
        languages="English",
        license="MIT",
        description="search",
        scores=(Score("MTEB retrieval", 35.06, _RESULTS),),
        restrictions="fine-tuned on MS MARCO, whose terms allow only non-commercial use",
        sources={**_POTION, "rows": (_TURBOEMBED, _AUDIT), "restrictions": (_TURBOEMBED,)},
    ),
    KnownModel(
        id="minishlab/potion-science-32M",
        dim=256,
        parameters=124_428 * 256,
        rows=124_428,
        tokenizer="WordPiece",
        license="MIT",
        description="scientific text",
        sources={**_UNLISTED, "rows": (_TURBOEMBED, _AUDIT), "description": (_GO_POTION,)},
    ),
    KnownModel(
        id="minishlab/potion-code-16M",
        dim=256,
        parameters=61_826 * 256,
        rows=61_826,
        tokenizer="WordPiece",
        license="MIT",
        description="code, row mapping and token weights; BM25 has 0.675 in code search",
        scores=(Score("code search", 0.650, _SEMBLE),),
        sources={**_UNLISTED, "description": (_SEMBLE,)},
    ),
    KnownModel(
        id="minishlab/potion-code-16M-v2",
        dim=256,
        parameters=63_457 * 256,
        rows=63_457,
        tokenizer="WordPiece",
        languages="English, code",
        license="MIT",
        description="code; published in float16",
        sources={**_POTION, "languages": (_MTEB, _GO_POTION), "description": (_TURBOEMBED,)},
    ),
    KnownModel(
        id="minishlab/potion-multilingual-128M",
        dim=256,
        parameters=500_353 * 256,
        rows=500_353,
        tokenizer="Unigram",
        languages="101 languages",
        license="MIT",
        description="better at classification and clustering",
        scores=(Score("MMTEB", 47.31, _RESULTS),),
        sources={**_POTION, "languages": (_RESULTS, _MTEB)},
    ),
    KnownModel(
        id="sentence-transformers/static-retrieval-mrl-en-v1",
        dim=1024,
        parameters=30_522 * 1024,
        rows=30_522,
        tokenizer="WordPiece",
        languages="English",
        license="Apache-2.0",
        description="search; trained to be shortened",
        scores=(Score("MTEB retrieval", 34.95, _RESULTS), Score("NanoBEIR", 0.503, _BLOG)),
        restrictions="trained on MS MARCO, whose terms allow only non-commercial use",
        sources={**_STATIC, "restrictions": (_MTEB, _TURBOEMBED, _BLOG)},
    ),
    KnownModel(
        id="sentence-transformers/static-similarity-mrl-multilingual-v1",
        dim=1024,
        parameters=105_879 * 1024,
        rows=105_879,
        tokenizer="WordPiece",
        languages="50 languages",
        license="Apache-2.0",
        description="similarity; trained to be shortened; mteb lists 49 of its languages",
        scores=(Score("MMTEB", 47.24, _RESULTS),),
        sources={**_STATIC, "languages": (_RESULTS,), "description": (_MTEB, _BLOG)},
    ),
    KnownModel(
        id="minishlab/M2V_base_output",
        dim=256,
        parameters=7_560_000,
        languages="English",
        license="MIT",
        description="older; subword tokenizer",
        scores=(
            Score("MTEB", 47.96, _RESULTS),
            Score("MTEB (2024)", 45.34, _RESULTS_2024),
            Score("NanoBEIR", 0.385, _BLOG),
        ),
        sources=_FIRST,
    ),
    KnownModel(
        id="minishlab/M2V_base_glove",
        dim=256,
        parameters=102_000_000,
        languages="English",
        license="MIT",
        description="older; word-level tokenizer",
        scores=(Score("MTEB (2024)", 47.60, _RESULTS_2024), Score("NanoBEIR", 0.408, _BLOG)),
        sources=_FIRST,
    ),
    KnownModel(
        id="minishlab/M2V_base_glove_subword",
        dim=256,
        parameters=103_000_000,
        languages="English",
        license="MIT",
        description="older; subword tokenizer",
        scores=(Score("MTEB (2024)", 46.69, _RESULTS_2024), Score("NanoBEIR", 0.391, _BLOG)),
        sources=_FIRST,
    ),
    KnownModel(
        id="minishlab/M2V_multilingual_output",
        dim=256,
        parameters=501_054 * 256,
        rows=501_054,
        tokenizer="WordPiece",
        languages="101 languages",
        license="MIT",
        description="older; mteb lists only English",
        scores=(Score("MMTEB", 42.13, _RESULTS),),
        sources={
            "dim": (_MTEB,),
            "rows": (_SEEKSTONE,),
            "tokenizer": (_SEEKSTONE,),
            "languages": (_SEEKSTONE,),
            "license": (_MTEB,),
            "description": (_MTEB,),
        },
    ),
)
