"""Threads that tokenize many texts one after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from portvec._tokenization.turns import TakingTurns
from portvec._vocabulary.locks import ForkSafeLock
from portvec._vocabulary.token_ids import TokenIds, flatten

MANY = ["a text"] * 2_000
FEW = ["a text"]


class Encoder:
    """Returns the length of each text as its id, and does something meanwhile."""

    name = "lengths"

    def __init__(self, during: Callable[[], object] = lambda: None) -> None:
        self.during = during

    def encode(self, texts: Sequence[str]) -> TokenIds:
        self.during()
        return flatten([[len(text)] for text in texts])


def tokenize_in_threads(encoder: TakingTurns, count: int) -> list[list[list[int]]]:
    found: list[list[list[int]]] = []
    threads = [
        threading.Thread(target=lambda: found.append(encoder.encode(MANY).lists())) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return found


@contextmanager
def another_thread_has_the_turn() -> Iterator[TakingTurns]:
    begun, done = threading.Event(), threading.Event()

    def during() -> None:
        if not begun.is_set():
            begun.set()
            done.wait(60)

    encoder = TakingTurns(Encoder(during))
    thread = threading.Thread(target=encoder.encode, args=(MANY,))
    thread.start()
    assert begun.wait(60)
    try:
        yield encoder
    finally:
        done.set()
        thread.join()


def test_ids_and_name_are_those_of_the_encoder() -> None:
    encoder = TakingTurns(Encoder())
    assert encoder.name == "lengths"
    assert encoder.encode(["ab", "", "c"]).lists() == [[2], [0], [1]]
    assert encoder.encode(MANY).lists() == [[6]] * len(MANY)


def test_one_thread_at_a_time_tokenizes_many_texts() -> None:
    inside, together = [], []

    def during() -> None:
        inside.append(1)
        time.sleep(0.01)
        together.append(len(inside))
        inside.pop()

    assert tokenize_in_threads(TakingTurns(Encoder(during)), 4) == [[[6]] * len(MANY)] * 4
    assert together == [1] * 4


def test_a_few_texts_do_not_wait() -> None:
    with another_thread_has_the_turn() as encoder:
        assert encoder.encode(FEW).lists() == [[6]]


def test_the_next_thread_goes_on_after_an_error() -> None:
    inner = Encoder(lambda: 1 // 0)
    encoder = TakingTurns(inner)
    with pytest.raises(ZeroDivisionError):
        encoder.encode(MANY)
    inner.during = lambda: None
    assert tokenize_in_threads(encoder, 1) == [[[6]] * len(MANY)]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal")
def test_a_signal_handler_takes_the_turn_of_its_thread() -> None:
    seen: list[int] = []

    def during() -> None:
        if not seen:
            seen.append(0)
            signal.raise_signal(signal.SIGUSR1)

    encoder = TakingTurns(Encoder(during))
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(len(encoder.encode(MANY).ids)))
    try:
        assert len(encoder.encode(MANY).ids) == len(MANY)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [0, len(MANY)]


def test_a_thread_with_a_lock_does_not_wait() -> None:
    """The thread whose turn it is may need that lock."""
    with another_thread_has_the_turn() as encoder, ForkSafeLock():
        assert len(encoder.encode(MANY).ids) == len(MANY)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    with another_thread_has_the_turn() as encoder:
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            os._exit(7 if len(encoder.encode(MANY).ids) == len(MANY) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# No two texts share a word, so every word is searched, which takes a while.
START = """
import os, signal, sys, threading, time, types
from portvec import StaticEmbedder

embedder = StaticEmbedder.load(sys.argv[1], tokenizer="compiled", threads=2)
texts = [" ".join(f"{number}w{word}" for word in range(20)) for number in range(5_000)]
"""

HANDLER = """
def handle(*args):
    print(embedder.encode(texts).shape, flush=True)

signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.02)
while signal.getitimer(signal.ITIMER_REAL)[0]:
    embedder.tokenize(texts[:1_000])
"""

SHUTDOWN = """
class Last:
    def __init__(self):
        self.encode, self.texts, self.write = embedder.tokenize, texts[:1_000], os.write

    def __del__(self):
        self.encode(self.texts)
        self.write(1, b"done\\n")

def work():
    while True:
        embedder.tokenize(texts[:1_000])

sys.modules["last"] = types.ModuleType("last")
sys.modules["last"].object = Last()
threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
"""


def run(program: str, folder: Path) -> str:
    command = [sys.executable, "-c", START + program, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.stderr == ""
    return result.stdout


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such timer")
def test_a_handler_embeds_many_texts_while_its_thread_tokenizes(tiny: Path) -> None:
    assert run(HANDLER, tiny) == "(5000, 24)\n"


def test_a_destructor_embeds_while_python_shuts_down(tiny: Path) -> None:
    """A daemon thread may be frozen with the turn."""
    assert run(SHUTDOWN, tiny) == "done\n"
