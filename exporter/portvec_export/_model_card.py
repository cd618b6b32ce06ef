"""The artifact's README.md."""

from __future__ import annotations

import json

from portvec import _format as fmt
from portvec._manifest import Manifest


def model_card(manifest: Manifest, language: str | list[str] | None) -> str:
    """Return a model card with front matter for the Hub and the ways to use the artifact."""
    source = manifest.source
    front = {
        "library_name": "onnx",
        "tags": ["model2vec", "static-embeddings", "embeddings", "onnx", "portvec"],
    }
    if "/" in source.id:
        front["base_model"] = source.id
    if language:
        front["language"] = language
    matter = "\n".join(f"{key}: {json.dumps(value)}" for key, value in front.items())
    revision = f" at revision `{source.revision}`" if source.revision else ""
    unit = "unit length" if manifest.normalize else "not normalized"
    limit = "no limit" if manifest.max_length is None else f"the first {manifest.max_length} tokens"
    return f"""---
{matter}
---

# {source.id.split("/")[-1]}, exported

The Model2Vec model `{source.id}`{revision} as an ONNX graph with its tokenizer, made by portvec and
checked against {manifest.reference}: the same token ids, the same vectors.

| what | value |
|---|---|
| embedding | {manifest.dim} x float32, {unit} |
| vocabulary | {manifest.vocabulary_size:,} tokens, table in {manifest.dtype} |
| of a text, uses | {limit} |

With portvec:

```python
from portvec import StaticEmbedder

embedder = StaticEmbedder.load("path/to/this/folder")
vectors = embedder.encode(["a text", "another text"])  # float32 (2, {manifest.dim})
```

With onnxruntime and tokenizers alone:

```python
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("{fmt.TOKENIZER}")
session = onnxruntime.InferenceSession("{fmt.GRAPH}")
encodings = tokenizer.encode_batch(["a text", "another text"])
vectors = session.run(
    ["{fmt.SENTENCE_EMBEDDING}"],
    {{
        "{fmt.INPUT_IDS}": np.array([e.ids for e in encodings], dtype=np.int64),
        "{fmt.ATTENTION_MASK}": np.array([e.attention_mask for e in encodings], dtype=np.int64),
    }},
)[0]
```

`{fmt.LAST_HIDDEN_STATE}`, the first output, repeats the finished vector at every position, so mean and CLS
pooling both return it. `portvec verify .` re-checks the recorded vectors on your device.
"""
