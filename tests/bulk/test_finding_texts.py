"""Which files a path means, their formats and compressions, and what works without pyarrow."""

from __future__ import annotations

import bz2
import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portvec._bulk.sources import fail, open_source, read_texts
from portvec.errors import FileError, MissingExtraError, OptionError

CONTENTS = {
    "txt": "a\nb\n",
    "jsonl": '{"text": "a"}\n"b"\n',
    "csv": "n,text\n1,a\n2,b\n",
    "tsv": "n\ttext\n1\ta\n2\tb\n",
}


def zstd(content: bytes) -> bytes:
    pa = pytest.importorskip("pyarrow")
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(content)
    found: bytes = sink.getvalue().to_pybytes()
    return found


COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def texts(path: Path, **options: str) -> list[str]:
    return list(read_texts(open_source(path, **options)))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("format", CONTENTS)
def test_suffixes_and_named_formats(format: str, suffix: str, tmp_path: Path) -> None:
    content = COMPRESS[suffix](CONTENTS[format].encode())
    for name in (f"a.{format}", f"B.{format.upper()}"):
        (tmp_path / f"{name}{suffix}").write_bytes(content)
        source = open_source(tmp_path / f"{name}{suffix}")
        assert list(read_texts(source)) == ["a", "b"]
        assert source.bytes_read == source.size == len(content)
    (tmp_path / f"other.dat{suffix}").write_bytes(content)
    assert texts(tmp_path / f"other.dat{suffix}", format=format) == ["a", "b"]


def test_ndjson_is_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text(CONTENTS["jsonl"])
    assert texts(tmp_path / "a.ndjson") == ["a", "b"]


@pytest.mark.parametrize("name", ["a.json", "a", "a.md", "a.gz", "a.json.gz", "a.txt.bz2"])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x\n")
    with pytest.raises(FileError) as caught:
        open_source(tmp_path / name)
    assert str(caught.value) == (
        f"{tmp_path / name}: unknown suffix for texts, expected .txt, .jsonl, .ndjson, .csv, .tsv, .parquet, "
        ".arrow, .feather, .ipc, or one of the first five with .gz or .zst; name the format with format=..."
    )


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=r"format 'json' is unknown, expected one of txt, jsonl, csv, tsv, parq"
    ):
        open_source(tmp_path / "a.json", format="json")


def test_columns_are_not_compressed_from_outside(tmp_path: Path) -> None:
    (tmp_path / "a.parquet.gz").touch()
    with pytest.raises(
        FileError, match=r"a compressed parquet file, which has to be read from its end; decompress"
    ):
        open_source(tmp_path / "a.parquet.gz")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
class TestCompressed:
    def test_parts_one_after_the_other_are_all_read(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a.txt{suffix}"
        parts = [b"a\nb", b"c\n", b"", b"x" * 3_000_000, b"\nd"]
        path.write_bytes(b"".join(map(COMPRESS[suffix], parts)))
        assert texts(path) == ["a", "bc", "x" * 3_000_000, "d"]

    @pytest.mark.parametrize("cut", [0, 1, 10, 100_000, -9, -1])
    def test_a_file_that_is_cut_off(self, cut: int, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a.txt{suffix}"
        path.write_bytes(COMPRESS[suffix](os.urandom(300_000).hex().encode())[:cut])
        kind = {".gz": "gzip", ".zst": "zstd"}[suffix]
        with pytest.raises(
            FileError, match=rf"a\.txt\{suffix}: not a {kind} file that is complete \(.*\); make it"
        ):
            texts(path)

    @pytest.mark.parametrize("content", [b"text\n", bz2.compress(b"text\n")])
    def test_a_file_of_another_kind(self, content: bytes, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a.txt{suffix}"
        path.write_bytes(content)
        COMPRESS[suffix](b"")  # skips where pyarrow is missing
        with pytest.raises(FileError, match=r"file that is complete \(.*\); make it again$"):
            texts(path)


def test_damage_inside_a_gzip_file(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(b"some text\n" * 50_000))
    for place in (len(content) // 2, -8):
        damaged = content.copy()
        damaged[place] ^= 0xFF
        (tmp_path / "a.txt.gz").write_bytes(damaged)
        with pytest.raises(FileError, match=r"a\.txt\.gz: not a gzip file that is complete \("):
            texts(tmp_path / "a.txt.gz")


class TestFolders:
    def test_files_are_read_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        for name in ("part-2.txt", "part-1.txt", "part-10.txt", "_SUCCESS", ".part-1.txt.crc", "_hidden.csv"):
            (tmp_path / name).write_text(f"{name}\n")
        (tmp_path / "deeper").mkdir()
        (tmp_path / "deeper" / "part-0.txt").write_text("x\n")
        source = open_source(tmp_path)
        assert source.name == str(tmp_path)
        assert source.size == sum(path.stat().st_size for path in source.files)
        assert list(read_texts(source)) == ["part-1.txt", "part-10.txt", "part-2.txt"]

    def test_rows_of_several_files_share_blocks(self, tmp_path: Path) -> None:
        for index in range(3):
            (tmp_path / f"{index}.txt").write_text("a\n" * 2000)
        assert [len(block) for block in open_source(tmp_path).read(fail)] == [4096, 1904]

    def test_the_second_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text('"a"\n')
        (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'"b"\nc\n'))
        with pytest.raises(FileError, match=r"b\.jsonl\.gz, line 2: not valid JSON"):
            texts(tmp_path)

    def test_columns_differ(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("n,text\n1,a\n")
        (tmp_path / "b.csv").write_text("text,n\na,1\n")
        (tmp_path / "c.csv").write_text("m,text\n1,a\n")
        first = r"its columns are not those of .*a\.csv"
        with pytest.raises(
            FileError, match=rf"b\.csv: {first} \(they are in another order\); give the files one"
        ):
            texts(tmp_path)
        (tmp_path / "b.csv").unlink()
        with pytest.raises(
            FileError, match=rf"c\.csv: {first} \(has m where that has n\); give the files one by"
        ):
            texts(tmp_path)

    def test_formats_are_mixed(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").touch()
        (tmp_path / "b.csv").touch()
        message = (
            r"has files of several formats, such as a\.txt and b\.csv; give a pattern such as '\*\.txt'$"
        )
        with pytest.raises(FileError, match=message):
            open_source(tmp_path)
        assert len(open_source(tmp_path, format="txt").files) == 2

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").touch()
        (tmp_path / "readme.md").touch()
        message = r"readme\.md: unknown suffix .*; give a pattern without it, or name the format with format="
        with pytest.raises(FileError, match=message):
            open_source(tmp_path)

    @pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
    def test_a_link_to_nowhere_is_not_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").touch()
        (tmp_path / "b.txt").symlink_to("nowhere")
        with pytest.raises(FileError, match=r"b\.txt: cannot be read \(No such file"):
            open_source(tmp_path)

    def test_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "deeper").mkdir()
        with pytest.raises(
            FileError, match=r"the folder has no file of texts; for those in folders of it, give a"
        ):
            open_source(tmp_path)


class TestPatterns:
    def test_matches_are_sorted(self, tmp_path: Path) -> None:
        for name in ("b/2.txt", "a/3.txt", "a/deep/1.txt", "1.txt"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{name}\n")
        (tmp_path / "a" / "other.csv").touch()
        (tmp_path / "folder.txt").mkdir()
        assert texts(tmp_path / "**" / "*.txt") == ["1.txt", "a/3.txt", "a/deep/1.txt", "b/2.txt"]
        assert texts(tmp_path / "*" / "[23].txt") == ["a/3.txt", "b/2.txt"]

    def test_a_name_that_looks_like_one(self, tmp_path: Path) -> None:
        (tmp_path / "a[1].txt").write_text("x\n")
        assert texts(tmp_path / "a[1].txt") == ["x"]

    def test_no_match(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match=r"\*\.txt: no file has this name, or matches it as a pattern$"):
            open_source(tmp_path / "*.txt")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"missing\.txt: cannot be read \(No such file"):
        open_source(tmp_path / "missing.txt")


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    os.mkfifo(path)
    with subprocess.Popen([sys.executable, "-c", f"open({str(path)!r}, 'w').write('\"a\"\\n\"b\"')"]):
        source = open_source(path)
        if "pyarrow" in sys.modules:
            with pytest.raises(
                FileError, match=r"a\.jsonl: can be read only once, and its columns have to be known"
            ):
                source.schema()
        assert list(read_texts(source)) == ["a", "b"]


class TestWithoutPyarrow:
    @pytest.fixture(autouse=True)
    def _hide(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)

    @pytest.mark.parametrize("suffix", ["", ".gz"])
    @pytest.mark.parametrize("format", CONTENTS)
    def test_text_is_read(self, format: str, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a.{format}{suffix}"
        path.write_bytes(COMPRESS[suffix](CONTENTS[format].encode()))
        source = open_source(path)
        assert next(row for block in source.read(fail) for row in block.json_rows()).endswith('"text": "a"}')
        with pytest.raises(MissingExtraError, match=r"needs pyarrow, .*; run pip install 'portvec\[bulk\]'$"):
            source.schema()

    @pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.txt.zst"])
    def test_other_files_name_what_to_install(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).touch()
        with pytest.raises(MissingExtraError, match=rf"{name}: .* needs pyarrow, .* 'portvec\[bulk\]'$"):
            open_source(tmp_path / name)


def test_text_is_read_without_importing_pyarrow(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CONTENTS["csv"])
    code = (
        "import sys; from portvec._bulk.sources import open_source, read_texts\n"
        "print(list(read_texts(open_source('a.csv'))), 'pyarrow' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert result.stdout == "['a', 'b'] False\n"
