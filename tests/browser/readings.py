"""A reader in a browser: how long a page takes to stand, what he presses, and a server that is slow to answer.

In:  an address. Out: a page of a browser where somebody is signed in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.serving import Address

WAIT_MS: Final = 120_000
SEES_MS: Final = 400
LOOKS_MS: Final = 1500
"""What a reader takes to see a button that came, and to look at a page that is new to him."""
STANDS: Final = "() => document.querySelector('[data-test-script-state=notRunning]')"
SLOW: Final = """(() => {
  window.slowMs = 0;
  const listen = WebSocket.prototype.addEventListener;
  const told = [];
  let due = 0;
  const later = (does) => function (event) {
    due = Math.max(due, performance.now() + window.slowMs);
    told.push(() => does.call(this, event));
    setTimeout(() => told.shift()(), due - performance.now());
  };
  WebSocket.prototype.addEventListener = function (name, does, more) {
    return listen.call(this, name, name === "message" ? later(does) : does, more);
  };
  const handler = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
  Object.defineProperty(WebSocket.prototype, "onmessage", {
    get() { return handler.get.call(this); },
    set(does) { handler.set.call(this, later(does)); },
  });
})()"""
"""All that the server says arrives `window.slowMs` later, in its order, also where that changes."""


@contextmanager
def reader(
    address: Address,
    *,
    width: int = 1440,
    height: int = 1500,
    look: str = "",
    computer: Literal["light", "dark"] = "dark",
) -> Iterator[Page]:
    """A browser of his own; `look`: what was chosen in the menu before, `computer`: what that prefers."""
    if not CHROMIUM.is_file():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=computer)
        context.add_cookies([address.cookie])
        context.add_init_script(SLOW)
        if look:
            chosen = f"""'"{look.capitalize()}"'"""
            context.add_init_script(
                f"for (const key of ['clinic_mm.look', `stActiveTheme-${{location.pathname}}-v2`])"
                f" localStorage.setItem(key, {chosen});"
            )
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        yield page
        browser.close()


def opened(page: Page, address: str) -> None:
    """Go there, and wait until it stands and somebody has looked at it."""
    page.goto(address)
    page.wait_for_function(STANDS)
    page.wait_for_timeout(LOOKS_MS)
