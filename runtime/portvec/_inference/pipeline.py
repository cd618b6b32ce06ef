"""What embedder and classifier share: an artifact's tokenizer and graph, run over texts."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from portvec._artifact.folder import Artifact, open_artifact
from portvec._cores import available_cores
from portvec._inference.batching import pool
from portvec._inference.graphs import Graph
from portvec._itertools import batched
from portvec._loading import ModelOptions, artifact_folder
from portvec._tokenization.selection import TokenizerChoice, choose_tokenizer
from portvec._tokenization.tokenizer import TokenIds, check_texts
from portvec.errors import InputError

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    import numpy.typing as npt

# Texts tokenized and pooled together. Bounds the memory that ids take, whatever the input's length.
_WAVE = 2048

_T = TypeVar("_T")


class Engine:
    """Runs texts through one output of an artifact's graph. Safe to use from several threads.

    `graph` is the path of one of the artifact's graphs; None takes the main one, without
    last_hidden_state where there is such a graph.

    Attributes:
        width: columns of that output.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        output: str,
        width: int,
        threads: int = 1,
        tokenizer: TokenizerChoice = "auto",
        providers: Sequence[str] | None = None,
        optimize: bool = True,
        graph: str | None = None,
    ) -> None:
        self.width = width
        self._tokenizer = choose_tokenizer(artifact, tokenizer, threads)
        self._graph = Graph(
            artifact, graph, output=output, width=width, providers=providers, optimize=optimize
        )
        self._threads = threads
        self._executor: Executor | None = None
        self._executor_process = 0

    def run(self, texts: str | Iterable[str]) -> npt.NDArray[np.float32]:
        """Return float32 (n, width) for n texts in input order; one row for a str."""
        if isinstance(texts, str):
            return self._graph.run_one(self._tokenizer.one(texts))
        whole: npt.NDArray[np.float32] | None = None
        if isinstance(texts, (list, tuple)):  # of known length, so that nothing need be copied together
            texts = list(texts)
            if len(texts) == 1:  # as a query comes from a vector database
                return self._graph.run_one(self._tokenizer.one(*check_texts(texts)))
            whole = np.empty((len(texts), self.width), dtype=np.float32)
        executor = self._threads_to_use()
        waves = batched(_iterable(texts), _WAVE)
        head = list(islice(waves, 2))
        every = enumerate(chain(head, waves))
        if len(head) < 2 or executor is None:
            # A single wave: its groups of blocks are shared among the threads.
            parts = [self._run_wave(wave, number * _WAVE, whole, executor) for number, wave in every]
        else:
            # Several: each thread tokenizes and pools waves of its own, with nothing to wait for.
            calls = (partial(self._run_wave, wave, number * _WAVE, whole) for number, wave in every)
            parts = _in_order(executor, calls, ahead=self._threads + 1)
        if whole is not None:
            return whole
        return np.concatenate(parts) if parts else np.zeros((0, self.width), dtype=np.float32)

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer implementation in use."""
        return self._tokenizer.name

    def tokenize(self, texts: Iterable[str]) -> TokenIds:
        """Return the token ids of texts."""
        if isinstance(texts, str):
            raise InputError("texts is a str, expected a list of str; wrap it as [text]")
        return self._tokenizer(check_texts(list(_iterable(texts))))

    def _run_wave(
        self,
        texts: list[str],
        first: int,
        whole: npt.NDArray[np.float32] | None,
        executor: Executor | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return the output for `texts`, which start with number `first`: rows of `whole` if there is one."""
        if whole is None:
            out = np.empty((len(texts), self.width), dtype=np.float32)
        else:
            out = whole[first : first + len(texts)]
        tokens = self._tokenizer(check_texts(texts, first), first)
        pool(tokens, self._graph, out, executor)
        return out

    def _threads_to_use(self) -> Executor | None:
        """Return this process's threads: a forked child has none of its parent's."""
        if self._threads == 1:
            return None
        if self._executor is None or self._executor_process != os.getpid():
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="portvec")
            self._executor_process = os.getpid()
        return self._executor


def resolve(
    source: str | os.PathLike[str],
    options: ModelOptions,
    *,
    threads: int | None,
) -> tuple[Artifact, int]:
    """Return the artifact that a source is or converts to, and the number of threads to use."""
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads is {threads!r}, expected a whole number of 1 or more, or None")
    return open_artifact(artifact_folder(source, options)), threads or available_cores()


class Reloadable:
    """Pickles as what it was loaded with, since a session of onnxruntime does not pickle.

    A token is left out: whoever unpickles uses their own.
    """

    _loaded_with: tuple[str | os.PathLike[str], dict[str, Any]]

    def _remember(self, source: str | os.PathLike[str], arguments: dict[str, Any]) -> None:
        local = os.path.abspath(source) if os.path.isdir(source) else source  # noqa: PTH100, PTH112
        self._loaded_with = (local, {**arguments, "token": None})

    def __reduce__(self) -> tuple[Any, ...]:
        source, arguments = self._loaded_with
        return _load, (type(self), source, arguments)


def _load(cls: Any, source: str | os.PathLike[str], arguments: dict[str, Any]) -> Any:
    return cls.load(source, **arguments)


def _in_order(executor: Executor, calls: Iterable[Callable[[], _T]], ahead: int) -> list[_T]:
    """Return the results of `calls` in order, with no more than `ahead` of them taken and not yet done."""
    results: list[_T] = []
    pending: deque[Future[_T]] = deque()
    try:
        for call in calls:
            pending.append(executor.submit(call))
            if len(pending) >= ahead:
                results.append(pending.popleft().result())
        results += [future.result() for future in pending]
    finally:  # an error or Ctrl-C: what has not started need not
        for future in pending:
            future.cancel()
    return results


def _iterable(texts: Iterable[_T]) -> Iterable[_T]:
    if isinstance(texts, (bytes, bytearray, dict)) or not isinstance(texts, Iterable):
        raise InputError(f"texts is a {type(texts).__name__}, expected a str or an iterable of str")
    return texts
