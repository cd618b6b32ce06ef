"""Files of the user: what is a passage, which files are refused, and large ones."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

from web_site import Site

if not os.environ.get("PORTVEC_BROWSER"):
    pytest.skip("no browser: make test-browser", allow_module_level=True)

from playwright.sync_api import Page, expect


@pytest.fixture
def code(page: Page, site: Site) -> Page:
    """The modules alone, without a model."""
    page.goto(f"{site.url}icon.svg")
    return page


READ = """async ([name, bytes]) => {
  const { readPassages } = await import("./passages.js");
  const { passages, note } = await readPassages(new File([new Uint8Array(bytes)], name));
  return [passages.map(({ text }) => text), note];
}"""


def choose(page: Page, name: str, content: bytes) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": content})


ACCEPTED = {
    "paragraphs": (
        "a.txt",
        "One\nline.\n\n  Two\tlines.\r\n \r\nThree.\n",
        ["One line.", "Two lines.", "Three."],
    ),
    "lines": ("a.txt", "One.\r\nTwo.\n---\nThree.", ["One.", "Two.", "Three."]),
    "no extension": ("README", "One.", ["One."]),
    "comma": ("a.csv", 'id,text\n1,"One, ""1""\nand more"\n2,Two\n\n', ['One, "1" and more', "Two"]),
    "semicolon": ("a.csv", "id;note;title\n1;the longest is the note;x\n", ["the longest is the note"]),
    "tab": ("a.TSV", "text\tid\r\nOne\t1\r\nTwo\t", ["One", "Two"]),
    "a quote is not closed": ("a.csv", 'id,text\n1,"One\n2,Two', ['"One', "Two"]),
    "objects": (
        "a.jsonl",
        '{"id": 1, "text": "One"}\n\n{"text": "Two", "x": "longer than that"}',
        ["One", "Two"],
    ),
    "strings": ("a.ndjson", '"One"\n"Two"\n', ["One", "Two"]),
    "other names": ("a.jsonl", '{"n": "1", "review": "so good"}\n{"n": null}\n', ["so good"]),
}


@pytest.mark.parametrize(("name", "content", "passages"), ACCEPTED.values(), ids=ACCEPTED)
def test_passages(code: Page, name: str, content: str, passages: list[str]) -> None:
    assert code.evaluate(READ, [name, list(content.encode())])[0] == passages


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings(code: Page, encoding: str) -> None:
    assert code.evaluate(READ, ["a.txt", list("Größe 日本".encode(encoding))]) == [["Größe 日本"], ""]


def test_an_old_encoding_is_told(ready: Page) -> None:
    choose(ready, "old.txt", "Größe und Gewicht".encode("cp1252"))
    expect(ready.locator("#note")).to_have_text("It is not valid UTF-8, so it was read as Windows-1252.")
    ready.fill("#query", "Gewicht")
    expect(ready.locator("#results .text")).to_have_text(["Größe und Gewicht"])


def test_long_paragraphs_are_cut_between_sentences(code: Page) -> None:
    sentence = "This is a sentence of forty-four characters. "
    unbroken = "x" * 799 + "𝔸" * 600
    passages, _ = code.evaluate(READ, ["a.txt", list(f"{sentence * 40}\n\n{unbroken}".encode())])
    assert passages[:3] == [(sentence * 17).strip()] * 2 + [(sentence * 6).strip()]
    assert "".join(passages[3:]) == unbroken
    assert max(len(passage.encode("utf-16-le")) // 2 for passage in passages) <= 800


REFUSED = {
    "binary": (
        "photo.jpg",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        "“photo.jpg” is not a text file",
        "It has the byte 0",
    ),
    "empty": ("empty.txt", b"", "“empty.txt” is empty", "It has 0 bytes"),
    "white space": ("a.txt", b" \n\n\t", "“a.txt” has no words", "needs at least one letter or digit"),
    "only names": ("a.csv", b"text,id\n", "“a.csv” has no rows", "the first row of a table has the names"),
    "bad line": (
        "a.jsonl",
        b'{"text": "a"}\n{oops\n',
        "Line 2 of “a.jsonl” is not JSON",
        "begins with “{oops”",
    ),
    "no strings": (
        "a.jsonl",
        b'{"n": 1}\n',
        "“a.jsonl” has no text",
        "A line must be a string, or an object",
    ),
}


@pytest.mark.parametrize(("name", "content", "title", "detail"), REFUSED.values(), ids=REFUSED)
def test_refused_files(ready: Page, name: str, content: bytes, title: str, detail: str) -> None:
    choose(ready, name, content)
    alert = ready.get_by_role("alert")
    expect(alert.locator("strong")).to_have_text(title)
    expect(alert).to_contain_text(re.compile(re.escape(detail), re.IGNORECASE))
    # What was there stays.
    expect(ready.locator("#corpus")).to_have_text("portvec’s documentation")
    ready.fill("#query", "memory")
    expect(ready.locator("#results li")).to_have_count(8)
    ready.get_by_role("button", name="Close").click()
    expect(alert).to_be_empty()
    expect(ready.locator("#query")).to_be_focused()


def drop(page: Page, name: str, content: str) -> None:
    """Drop a file whose content a JavaScript expression gives."""
    files = page.evaluate_handle(
        f"""() => {{
          const transfer = new DataTransfer();
          transfer.items.add(new File([{content}], "{name}"));
          return transfer;
        }}"""
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": files})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": files})
    expect(page.locator("#drop")).to_be_hidden()


def test_a_file_is_too_large(ready: Page) -> None:
    drop(ready, "big.txt", "new Uint8Array(51e6)")
    expect(ready.get_by_role("alert").locator("strong")).to_have_text("“big.txt” is too large")
    expect(ready.get_by_role("alert")).to_contain_text("A file may have 50 MB")
    expect(ready.get_by_role("alert")).to_contain_text("this one has 51 MB")


def test_own_text_and_back(ready: Page) -> None:
    ready.fill("#query", "animals")
    choose(ready, "pets.txt", b"A kitten and a puppy.\nThe train to the airport.")
    expect(ready.locator("#corpus")).to_have_text("pets.txt")
    expect(ready.locator("#status")).to_contain_text("2 passages, embedded in")
    expect(ready.locator("#results .text").first).to_have_text("A kitten and a puppy.")
    ready.get_by_role("button", name="Back to portvec’s documentation").click()
    expect(ready.locator("#corpus")).to_have_text("portvec’s documentation")
    expect(ready.locator("#results li")).to_have_count(8)
    expect(ready.locator("#back")).to_be_hidden()


def test_a_file_is_dropped(ready: Page) -> None:
    drop(ready, "dropped.txt", '"One kitten.\\n\\nTwo trains."')
    expect(ready.locator("#corpus")).to_have_text("dropped.txt")


def test_a_refused_file_does_not_interrupt_another(ready: Page) -> None:
    choose(ready, "large.txt", b"\n\n".join(b"passage %d of winter" % i for i in range(20_000)))
    expect(ready.locator("#status")).to_contain_text("Reading large.txt")
    choose(ready, "photo.jpg", b"\0")
    expect(ready.get_by_role("alert")).to_contain_text("“photo.jpg” is not a text file")
    expect(ready.locator("#status")).to_contain_text("20,000 passages, embedded in")
    expect(ready.locator("#corpus")).to_have_text("large.txt")


def test_a_file_takes_the_place_of_one_that_is_still_embedded(ready: Page) -> None:
    choose(ready, "large.txt", five_megabytes())
    expect(ready.locator("#status")).to_contain_text("Reading large.txt")
    choose(ready, "small.txt", b"winter")
    expect(ready.locator("#status")).to_contain_text("1 passage, embedded in")
    ready.fill("#query", "winter")
    expect(ready.locator("#results .text")).to_have_text(["winter"])
    expect(ready.locator("#corpus")).to_have_text("small.txt")


def five_megabytes() -> bytes:
    words = ["river", "engine", "letter", "winter", "garden", "metal", "window", "doctor", "sugar", "planet"]
    lines = (
        " ".join(words[(i * step + step) % 10] for step in range(3, 3 + i % 40)) + f" number {i}."
        for i in range(1, 40_000)
    )
    return "\n\n".join(lines).encode()[:5_000_000] + b"\n\nThe cathedral was finished by a blind architect."


def test_a_large_file_leaves_the_page_responsive(ready: Page) -> None:
    choose(ready, "large.txt", five_megabytes())
    ready.evaluate(
        """() => {
          window.gaps = [];
          let last = performance.now();
          const tick = (now) => {
            window.gaps.push(now - last);
            last = now;
            requestAnimationFrame(tick);
          };
          requestAnimationFrame(tick);
        }"""
    )
    bar = ready.get_by_role("progressbar", name="Progress")
    expect(bar).to_be_visible()
    expect(ready.locator("#status")).to_have_text(
        re.compile(r"^Reading large\.txt: [\d,]+ of [\d,]+ passages$")
    )
    expect(ready.get_by_role("button", name="Stop")).to_be_visible()
    # A search is answered from what is embedded so far.
    ready.fill("#query", "an architect who cannot see")
    expect(ready.locator("#timing")).to_contain_text(re.compile(r"search [\d,]+ passages$"))
    expect(ready.locator("#status")).to_contain_text("Reading")
    expect(ready.locator("#status")).to_contain_text("a second", timeout=120_000)
    expect(ready.locator("#results .text").first).to_have_text(
        "The cathedral was finished by a blind architect."
    )
    expect(bar).to_be_hidden()
    # Long for an animation, short for whoever types; a busy machine may delay a few frames by more.
    assert np.quantile(ready.evaluate("window.gaps"), 0.9) < 100


def test_a_large_file_is_stopped(ready: Page) -> None:
    choose(ready, "large.txt", five_megabytes())
    ready.get_by_role("button", name="Stop").click()
    expect(ready.locator("#status")).to_have_text(re.compile(r"^[\d,]+ of [\d,]+ passages, embedded in "))
    expect(ready.locator("#query")).to_be_focused()
    ready.fill("#query", "winter")
    expect(ready.locator("#results li")).to_have_count(8)
    choose(ready, "small.txt", b"winter")
    expect(ready.locator("#results li")).to_have_count(1)
