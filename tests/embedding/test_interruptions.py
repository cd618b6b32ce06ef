"""Forks, signal handlers and the end of the interpreter, at the worst moments: nothing hangs or fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="no fork, and no signals to oneself")

START = """
import os, signal, sys, threading, warnings
# Python prints an error of its own if a fork meets this import, which registers what is to be done then.
import concurrent.futures.thread
import numpy as np
from portvec import StaticEmbedder
from portvec._inference.session import Session
from portvec._tokenization.backends import ACCELERATORS
from portvec._tokenization.backends.nanotoken import NanotokenEncoder
from portvec._vocabulary.word_table import WordTable

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
folder, batch = sys.argv[1], sys.argv[2]
TEXTS = {
    "str": "the value of a function",
    "added": "the value of [UNK] a function",
    "chunk": [f"text number {i} of the value" for i in range(1500)],
    "chunks": [f"text number {i} of the value" for i in range(5000)],
}
texts = TEXTS[batch]
many = TEXTS["chunks"]
reference = StaticEmbedder.load(folder, threads=1, tokenizer="tokenizers")
expected = {name: reference.encode(value) for name, value in TEXTS.items()}

def is_right(rows, name):
    return rows.shape == expected[name].shape and bool(np.abs(rows - expected[name]).max() < 1e-6)

def finish_child():
    code = 3
    try:
        signal.alarm(15)
        code = 0 if is_right(embedder.encode(texts), batch) else 4
    finally:
        os._exit(code)

def wait_for(child):
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("child", code)

seen = []
def handle(number, frame):
    seen.append(is_right(embedder.encode(texts), batch))

if hasattr(signal, "SIGUSR1"):
    signal.signal(signal.SIGUSR1, handle)

class Slow:
    name, package, extra = "slow", "slow_module", "fast"
    models = frozenset({"WordPiece"})
    def __init__(self, *args, **kwargs):
        import slow_module
        raise NotImplementedError  # the word cache is used instead

def use_slow():
    ACCELERATORS.clear()
    ACCELERATORS["slow"] = Slow
"""

# The time-out is for a hang. The scripts themselves need a second or two.
TIMEOUT = 60


def run(
    tmp_path: Path, artifact: Path, batch: str, script: str, slow_module: str = "", start: str = START
) -> str:
    (tmp_path / "slow_module.py").write_text(slow_module)
    (tmp_path / "script.py").write_text(start + script)
    result = subprocess.run(
        [sys.executable, tmp_path / "script.py", artifact, batch],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert result.stderr == ""
    assert result.returncode == 0
    return result.stdout


every_batch = pytest.mark.parametrize("batch", ["str", "chunk", "chunks"])

FORK_WHILE_LOADING = """
use_slow()
sys.importing = threading.Event()
embedder = StaticEmbedder.load(folder, threads=2)
thread = threading.Thread(target=embedder.encode, args=(TEXTS["chunk"],))
thread.start()
assert sys.importing.wait(20)
child = os.fork()
if child == 0:
    finish_child()
wait_for(child)
thread.join()
"""


@posix
@every_batch
def test_fork_while_a_thread_imports_a_faster_tokenizer(tmp_path: Path, tiny: Path, batch: str) -> None:
    importing = "import sys, time; sys.importing.set(); time.sleep(0.5)"
    assert run(tmp_path, tiny, batch, FORK_WHILE_LOADING, importing) == "child 0\n"


FORK_WHILE_RUNNING = """
inside, thread = threading.Event(), None

def with_lock(run):
    '''As in the libraries: an object has a lock, which no fork unlocks.'''
    locks = {}
    def locked(self, *args, **kwargs):
        with locks.setdefault(self, threading.Lock()):
            if threading.current_thread() is thread:
                inside.set()
                threading.Event().wait()
            return run(self, *args, **kwargs)
    return locked

OWNER.METHOD = with_lock(OWNER.METHOD)
embedder = StaticEmbedder.load(folder, threads=1)
embedder.encode(many)
embedder.encode("a")
thread = threading.Thread(target=embedder.encode, args=(texts,), daemon=True)
thread.start()
assert inside.wait(20)
child = os.fork()
if child == 0:
    finish_child()
wait_for(child)
sys.stdout.flush()
os._exit(0)
"""


@posix
@every_batch
@pytest.mark.parametrize(
    ("owner", "method"), [("Session", "run"), ("Tokenizer", "encode_batch")], ids=["onnxruntime", "nanotoken"]
)
def test_fork_while_a_thread_is_inside_a_library(
    tmp_path: Path, tiny: Path, batch: str, owner: str, method: str
) -> None:
    if owner == "Tokenizer":
        pytest.importorskip("nanotoken")
        batch = batch.replace("str", "added")  # of other words of single texts, the ids are found without it
    elif batch == "str":
        pytest.skip("a single text needs no session")
    script = FORK_WHILE_RUNNING.replace("OWNER", owner).replace("METHOD", method)
    if owner == "Tokenizer":
        script = "from nanotoken import Tokenizer\n" + script
    assert run(tmp_path, tiny, batch, script) == "child 0\n"


@posix
def test_fork_while_a_thread_runs_a_graph_for_consumers(tmp_path: Path, tiny_model: Path) -> None:
    from portvec_export import export_model

    artifact = export_model(tiny_model, tmp_path / "artifact", single_file=True)
    script = FORK_WHILE_RUNNING.replace("OWNER", "Session").replace("METHOD", "run")
    assert run(tmp_path, artifact, "chunk", script) == "child 0\n"


SIGNAL_WHILE_LOADING = """
use_slow()
embedder = StaticEmbedder.load(folder, threads=2)
assert is_right(embedder.encode(TEXTS["chunk"]), "chunk")
assert is_right(embedder.encode(many), "chunks")
print(seen)
"""


@posix
@every_batch
def test_signal_while_a_faster_tokenizer_is_imported(tmp_path: Path, tiny: Path, batch: str) -> None:
    raising = "import signal; signal.raise_signal(signal.SIGUSR1)"
    assert run(tmp_path, tiny, batch, SIGNAL_WHILE_LOADING, raising) == "[True]\n"


SIGNAL_WHILE_ADDING = """
ACCELERATORS.clear()
embedder = StaticEmbedder.load(folder, threads=2)
add = WordTable._add
raised = []
def interrupted(*args):
    if threading.current_thread() is threading.main_thread() and len(raised) < 3:
        raised.append(True)
        signal.raise_signal(signal.SIGUSR1)
    return add(*args)
WordTable._add = interrupted
for _ in range(2):
    assert is_right(embedder.encode(TEXTS["chunk"]), "chunk")
    assert is_right(embedder.encode(many), "chunks")
print(set(seen))
"""


@posix
@every_batch
def test_signal_while_the_word_cache_learns(tmp_path: Path, tiny: Path, batch: str) -> None:
    assert run(tmp_path, tiny, batch, SIGNAL_WHILE_ADDING) == "{True}\n"


SIGNAL_WHILE_SUBMITTING = """
from concurrent.futures import ThreadPoolExecutor
embedder = StaticEmbedder.load(folder, threads=2)
adjust = ThreadPoolExecutor._adjust_thread_count
raised = []
def interrupted(self):  # called with the locks of the pool held
    if not raised:
        raised.append(True)
        signal.raise_signal(signal.SIGUSR1)
    return adjust(self)
ThreadPoolExecutor._adjust_thread_count = interrupted
assert is_right(embedder.encode(many), "chunks")
print(seen)
"""


@posix
@every_batch
def test_signal_while_work_is_submitted_to_the_threads(tmp_path: Path, tiny: Path, batch: str) -> None:
    assert run(tmp_path, tiny, batch, SIGNAL_WHILE_SUBMITTING) == "[True]\n"


# Before anything of onnxruntime is there. Single texts do not need it.
FIRST_BATCH = """
import os, signal, sys, threading, warnings
import numpy as np
from portvec import StaticEmbedder

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
folder, batch = sys.argv[1], sys.argv[2]
TEXTS = {
    "chunk": [f"text number {i} of the value" for i in range(100)],
    "chunks": [f"text number {i} of the value" for i in range(5000)],
}
texts = TEXTS[batch]
embedder = StaticEmbedder.load(folder, threads=2)
expected = np.stack([embedder.encode(text) for text in texts])
assert "onnxruntime" not in sys.modules

def is_right(rows):
    return rows.shape == expected.shape and bool(np.abs(rows - expected).max() < 1e-6)

def during_the_import(act):
    '''Call a function in the middle of the import of onnxruntime, once.'''
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "onnxruntime.capi" and self in sys.meta_path:
                sys.meta_path.remove(self)
                act()
    sys.meta_path.insert(0, Finder())
"""

SIGNAL_IN_THE_IMPORT = """
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(is_right(embedder.encode(texts))))
during_the_import(lambda: os.kill(os.getpid(), signal.SIGUSR1))
print(is_right(StaticEmbedder.load(folder, threads=1).encode(texts)), seen)
"""

FORK_IN_THE_IMPORT = """
importing = threading.Event()
def act():
    importing.set()
    threading.Event().wait(0.5)
during_the_import(act)
thread = threading.Thread(target=embedder.encode, args=(texts,))
thread.start()
assert importing.wait(20)
child = os.fork()
if child == 0:
    code = 3
    try:
        signal.alarm(15)
        code = 0 if is_right(embedder.encode(texts)) else 4
    finally:
        os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), is_right(embedder.encode(texts)))
thread.join()
"""

THREADS_IN_THE_IMPORT = """
barrier, seen = threading.Barrier(6), []
def work():
    barrier.wait(20)
    seen.append(is_right(embedder.encode(texts)))
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(seen)
"""

IMPORT_AFTER_MAIN = """
def work():
    threading.main_thread().join()
    print(is_right(embedder.encode(texts)), flush=True)
threading.Thread(target=work).start()
"""

IMPORT_AT_EXIT = """
import atexit
atexit.register(lambda: print(is_right(embedder.encode(texts))))
"""

FIRST_BATCHES = {
    "signal": (SIGNAL_IN_THE_IMPORT, "True [True]"),
    "fork": (FORK_IN_THE_IMPORT, "0 True"),
    "threads": (THREADS_IN_THE_IMPORT, str([True] * 6)),
    "thread after the main one": (IMPORT_AFTER_MAIN, "True"),
    "atexit": (IMPORT_AT_EXIT, "True"),
}


@pytest.mark.parametrize("batch", ["chunk", "chunks"])
@pytest.mark.parametrize("moment", FIRST_BATCHES)
def test_onnxruntime_is_imported_at_a_bad_moment(tmp_path: Path, tiny: Path, moment: str, batch: str) -> None:
    if sys.platform == "win32" and moment in ("signal", "fork"):
        pytest.skip("no fork, and no signals to oneself")
    script, printed = FIRST_BATCHES[moment]
    assert run(tmp_path, tiny, batch, script, start=FIRST_BATCH) == f"{printed}\n"


THREAD_AFTER_MAIN = """
embedder = StaticEmbedder.load(folder, threads=2)
WARM
def work():
    threading.main_thread().join()
    print(is_right(embedder.encode(texts), batch), flush=True)
threading.Thread(target=work).start()
"""

AT_EXIT = """
import atexit
embedder = StaticEmbedder.load(folder, threads=2)
WARM
atexit.register(lambda: print(is_right(embedder.encode(texts), batch)))
"""


@every_batch
@pytest.mark.parametrize("script", [THREAD_AFTER_MAIN, AT_EXIT], ids=["thread", "atexit"])
@pytest.mark.parametrize("warm", ["", "embedder.encode(many)"], ids=["first call", "later call"])
def test_embedding_while_python_shuts_down(
    tmp_path: Path, tiny: Path, batch: str, script: str, warm: str
) -> None:
    assert run(tmp_path, tiny, batch, script.replace("WARM", warm)) == "True\n"


# Nothing needs `tokenizers` before the first text with an added token.
FIRST_ADDED_TOKEN = """
import os, signal, sys, threading, warnings
from portvec import StaticEmbedder

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
embedder = StaticEmbedder.load(sys.argv[1], tokenizer="compiled")
embedder.encode("the value")
assert "tokenizers" not in sys.modules
importing, text = threading.Event(), "the [UNK] value"

class Finder:
    '''Stops in the middle of the import of tokenizers, once.'''
    def find_spec(self, name, path=None, target=None):
        if name == "tokenizers.tokenizers" and self in sys.meta_path:
            sys.meta_path.remove(self)
            importing.set()
            threading.Event().wait(0.5)
sys.meta_path.insert(0, Finder())
seen = []
def work():
    seen.append(embedder.tokenize([text]).lists())
"""

FORK_IN_THE_IMPORT_OF_TOKENIZERS = """
thread = threading.Thread(target=work)
thread.start()
assert importing.wait(20)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(15)
    work()
    os.write(writer, str(seen[-1]).encode())
    os._exit(0)
os.close(writer)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread.join()
print(os.read(reader, 1000).decode() == str(seen[0]))
"""

THREADS_IN_THE_IMPORT_OF_TOKENIZERS = """
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(seen))
print(all(ids == seen[0] for ids in seen))
"""


@posix
@pytest.mark.parametrize(
    ("script", "printed"),
    [(FORK_IN_THE_IMPORT_OF_TOKENIZERS, "0\nTrue\n"), (THREADS_IN_THE_IMPORT_OF_TOKENIZERS, "6\nTrue\n")],
    ids=["fork", "threads"],
)
def test_tokenizers_is_imported_at_a_bad_moment(
    tmp_path: Path, tiny: Path, script: str, printed: str
) -> None:
    assert run(tmp_path, tiny, "", script, start=FIRST_ADDED_TOKEN) == printed
