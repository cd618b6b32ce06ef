"""Take the picture of the page in README.md, where `make test-browser` has run:

    PORTVEC_BROWSER=build/browser/chromium PYTHONPATH=.:tests/support .venv-browser/bin/python \\
        tests/tools/browser_screenshot.py docs/images/browser-demo.png

The picture has the machine's fonts: Inter and TeX Gyre Pagella are close to what most people see.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from web_site import Site

ROOT = Path(__file__).parents[2]
# The picture shows the last.
QUESTIONS = ("how fast is it?", "a stolen password", "processes that share memory")


def main(picture: Path) -> None:
    """Search for something, and write the picture."""
    site = Site(ROOT / "build" / "browser-demo")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["PORTVEC_BROWSER"])
        page = browser.new_page(viewport={"width": 860, "height": 790}, device_scale_factor=1.5)
        page.goto(site.url)
        expect(page.locator("#offline")).to_contain_text("without a network", timeout=60_000)
        # Of many questions, since the first computations of a page are slower.
        for question in [*QUESTIONS] * 10:
            page.fill("#query", question)
            expect(page.locator("#timing")).to_contain_text("to search")
            page.wait_for_timeout(100)
        page.screenshot(path=picture)
        browser.close()
    site.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
