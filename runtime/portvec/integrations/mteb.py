"""mteb: a model for `mteb.evaluate`, to measure the quality of an artifact on the field's benchmarks.

mteb brings PyTorch. Only the evaluation uses it.
"""

from __future__ import annotations

import os
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._embedder import StaticEmbedder
from portvec.errors import OptionError
from portvec.integrations._common import missing_extra

try:
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ModelMeta, ScoringFunction
    from mteb.types import PromptType
except ImportError as error:
    raise missing_extra("mteb", "mteb", error) from error

if TYPE_CHECKING:
    import numpy.typing as npt


class PortvecEncoder(AbsEncoder):
    """A model that `mteb.evaluate` takes. Texts are compared by cosine.

    mteb keeps results by the model's name and revision. The name is that of the source; the revision is the
    SHA-256 of the artifact's manifest, so that no artifact is given the results of another one.

    Attributes:
        mteb_model_meta: what mteb stores with the results.
    """

    mteb_model_meta: ModelMeta

    def __init__(self, source: str | os.PathLike[str], **options: Any) -> None:
        """Load the model.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
            options: keyword arguments of `StaticEmbedder.load`; an unknown one raises TypeError.

        Raises:
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        self._embedder = StaticEmbedder.load(source, **options)
        manifest = self._embedder.manifest
        name = manifest.source.id
        self.mteb_model_meta = ModelMeta.create_empty(
            {
                "name": name if "/" in name else f"portvec/{name}",  # mteb requires an owner
                "revision": self._embedder.manifest_sha256,
                "embed_dim": manifest.dim,
                "max_tokens": inf if manifest.max_length is None else manifest.max_length,
                "framework": ["ONNX"],
                "similarity_fn_name": ScoringFunction.COSINE,
            }
        )

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> npt.NDArray[np.float32]:
        """Embed what a task compares; `mteb.evaluate` calls this.

        Args:
            inputs: batches, each a dict with the texts under "text".
            task_metadata: the task.
            hf_split: a part of its data.
            hf_subset: a subset of its data.
            prompt_type: whether the texts are queries, documents, or neither (None); chooses the prompt.
            kwargs: mteb's `encode_kwargs`. `batch_size` and `show_progress_bar` have no effect.

        Returns:
            float32 (n, dim) for n texts, in input order.

        Raises:
            OptionError: `precision` is not "float32". Export with another dtype instead.
            InputError: a text is not a str.
        """
        precision = kwargs.get("precision")
        if precision not in (None, "float32"):
            raise OptionError(
                f"precision is {precision!r}, expected 'float32', which embeddings always are; export "
                "with dtype='int8' to measure a smaller table"
            )
        texts = [text for batch in inputs for text in batch["text"]]
        if prompt_type == PromptType.query:
            return self._embedder.encode_queries(texts)
        if prompt_type == PromptType.document:
            return self._embedder.encode_documents(texts)
        return self._embedder.encode(texts)
