"""How to use an artifact, for its card: a snippet for each consumer. docs/consumers.md has more of them."""

from __future__ import annotations

from portvec._artifact import format as fmt
from portvec._artifact.manifest import Manifest

_TEXTS = '["a text", "another text"]'


def render_sections(manifest: Manifest) -> str:
    """Return the usage sections that fit the artifact."""
    parts = [_portvec(manifest)]
    if manifest.head is None:
        parts += [_milvus(manifest), _transformers_js(), _sentence_transformers()]
    parts.append(_onnxruntime(manifest))
    if manifest.text_inputs:
        parts.append(_text_input(manifest))
    return "\n\n".join([*parts, _VERIFY])


def _portvec(manifest: Manifest) -> str:
    shape = f"float32 (2, {manifest.dim})"
    embedder = f"""from portvec import StaticEmbedder

embedder = StaticEmbedder.load("owner/name")
vectors = embedder.encode({_TEXTS})  # {shape}
"""
    if manifest.head is None:
        code = embedder
    elif manifest.head.activation == "identity":
        code = f"""from portvec import StaticClassifier

projector = StaticClassifier.load("owner/name")
outputs = projector.predict({_TEXTS})  # float32 (2, {manifest.head.outputs})
"""
    else:
        code = f"""{embedder}
from portvec import StaticClassifier

classifier = StaticClassifier.load("owner/name")
labels = classifier.predict({_TEXTS})
"""
    return f"""## portvec

`owner/name` stands for this repository. The path of a folder with its files works too.

```python
{code}```"""


def _milvus(manifest: Manifest) -> str:
    return f"""## Milvus

```python
from portvec import Model2VecEmbeddingFunction

embed = Model2VecEmbeddingFunction("owner/name")
vectors = embed.encode_documents({_TEXTS})  # a list of float32 ({manifest.dim},)
query = embed.encode_queries(["a question"])[0]
```"""


def _transformers_js() -> str:
    return f"""## Transformers.js

```js
import {{ pipeline }} from "@huggingface/transformers";

const extract = await pipeline("feature-extraction", "owner/name");
const vectors = await extract({_TEXTS}, {{ pooling: "mean" }});
```"""


def _sentence_transformers() -> str:
    return f"""## sentence-transformers

Run `pip install 'sentence-transformers[onnx]<6'`, and fetch the files to the folder `model`:
`portvec pull owner/name -o model` or `hf download owner/name --local-dir model`.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("model", backend="onnx")
vectors = model.encode({_TEXTS})
```"""


def _onnxruntime(manifest: Manifest) -> str:
    output, result = (fmt.SENTENCE_EMBEDDING, "vectors") if manifest.head is None else (fmt.LOGITS, "logits")
    repeats = f"""

The first output, `{fmt.LAST_HIDDEN_STATE}`, repeats the finished vector at every position: mean, CLS and
last-token pooling all return it."""
    return f"""## onnxruntime alone

```python
import numpy as np
import onnxruntime
from huggingface_hub import snapshot_download
from tokenizers import Tokenizer

folder = snapshot_download("owner/name", local_dir="model")
tokenizer = Tokenizer.from_file(f"{{folder}}/{fmt.TOKENIZER}")
session = onnxruntime.InferenceSession(f"{{folder}}/{fmt.GRAPH}")
encodings = tokenizer.encode_batch({_TEXTS})
inputs = {{
    "{fmt.INPUT_IDS}": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
    "{fmt.ATTENTION_MASK}": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
}}
({result},) = session.run(["{output}"], inputs)
```{repeats if manifest.head is None else ""}"""


def _text_input(manifest: Manifest) -> str:
    output, result = (fmt.SENTENCE_EMBEDDING, "vectors") if manifest.head is None else (fmt.LOGITS, "logits")
    kind = fmt.STRINGS if fmt.STRINGS in manifest.text_inputs else fmt.CODE_POINTS
    if kind == fmt.STRINGS:
        feed = f"np.array({_TEXTS}, dtype=object)"
    else:
        feed = 'np.array([[ord(character) for character in "a text"]], dtype=np.int32)'
    prompt = ""
    if manifest.prompts:
        prompt = "\n\nPrompts are part of the text: put them before it, also the default one."
    padding = "" if kind == fmt.STRINGS else "\n\nShorter texts are padded with -1."
    return f"""## onnxruntime without a tokenizer

This graph holds the tokenizer and the table.

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model/{manifest.text_inputs[kind]}")
inputs = {{"{fmt.TEXT_INPUTS[kind]}": {feed}}}
({result},) = session.run(["{output}"], inputs)
```{padding}{prompt}"""


_VERIFY = """## Check

`portvec verify model` hashes the files and re-runs the recorded texts on your device."""
