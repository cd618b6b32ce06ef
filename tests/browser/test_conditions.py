"""No network, no model, no WebAssembly; by keyboard, on a phone, in the dark, for a screen reader."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from web_site import Site

if not os.environ.get("PORTVEC_BROWSER"):
    pytest.skip("no browser: make test-browser", allow_module_level=True)

from playwright.sync_api import Browser, Page, expect

QUESTION = "Does it run on a Raspberry Pi?"


def test_it_works_without_the_server(ready: Page, site: Site) -> None:
    expect(ready.locator("#offline")).to_contain_text("it works without a network now")
    ready.fill("#query", QUESTION)
    expect(ready.locator("#results li")).to_have_count(8)
    found = ready.locator("#results .text").all_inner_texts()
    site.stop()
    ready.reload()
    expect(ready.locator("#query")).to_have_value(QUESTION)
    expect(ready.locator("#results .text")).to_have_text(found)
    ready.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"A small board."})
    expect(ready.locator("#results .text")).to_have_text(["A small board."])


def test_a_new_version_is_seen_at_once(ready: Page, site: Site) -> None:
    expect(ready.locator("#offline")).to_contain_text("it works without a network now")
    site.missing.add("style.css")  # an old version would still have it
    with ready.expect_response("**/style.css") as response:
        ready.reload()
    assert response.value.status == 404


MISSING = {
    "model_text.onnx": ("The model is missing", "The server answers 404 for model_text.onnx"),
    "ort/ort-wasm-simd-threaded.wasm": ("The runtime is missing", "ort-wasm-simd-threaded.wasm"),
    "passages.json": ("The example passages are missing", "You can still choose a file"),
    "passage-index.js": (
        "The page could not start",
        "Check that all files of build/browser-demo are on the server",
    ),
}


@pytest.mark.parametrize(("name", "title", "detail"), [(name, *told) for name, told in MISSING.items()])
def test_missing_files(page: Page, site: Site, name: str, title: str, detail: str) -> None:
    site.missing.add(name)
    page.goto(site.url)
    expect(page.get_by_role("alert").locator("strong")).to_have_text(title)
    expect(page.get_by_role("alert")).to_contain_text(detail)
    expect(page.get_by_role("progressbar")).to_be_hidden()


def test_own_files_are_searched_without_the_example_passages(page: Page, site: Site) -> None:
    site.missing.add("passages.json")
    page.goto(site.url)
    expect(page.get_by_role("alert").locator("strong")).to_have_text("The example passages are missing")
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"A small board."})
    page.fill("#query", "board")
    expect(page.locator("#results .text")).to_have_text(["A small board."])


def test_the_page_says_that_it_has_not_started(page: Page, site: Site) -> None:
    site.missing.add("view.js")
    page.goto(site.url)
    expect(page.locator("#not-started")).to_be_visible()
    expect(page.locator("#not-started")).to_contain_text("make browser-demo prepares and serves it")


def test_the_model_is_damaged(page: Page, site: Site, folder: Path) -> None:
    page.route("**/model_text.onnx", lambda route: route.fulfill(body=b"no model"))
    page.goto(site.url)
    expect(page.get_by_role("alert").locator("strong")).to_have_text("The model could not be opened")
    expect(page.get_by_role("alert")).to_contain_text("make browser-demo")
    # A file cannot be embedded without it, and what is wrong is still there.
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"A small board."})
    expect(page.get_by_role("alert").locator("strong")).to_have_text("The model could not be opened")


def test_no_webassembly(page: Page, site: Site) -> None:
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(site.url)
    expect(page.get_by_role("alert").locator("strong")).to_have_text("This browser has no WebAssembly")
    expect(page.get_by_role("progressbar")).to_be_hidden()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))


def test_results_that_come_again_keep_the_focus(ready: Page) -> None:
    ready.fill("#query", "memory")
    expect(ready.locator("#results li")).to_have_count(8)
    third = ready.locator("#results button").nth(2)
    third.focus()
    ready.evaluate("document.querySelector('#results li').id = 'before'")
    ready.dispatch_event("#query", "input")
    expect(ready.locator("#before")).to_have_count(0)
    expect(third).to_be_focused()


def test_by_keyboard_alone(ready: Page) -> None:
    keys = ready.keyboard
    board = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"A small board."}
    ready.on("filechooser", lambda chooser: chooser.set_files(board))
    keys.press("/")
    assert focused(ready) == "query"
    keys.type("memory")
    expect(ready.locator("#results li")).to_have_count(8)
    keys.press("Escape")
    expect(ready.locator("#query")).to_have_value("")
    keys.press("Tab")
    assert focused(ready) == QUESTION
    keys.press("Enter")
    assert focused(ready) == "query"
    expect(ready.locator("#query")).to_have_value(QUESTION)
    expect(ready.locator("#results li")).to_have_count(8)
    keys.press("Tab")
    assert focused(ready) == "Find similar"
    for _ in range(7):
        keys.press("Tab")
    keys.press("Tab")
    assert focused(ready) == "file"
    outline = ready.locator(".button").evaluate("(label) => getComputedStyle(label).outlineStyle")
    assert outline == "solid"
    keys.press("Enter")
    expect(ready.locator("#results .text")).to_have_text(["A small board."])
    keys.press("Tab")
    assert focused(ready) == "back"
    keys.press("Space")
    assert focused(ready) == "query"


def test_a_slash_can_be_typed(ready: Page) -> None:
    ready.locator("#query").press_sequentially("and/or")
    expect(ready.locator("#query")).to_have_value("and/or")


@pytest.fixture(params=[(320, 568, "light"), (375, 812, "dark"), (1280, 800, "light"), (1280, 800, "dark")])
def screen(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Page]:
    width, height, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        has_touch=width < 500,
        is_mobile=width < 500,
        # axe is code from outside, which the page's policy keeps out
        bypass_csp=True,
    )
    page = context.new_page()
    page.goto(site.url)
    expect(page.locator("#status")).to_contain_text("a second")
    yield page
    context.close()


def states(page: Page) -> Iterator[str]:
    """Put the page into each of its states."""
    yield "start"
    page.fill("#query", QUESTION)
    expect(page.locator("#results li")).to_have_count(8)
    yield "results"
    long = ("Donaudampfschifffahrt" * 50).encode()
    page.set_input_files("#file", {"name": "x" * 200 + ".txt", "mimeType": "text/plain", "buffer": long})
    expect(page.locator("#results li")).to_have_count(2)
    yield "a long word, in a file with a long name"
    page.set_input_files("#file", {"name": "x" * 200 + ".txt", "mimeType": "text/plain", "buffer": b"\0"})
    expect(page.get_by_role("alert")).not_to_be_empty()
    yield "a problem"


def test_nothing_is_wider_than_the_screen(screen: Page) -> None:
    for state in states(screen):
        assert screen.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, state
        small = screen.locator("button:visible, label.button").evaluate_all(
            "(all) => all.filter((one) => one.offsetHeight < 24).map((one) => one.textContent)"
        )
        assert small == [], state


def test_accessibility(screen: Page) -> None:
    screen.add_script_tag(path=os.environ["PORTVEC_BROWSER_AXE"])
    for state in states(screen):
        report = screen.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        violations = [(each["id"], [node["html"] for node in each["nodes"]]) for each in report["violations"]]
        assert violations == [], state
        assert len(report["passes"]) > 20, state


def test_what_a_screen_reader_hears(ready: Page) -> None:
    expect(ready.get_by_role("searchbox", name="Search in portvec’s documentation")).to_be_visible()
    expect(ready.get_by_role("searchbox")).to_have_accessible_description(re.compile("passages, embedded in"))
    expect(ready.locator("#announcement")).to_have_role("status")
    expect(ready.locator("#announcement")).to_contain_text("Ready to search in portvec’s documentation")
    ready.fill("#query", QUESTION)
    expect(ready.locator("#announcement")).to_contain_text("8 passages. The nearest, 0.")
    expect(ready.get_by_role("region", name="Nearest passages").get_by_role("listitem")).to_have_count(8)


def test_the_dark_is_dark(browser: Browser, site: Site) -> None:
    luminance = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(site.url)
        color = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
        luminance[scheme] = sum(color) / 3
        context.close()
    assert luminance["light"] > 230
    assert luminance["dark"] < 40


def test_no_motion_if_it_is_not_wanted(browser: Browser, site: Site) -> None:
    moving = {}
    for wish in ("reduce", "no-preference"):
        context = browser.new_context(reduced_motion=wish)
        page = context.new_page()
        page.goto(site.url)
        moving[wish] = page.locator("button").first.evaluate(
            "(one) => getComputedStyle(one).transitionDuration"
        )
        context.close()
    assert moving == {"reduce": "0s", "no-preference": "0.15s"}
