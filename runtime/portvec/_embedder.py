"""StaticEmbedder: an artifact, loaded and ready to embed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, overload

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._artifact.prompts import all_prompts
from portvec._inference.pipeline import Pipeline
from portvec._itertools import batched
from portvec._model import LoadedModel
from portvec._options import ModelOptions, check_count
from portvec._tokenization.prompts import choose_prompt
from portvec._tokenization.texts import check_iterable
from portvec._vocabulary.token_ids import TokenIds
from portvec.errors import OptionError, SourceError

if TYPE_CHECKING:
    import numpy.typing as npt


class StaticEmbedder(LoadedModel):
    """Embeds texts with an artifact. Create an embedder with `StaticEmbedder.load`.

    Threads may share an embedder. It works after a fork, and it pickles as its source and options.

    Attributes:
        manifest: what the artifact holds and where it came from.
        prompts: the texts that the model puts before others, by name. "query" and "document" are always among
            them, and empty unless the model has such prompts.
    """

    prompts: dict[str, str]

    @classmethod
    def _open(
        cls, artifact: Artifact, options: ModelOptions, source: str | os.PathLike[str]
    ) -> StaticEmbedder:
        head = artifact.manifest.head
        if head is not None and head.activation == "identity" and options.semantics is None:
            raise SourceError(
                f"{source}: a projector or regressor; pass semantics='projector' for the output of its head, "
                "which StaticClassifier.load(...) predicts too, or semantics='model2vec' for the embedding "
                "before the head, as in model2vec's StaticModel"
            )
        embedder = cls.__new__(cls)
        embedder.prompts = all_prompts(artifact.manifest.prompts)
        embedder._start(artifact, options, source, output=fmt.SENTENCE_EMBEDDING, width=artifact.manifest.dim)
        return embedder

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.manifest.dim

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        progress: bool = False,
    ) -> npt.NDArray[np.float32]:
        """Embed one text, or any iterable of texts.

        Args:
            texts: a str, or an iterable of str with an order: a list, a generator, a column of pandas, polars
                or pyarrow, a numpy array of one dimension.
            prompt_name: name of the prompt in `prompts` to put before each text; the model's default prompt
                if None, which most models do not have.
            prompt: a text to put before each text instead; "" for none.
            progress: whether to show a progress bar on stderr.

        Returns:
            float32 (dim,) for a str, (n, dim) for n texts, in input order. A text that is empty or has only
            unknown tokens gets the zero vector, or what the model's layers make of it if it has any.

        Raises:
            InputError: `texts` has no order or is a table, an element is missing or not a str, or has a lone
                surrogate; or `prompt` is not a str or has one.
            OptionError: there is no prompt of this name, or both `prompt_name` and `prompt` are given.
            ArtifactError: the artifact's tokenizer and graph do not fit each other.
        """
        pipeline = self._with_prompt(prompt_name, prompt)
        if not progress:
            return pipeline.run(texts)
        with _show_progress(texts) as done:
            return pipeline.run(texts, done)

    def encode_queries(
        self, texts: str | Iterable[str], *, progress: bool = False
    ) -> npt.NDArray[np.float32]:
        """Embed queries: `encode` with the prompt called "query", which is empty if the model has none.

        sentence-transformers' `encode_query` does the same. Arguments, result and errors are those of
        `encode`.
        """
        return self.encode(texts, prompt_name=fmt.QUERY, progress=progress)

    def encode_documents(
        self, texts: str | Iterable[str], *, progress: bool = False
    ) -> npt.NDArray[np.float32]:
        """Embed documents: `encode` with the prompt called "document", which is empty if the model has none.

        sentence-transformers' `encode_document` does the same. Arguments, result and errors are those of
        `encode`.
        """
        return self.encode(texts, prompt_name=fmt.DOCUMENT, progress=progress)

    def encode_batches(
        self,
        texts: Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 8192,
        progress: bool = False,
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Embed any number of texts in bounded memory.

        While the caller works with a batch, threads embed the next few thousand texts.

        Args:
            texts: an iterable of str with an order, as for `encode`. It is read as needed.
            prompt_name: as for `encode`.
            prompt: as for `encode`.
            batch_size: number of texts in each batch but the last, which may have fewer.
            progress: whether to show a progress bar on stderr.

        Yields:
            float32 (m, dim) for each m texts, in input order.

        Raises:
            OptionError: `batch_size` is not a number from 1, or as `encode` does.
            InputError: as `encode` does, when it comes to the text.
            ArtifactError: as `encode` does.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise OptionError(f"batch_size is {batch_size!r}, expected a whole number from 1")
        pipeline = self._with_prompt(prompt_name, prompt)
        batches = pipeline.stream(batched(check_iterable(texts), batch_size))
        return _with_progress(batches, texts) if progress else batches

    def encode_lists(
        self, lists: Iterable[Sequence[str]], *, prompt_name: str | None = None, prompt: str | None = None
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Embed lists of texts one after the other, as `encode_batches` does with batches.

        Args:
            lists: an iterable of lists of str. It is read as needed.
            prompt_name: as for `encode`.
            prompt: as for `encode`.

        Yields:
            float32 (m, dim) for each list of m texts.

        Raises:
            InputError: as `encode` does, when it comes to the text. Texts are counted over all lists.
            OptionError: as `encode` does.
            ArtifactError: as `encode` does.
        """
        return self._with_prompt(prompt_name, prompt).stream(lists)

    @overload
    def encode_tokens(  # type: ignore[overload-overlap]  # a str is an iterable of str too
        self, texts: str, *, max_length: int | None = None
    ) -> npt.NDArray[np.float32]: ...

    @overload
    def encode_tokens(
        self, texts: Iterable[str], *, max_length: int | None = None
    ) -> list[npt.NDArray[np.float32]]: ...

    def encode_tokens(
        self, texts: str | Iterable[str], *, max_length: int | None = None
    ) -> npt.NDArray[np.float32] | list[npt.NDArray[np.float32]]:
        """Return the vector of each token of a text, as model2vec's `encode_as_sequence` does.

        These are the vectors whose mean `encode` takes, in the order of the text. They do not have unit
        length, and unknown tokens have none, unless the model counts them. The model's own `max_length` does
        not apply, and no prompt is put before a text.

        Args:
            texts: a str, or an iterable of str with an order, as for `encode`.
            max_length: tokens kept of a text, counting unknown ones. Of its characters, as many are kept
                first as this times the median length of the vocabulary's tokens, unless the artifact was
                exported with the semantics of sentence-transformers. None keeps the whole text.

        Returns:
            float32 (tokens, width) for a str, and a list of such arrays for other iterables. A text without
            tokens has the shape (0, width). The width is `dim`, or `manifest.table_dim` if the mean passes
            through layers.

        Raises:
            OptionError: `max_length` is not a number from 1, nor None.
            InputError: as `encode` does.
            ArtifactError: as `encode` does, or the graph's tensors are not those that the format describes.
        """
        check_count("max_length", max_length)
        if isinstance(texts, str):
            return self._pipeline.list_token_vectors(texts, max_length)
        return list(self._pipeline.stream_token_vectors(texts, max_length))

    def stream_tokens(
        self, texts: Iterable[str], *, max_length: int | None = None
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Return the token vectors of any number of texts, one text after the other, in bounded memory.

        Args:
            texts: an iterable of str with an order, as for `encode`. It is read as needed.
            max_length: as for `encode_tokens`.

        Yields:
            float32 (tokens, width) for each text, as `encode_tokens` returns them.

        Raises:
            OptionError: as `encode_tokens` does.
            InputError: as `encode` does, when it comes to the text.
            ArtifactError: as `encode_tokens` does.
        """
        check_count("max_length", max_length)
        return self._pipeline.stream_token_vectors(check_iterable(texts), max_length)

    def tokenize(
        self, texts: Iterable[str], *, prompt_name: str | None = None, prompt: str | None = None
    ) -> TokenIds:
        """Return the token ids that `encode` pools: those of the prompt and the text, truncated.

        They are without UNK if the model drops it.

        Args:
            texts: an iterable of str.
            prompt_name: as for `encode`.
            prompt: as for `encode`.

        Raises:
            InputError: `texts` is a str, has no order or is a table, an element is missing or not a str, or
                has a lone surrogate.
            OptionError: as `encode` does.
        """
        return self._with_prompt(prompt_name, prompt).tokenize(texts)

    def _with_prompt(self, name: str | None, prompt: str | None) -> Pipeline:
        return self._pipeline.prompted(
            choose_prompt(self.prompts, self.manifest.default_prompt_name, name, prompt)
        )


@contextmanager
def _show_progress(texts: Iterable[str]) -> Iterator[Callable[[int], object]]:
    """Show a progress bar for texts, and yield what counts those that are finished."""
    from portvec._progress import Progress  # slow to import

    total = len(texts) if isinstance(texts, Sized) and not isinstance(texts, str) else None
    with Progress(total=total, unit=" texts") as bar:
        yield bar.update


def _with_progress(
    batches: Iterator[npt.NDArray[np.float32]], texts: Iterable[str]
) -> Iterator[npt.NDArray[np.float32]]:
    with _show_progress(texts) as done:
        for batch in batches:
            done(len(batch))
            yield batch
