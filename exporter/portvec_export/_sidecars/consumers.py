"""The files beside the graph: tokenizer and configuration, as other runtimes look for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from portvec._artifact import format as fmt
from portvec._artifact.manifest import Head
from portvec_export._source.model import SourceModel

# What "no limit" is written as where a consumer insists on a number.
_UNLIMITED = 1_000_000


def write_consumer_files(folder: Path, source: SourceModel, *, graphs: list[str], single_file: bool) -> None:
    """Write tokenizer.json and the configuration files of transformers and sentence-transformers.

    `graphs` are the paths of all graphs in the folder.
    """
    tokenizer = json.loads(source.tokenizer_path.read_text(encoding="utf-8"))
    unk = _token(source, source.static_model.unk_token_id)
    pad = _pad_token(source, tokenizer)
    dim = source.static_model.dim
    # Consumers let the post-processor add an UNK at either end, which the graph masks: that saves
    # those that drop the first and last token, and those that fail on a text without any token.
    added = 0 if unk is None else 2
    limit = source.static_model.max_length
    length = _UNLIMITED if limit is None else limit + added

    tokenizer["post_processor"] = None if unk is None else _template(*unk)
    tokenizer["padding"] = {
        "strategy": "BatchLongest",
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": pad[1],
        "pad_type_id": 0,
        "pad_token": pad[0],
    }
    tokenizer["truncation"] = limit and {
        "direction": "Right",
        "max_length": length,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    special_tokens = {"pad_token": pad[0], **({} if unk is None else {"unk_token": unk[0]})}
    config: dict[str, Any] = {
        # transformers has no class for static embeddings; a BERT without layers is what the shapes fit.
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": dim,
        "num_hidden_layers": 0,
        "num_attention_heads": 1,
        "intermediate_size": dim,
        "vocab_size": source.vocabulary_size,
        "max_position_embeddings": length,
        "type_vocab_size": 1,
        "pad_token_id": pad[1],
        "transformers.js_config": {
            "dtype": "fp32",
            **(
                {}
                if single_file
                else {"use_external_data_format": {Path(graph).name: True for graph in graphs}}
            ),
        },
    }
    if source.head is not None:
        config |= _classification(source.head.head)
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
        "padding_side": "right",
        "truncation_side": "right",
        "model_input_names": [fmt.INPUT_IDS, fmt.ATTENTION_MASK],
        **special_tokens,
    }
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    pooling = {
        "word_embedding_dimension": dim,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
    }
    compact = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (folder / fmt.TOKENIZER).write_text(compact, encoding="utf-8")
    _write_json(folder / "tokenizer_config.json", tokenizer_config)
    _write_json(folder / "special_tokens_map.json", special_tokens)
    _write_json(folder / "config.json", config)
    _write_json(folder / "modules.json", modules)
    (folder / "1_Pooling").mkdir()
    _write_json(folder / "1_Pooling" / "config.json", pooling)


def _classification(head: Head) -> dict[str, Any]:
    """What text-classification pipelines read: the labels, and which activation the logits want."""
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


def _template(unk: str, unk_id: int) -> dict[str, Any]:
    special = {"SpecialToken": {"id": unk, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [special, first, special],
        "pair": [special, first, special, second, special],
        "special_tokens": {unk: {"id": unk, "ids": [unk_id], "tokens": [unk]}},
    }


def _pad_token(source: SourceModel, tokenizer: dict[str, Any]) -> tuple[str, int]:
    """Return a padding token and its id; any will do, as the graph masks it."""
    if stored := tokenizer.get("padding"):
        return stored["pad_token"], stored["pad_id"]
    for name in ("[PAD]", "<pad>"):
        token_id = source.static_model.tokenizer.token_to_id(name)
        if token_id is not None:
            return name, token_id
    unk = _token(source, source.static_model.unk_token_id)
    return unk or (source.static_model.tokens[0], 0)


def _token(source: SourceModel, token_id: int | None) -> tuple[str, int] | None:
    if token_id is None:
        return None
    return source.static_model.tokens[token_id], token_id


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
