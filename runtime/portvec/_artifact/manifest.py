"""portvec.json, the manifest: what an artifact holds and where it came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from portvec._artifact import format as fmt

# The fields that version 1 does not have.
_SINCE_VERSION_2 = ("table_dim", "layers", "prompts", "default_prompt_name")
# The fields that are left out if they are empty.
_OPTIONAL = ("text_inputs",)


class FileRecord(NamedTuple):
    """Size in bytes and SHA-256 (hex) of one file of an artifact."""

    size: int
    sha256: str


class Source(NamedTuple):
    """The Model2Vec model that an artifact was made from.

    Attributes:
        id: Hub id, or the name of the local folder.
        revision: commit on the Hub; None for a local folder.
        subfolder: folder inside the repository or local folder; None for its root.
        sha256: SHA-256 (hex) of each file read, by its path in the source.
    """

    id: str
    revision: str | None
    subfolder: str | None
    sha256: dict[str, str]


class Cosine(NamedTuple):
    """Cosines between the embeddings of an artifact and those of its source's float32 table.

    Attributes:
        texts: number of texts compared.
        min: the lowest cosine.
        mean: the mean cosine.
    """

    texts: int
    min: float
    mean: float


class Quality(NamedTuple):
    """What a smaller table costs.

    Attributes:
        conformance: on the recorded texts.
        paragraphs: on paragraphs of Python's language reference.
    """

    conformance: Cosine
    paragraphs: Cosine


class Variant(NamedTuple):
    """A further graph whose table has another type.

    Attributes:
        graph: its path; its external data is beside it.
        conformance: path of the recorded texts, with the embeddings of this graph.
        quality: what the type costs; None if the table holds the source's values exactly.
    """

    graph: str
    conformance: str
    quality: Quality | None


class TokenizerFacts(NamedTuple):
    """What a reader may want to know about tokenizer.json without parsing it.

    Attributes:
        model: its model's type: WordPiece, Unigram, BPE or WordLevel.
        not_compiled: why the artifact has no compiled vocabulary; None if it has one.
    """

    model: str
    not_compiled: str | None = None


class Head(NamedTuple):
    """The classifier or regressor of a pipeline.

    Attributes:
        activation: "softmax" (one class), "sigmoid" (any number of classes) or "identity" (regression).
        classes: labels in the order of the outputs; None for a regressor.
        outputs: number of outputs.
    """

    activation: str
    classes: list[Any] | None
    outputs: int


@dataclass(frozen=True)
class Manifest:
    """The manifest of an artifact; docs/format.md defines every field.

    Attributes:
        source: the model it was made from.
        reference: package whose ids and vectors the artifact reproduces, and its version if it computed those
            that are recorded.
        dim: length of an embedding.
        table_dim: length of a token vector.
        dtype: element type of the stored table; embeddings are float32 whatever it is.
        vocabulary_size: token ids are 0 to vocabulary_size - 1.
        normalize: whether means have unit length, which are the embeddings if there are no layers.
        max_length: tokens kept of a text, counting UNK; None keeps all.
        max_characters: characters (code points) kept before tokenization; None keeps all.
        unk_id: token id that never contributes; None if the tokenizer has no unknown token.
        vocabulary_quantization: number of vectors that the token ids share; None if each id has its own.
        tokenizer: facts about tokenizer.json.
        head: the classifier or regressor of a pipeline; None for an embedding model.
        layers: what means pass through to become embeddings, in order; `describe_layers` puts it in words.
        quality: what the table's type costs; None if it holds the source's values exactly.
        prompts: texts to put before others, by name.
        default_prompt_name: the one that is used unless another is asked for; None for none.
        variants: further graphs by the type of their table, for other runtimes.
        text_inputs: paths of the graphs that tokenize, by what they take: "strings" or "codepoints".
        files: size and hash of each file except the manifest and the model card, by path in the folder.
    """

    source: Source
    reference: str
    dim: int
    table_dim: int
    dtype: str
    vocabulary_size: int
    normalize: bool
    max_length: int | None
    max_characters: int | None
    unk_id: int | None
    vocabulary_quantization: int | None
    tokenizer: TokenizerFacts
    head: Head | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)
    quality: Quality | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    variants: dict[str, Variant] = field(default_factory=dict)
    text_inputs: dict[str, str] = field(default_factory=dict)
    files: dict[str, FileRecord] = field(default_factory=dict)

    @property
    def format_version(self) -> int:
        """The lowest version whose readers do not misread the artifact: 2 with layers or prompts, else 1."""
        return 2 if self.layers or self.prompts else 1

    @property
    def semantics(self) -> str:
        """How the model was read, as the option `semantics` calls it."""
        if self.reference == fmt.SENTENCE_TRANSFORMERS:
            return fmt.SENTENCE_TRANSFORMERS
        return "projector" if self.layers else "model2vec"

    @property
    def verified_against(self) -> str:
        """What computed the recorded ids and vectors, in words."""
        if self.reference == fmt.SENTENCE_TRANSFORMERS:  # which the exporter does not run
            return f"the rules of {self.reference}"
        return self.reference

    @property
    def size(self) -> int:
        """Bytes of all files that it lists."""
        return sum(record.size for record in self.files.values())

    def to_json(self) -> str:
        """Return the manifest as the text of portvec.json."""
        version = self.format_version
        values = {
            each.name: _to_json(getattr(self, each.name))
            for each in fields(self)
            if (version > 1 or each.name not in _SINCE_VERSION_2)
            and (each.name not in _OPTIONAL or getattr(self, each.name))
        }
        document = {"format": fmt.FORMAT_NAME, "format_version": version, **values}
        return json.dumps(document, indent=2) + "\n"


def _to_json(value: Any) -> Any:
    """Return a value of the manifest with JSON objects for named tuples, which are quicker to define."""
    if isinstance(value, dict):
        return {key: _to_json(each) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _to_json(value._asdict())
    return value
