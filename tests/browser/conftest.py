"""The prepared page in a browser. `make test-browser` sets the variables; elsewhere its tests are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from web_site import Site

if os.environ.get("PORTVEC_BROWSER"):
    from playwright.sync_api import Browser, Page, expect, sync_playwright

    # The machine may be busy, and the model is loaded anew for most tests.
    expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def folder() -> Path:
    """What `make browser-demo` serves."""
    return Path(os.environ["PORTVEC_BROWSER_DEMO"])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["PORTVEC_BROWSER"])
        yield browser
        browser.close()


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    site = Site(folder)
    yield site
    site.stop()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A browser without a history, at no address yet. Errors that no code handles fail the test."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[object] = []
    page.on("pageerror", lambda error: errors.append(error))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def ready(page: Page, site: Site) -> Page:
    """The page, with the documentation embedded."""
    page.goto(site.url)
    expect(page.locator("#status")).to_contain_text("a second")
    return page
