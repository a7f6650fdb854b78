"""Pages in headless Chromium, which CI promises is there."""

import os
import shutil
from contextlib import contextmanager

import pytest


@pytest.fixture(scope="module")
def chromium():
    """Debian's."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("FLOPCOUNT_ALL_LIBRARIES") == "1":
            pytest.fail("chromium is missing, and FLOPCOUNT_ALL_LIBRARIES promises it")
        pytest.skip("no chromium")
    from playwright.sync_api import sync_playwright

    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # which root cannot have
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens a page, at a place of it; what it logs, asks for or throws fails the test.

    Without `charts` it is as in a browser that cannot unpack them, which is faster.
    """

    @contextmanager
    def open_(text, charts=True, at="", **options):
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        context = chromium.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | options
        )
        wrong = []
        context.on("request", lambda request: request.url.partition("#")[0] == path.as_uri() or wrong.append(request))
        context.on("console", lambda message: wrong.append(message.text))
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        tab = context.new_page()
        tab.set_default_timeout(120_000)  # met only by what never comes, however busy the machine
        if not charts:
            tab.add_init_script("delete window.DecompressionStream")
        tab.goto(path.as_uri() + at)
        tab.wait_for_selector("html[data-drawn=yes]" if charts else "html[data-drawn=no]")
        yield tab
        context.close()
        assert wrong == []

    return open_
