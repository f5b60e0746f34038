"""The report, in a browser: it loads from disk without an error or a request, and its copy button copies."""

import os
import re
import shutil

import pytest

from reprise.core import RepriseError, run_experiment
from reprise.core.report import duration, inline_svg, render
from reprise.core.tables import read_results

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (Debian's package chromium)")


@pytest.fixture
def page(toy, tmp_path):
    run_experiment(toy, "powers", out=tmp_path / "toy", workers=1)
    run_experiment(toy, "powers", out=tmp_path / "toy", workers=1, scale="smoke")
    path = tmp_path / "report.html"
    found = read_results(tmp_path)
    claims = found[0][0].claims
    claims[0] = claims[0].model_copy(update={"tried": "what was tried takes a long sentence to tell, " * 5})
    path.write_text(render(found), encoding="utf-8")
    return path


def test_page_is_self_contained_and_escaped(page):
    html = page.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", html)
    assert "&lt;with &amp; markup&gt;" in html and "<with & markup>" not in html
    assert html.count("<figure>") == 2 and html.count("<svg") == 2
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    references = set(re.findall(r"url\(#([^)]+)\)", html)) | set(re.findall(r'xlink:href="#([^"]+)"', html))
    assert references and references <= set(ids)


@needs_browser
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_page_works_in_a_browser(page, width, scheme):
    from playwright.sync_api import sync_playwright

    problems, requests = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        tab = context.new_page()
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(page.as_uri())
        assert tab.locator("table").count() == 2
        assert tab.locator("tbody tr").count() == 8
        assert tab.locator("td.verdict.reproduced").count() >= 2
        assert tab.locator("figure svg").first.bounding_box()["width"] > 250
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.get_by_role("button", name="Copy").click()
        tab.get_by_text("Copied").wait_for()
        assert tab.evaluate("navigator.clipboard.readText()").startswith("@article{lovelace1843")
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")
        if folder := os.environ.get("REPRISE_SCREENSHOTS"):
            tab.screenshot(path=f"{folder}/report-{width}-{scheme}.png", full_page=True)
        browser.close()
    assert problems == []
    assert requests == [page.as_uri()]


def test_figure_is_cleaned_of_everything_that_does_not_draw(tmp_path):
    path = tmp_path / "figure.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'onload="alert(1)" width="9">'
        '<script>alert(2)</script><foreignObject/><image xlink:href="http://127.0.0.1/x.png"/>'
        '<path id="p" d="M0 0" clip-path="url(#c)" fill="url(http://127.0.0.1/y)"/>'
        '<use xlink:href="#p"/><use HREF="http://127.0.0.1/z" ONCLICK="alert(3)"/>'
        "<style>body { display: none }</style></svg>"
    )
    svg = str(inline_svg(path, "a"))
    for gone in ("alert", "script", "foreignObject", "127.0.0.1", "onload", "ONCLICK", "style", "width"):
        assert gone not in svg
    assert 'id="a-p"' in svg and 'href="#a-p"' in svg and "url(#a-c)" in svg


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot read the figure"),
        (b"<svg", "is damaged"),
        (b'<script xmlns="http://www.w3.org/2000/svg">alert(1)</script>', "it is no SVG"),
    ],
)
def test_figure_that_cannot_be_read_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "figure.svg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RepriseError, match=sentence):
        inline_svg(path, "a")


def test_durations_are_for_people():
    assert [duration(s) for s in (0.04, 1, 59.4, 61, 3600)] == ["0.04 s", "1 s", "59 s", "1 min 1 s", "60 min 0 s"]
