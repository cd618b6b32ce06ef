"""What the page computes is what portvec computes in Python, and it shows the nearest passages."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from corpus import paragraphs
from portvec import StaticEmbedder
from texts import ADVERSARIAL, around_limits, scripts
from web_site import Site

if not os.environ.get("PORTVEC_BROWSER"):
    pytest.skip("no browser: make test-browser", allow_module_level=True)

from playwright.sync_api import Page, expect

QUESTIONS = [
    "Does it run on a Raspberry Pi?",
    "keep files small",
    "MEMORY of a process",
    "naïve café, 日本語",
]
COMPUTE = """async (texts) => {
  const { Embedder } = await import("./embedder.js");
  const embedder = await Embedder.load();
  const vectors = [], ids = [];
  for (let start = 0; start < texts.length; start += 16) {
    const batch = texts.slice(start, start + 16);
    const { vectors: values, dim } = await embedder.embed(batch);
    batch.forEach((_, i) => vectors.push(Array.from(values.subarray(i * dim, (i + 1) * dim))));
    ids.push(...(await embedder.tokenize(batch)));
  }
  return [vectors, ids];
}"""


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder.load(os.environ["PORTVEC_BROWSER_MODEL"])


def test_ids_and_vectors_are_those_of_python(ready: Page, embedder: StaticEmbedder) -> None:
    limits = around_limits(embedder.manifest.max_length, embedder.manifest.max_characters)
    # A string of JavaScript, as of UTF-8, has no surrogate without its partner.
    texts = [*ADVERSARIAL, *scripts(), *paragraphs(200), *limits, "a\0b", "\0", "\0\0 hello\0"]
    vectors, ids = ready.evaluate(COMPUTE, texts)
    expected = embedder.tokenize(texts).lists()
    assert [text for text, a, b in zip(texts, ids, expected, strict=True) if a != b] == []
    np.testing.assert_allclose(np.float32(vectors), embedder.encode(texts), rtol=0, atol=1e-5)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_nearest_passages(ready: Page, embedder: StaticEmbedder, folder: Path, question: str) -> None:
    passages = [entry["text"] for entry in json.loads((folder / "passages.json").read_text(encoding="utf-8"))]
    scores = embedder.encode(passages) @ embedder.encode(question)
    nearest = np.argsort(-scores, kind="stable")[:8]
    ready.locator("#query").press_sequentially(question)
    expect(ready.locator("#results .text")).to_have_text([passages[place] for place in nearest])
    shown = [float(re.sub("[^0-9.-]", "", text)) for text in ready.locator(".score").all_inner_texts()]
    np.testing.assert_allclose(shown, scores[nearest], rtol=0, atol=0.00051)
    expect(ready.locator("#timing")).to_have_text(
        re.compile(rf"^[\d.]+ ms to embed, [\d.]+ ms to search {len(passages)} passages$")
    )


def test_texts_that_the_model_does_not_know(ready: Page) -> None:
    ready.fill("#query", "\u2603")
    expect(ready.locator("#results")).to_contain_text("The model knows no word of this")
    ready.fill("#query", "")
    expect(ready.locator("#found")).to_be_hidden()
    expect(ready.locator("#examples")).to_be_visible()


def test_similar_passages(ready: Page) -> None:
    ready.get_by_role("button", name="work without a network").click()
    second = ready.locator("#results .text").nth(1).inner_text()
    ready.get_by_role("button", name="Find similar passages to result 2").click()
    expect(ready.locator("#query")).to_have_value(second)
    expect(ready.locator("#results .text").first).to_have_text(second)
    expect(ready.locator(".score").first).to_contain_text("1.000")


def test_a_link_holds_the_question(ready: Page, site: Site) -> None:
    ready.fill("#query", "100% of 日本 #1?")
    expect(ready.locator("#results li")).to_have_count(8)
    address = ready.url
    ready.goto("about:blank")
    ready.goto(address)
    expect(ready.locator("#query")).to_have_value("100% of 日本 #1?")
    expect(ready.locator("#results li")).to_have_count(8)
    ready.goto("about:blank")
    ready.goto(f"{site.url}#%E4")  # not UTF-8
    expect(ready.locator("#query")).to_have_value("")


def test_markup_in_a_passage_is_text(ready: Page) -> None:
    html = "<img src=x onerror=\"document.title='broken'\"> is how pictures are made"
    ready.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": html.encode()})
    ready.fill("#query", "how are pictures made?")
    expect(ready.locator("#results .text")).to_have_text([html])
    assert ready.title() == "Search by meaning, inside this page"


def test_nothing_is_sent_anywhere(page: Page, site: Site) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(site.url)
    expect(page.locator("#status")).to_contain_text("a second")
    known = len(requests)
    page.fill("#query", "secret")
    expect(page.locator("#results li")).to_have_count(8)
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"a secret"})
    expect(page.locator("#results li")).to_have_count(1)
    assert [url for url in requests if not url.startswith(site.url)] == []
    assert [url for url in requests[known:] if "secret" in url] == []
    # Code in the page could not send it either.
    refused = page.evaluate("fetch('https://example.com/?secret').then(() => 'sent', (error) => error.name)")
    assert refused == "TypeError"
