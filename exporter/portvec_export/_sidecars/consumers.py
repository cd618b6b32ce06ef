"""The files beside the graphs: tokenizer and configuration, where other runtimes look for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from portvec._artifact import format as fmt
from portvec._artifact.manifest import Head
from portvec_export._options import ExportOptions
from portvec_export._source.model import SourceModel

# The number for "no limit", where a consumer requires a number.
_UNLIMITED = 1_000_000


class _Token(NamedTuple):
    text: str
    id: int


def write_consumer_files(
    folder: Path, source: SourceModel, graphs: Sequence[str], options: ExportOptions
) -> None:
    """Write tokenizer.json and the configuration files of transformers and sentence-transformers.

    `graphs` are the paths of all graphs in the folder.
    """
    tokenizer_json = source.read_tokenizer_json()
    unk, pad = _unk_token(source), _pad_token(source, tokenizer_json)
    # Consumers let the post-processor add an UNK at either end, which the graph masks. That helps those that
    # drop the first and last token, and those that fail on a text without any token.
    limit = source.rules.max_length
    length = _UNLIMITED if limit is None else limit + (0 if unk is None else 2)
    special_tokens = {"pad_token": pad.text, **({} if unk is None else {"unk_token": unk.text})}

    tokenizer = _tokenizer(tokenizer_json, unk, pad, None if not limit else length)
    compact = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (folder / fmt.TOKENIZER).write_text(compact, encoding="utf-8")
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(length, special_tokens))
    _write_json(folder / "special_tokens_map.json", special_tokens)
    external = () if options.single_file else tuple(Path(graph).name for graph in graphs)
    _write_json(folder / "config.json", _config(source, length, pad, external))
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    pooling = {
        "word_embedding_dimension": source.dim,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
    }
    _write_json(folder / "modules.json", modules)
    if source.rules.prompts:
        prompts = {
            "prompts": source.rules.prompts,
            "default_prompt_name": source.rules.default_prompt_name,
        }
        _write_json(folder / "config_sentence_transformers.json", prompts)
    (folder / "1_Pooling").mkdir()
    _write_json(folder / "1_Pooling" / "config.json", pooling)


def _tokenizer(source: dict[str, Any], unk: _Token | None, pad: _Token, length: int | None) -> dict[str, Any]:
    """Return tokenizer.json with the padding, truncation and post-processor that consumers need."""
    padding = {
        "strategy": "BatchLongest",
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": pad.id,
        "pad_type_id": 0,
        "pad_token": pad.text,
    }
    truncation = {"direction": "Right", "max_length": length, "strategy": "LongestFirst", "stride": 0}
    return {
        **source,
        "post_processor": None if unk is None else _template(unk),
        "padding": padding,
        "truncation": None if length is None else truncation,
    }


def _tokenizer_config(length: int, special_tokens: dict[str, str]) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
        "padding_side": "right",
        "truncation_side": "right",
        "model_input_names": [fmt.INPUT_IDS, fmt.ATTENTION_MASK],
        **special_tokens,
    }


def _config(source: SourceModel, length: int, pad: _Token, external: Sequence[str]) -> dict[str, Any]:
    """Return config.json. `external` are the names of graphs with external data."""
    external_data = {"use_external_data_format": dict.fromkeys(external, True)} if external else {}
    return {
        # transformers has no class for static embeddings. The shapes fit a BERT without layers.
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": source.dim,
        "num_hidden_layers": 0,
        "num_attention_heads": 1,
        "intermediate_size": source.dim,
        "vocab_size": source.vectors.vocabulary_size,
        "max_position_embeddings": length,
        "type_vocab_size": 1,
        "pad_token_id": pad.id,
        "transformers.js_config": {"dtype": "fp32", **external_data},
        **({} if source.head is None else _classification(source.head.facts)),
    }


def _classification(head: Head) -> dict[str, Any]:
    """Return what text-classification pipelines read: the labels, and which activation the logits need."""
    problems = {
        "softmax": "single_label_classification",
        "sigmoid": "multi_label_classification",
        "identity": "regression",
    }
    names = [f"LABEL_{i}" for i in range(head.outputs)] if head.classes is None else map(str, head.classes)
    labels = dict(enumerate(names))
    return {
        "architectures": ["BertForSequenceClassification"],
        "problem_type": problems[head.activation],
        "id2label": labels,
        "label2id": {label: index for index, label in labels.items()},
    }


def _template(unk: _Token) -> dict[str, Any]:
    """Return the post-processor that puts an UNK at either end of a text."""
    special = {"SpecialToken": {"id": unk.text, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [special, first, special],
        "pair": [special, first, special, second, special],
        "special_tokens": {unk.text: {"id": unk.text, "ids": [unk.id], "tokens": [unk.text]}},
    }


def _pad_token(source: SourceModel, tokenizer_json: dict[str, Any]) -> _Token:
    """Return a padding token. Any of the vocabulary will do, as the graph masks it.

    One that is stored for padding need not be there, and consumers would add it, with an id of its own.
    """
    stored = tokenizer_json.get("padding")
    for name in (*([stored["pad_token"]] if stored else []), "[PAD]", "<pad>"):
        token_id = source.original.tokenizer.token_to_id(name)
        if token_id is not None:
            return _Token(name, token_id)
    return _unk_token(source) or _token(source, min(source.original.tokenizer.get_vocab().values()))


def _unk_token(source: SourceModel) -> _Token | None:
    unk_id = source.rules.unk_id
    return None if unk_id is None else _token(source, unk_id)


def _token(source: SourceModel, token_id: int) -> _Token:
    """Return the token with this id. A vocabulary may have gaps, so it is not a position in a list."""
    text = source.original.tokenizer.id_to_token(token_id)
    assert text is not None
    return _Token(text, token_id)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
