"""The report in a real browser: it fits, everything shows, tables sort, axe is content."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import pytest

from hybridq.reports.page.elements import Cell, Fold, Section, Table, Text
from hybridq.reports.page.page import render
from hybridq.reports.sources.sources import Source
from tests.browser import Browser, find_browser

WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on the PATH: install Debian's package chromium")
    running = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_complains_of_nothing(browser, report_file, width, scheme):
    browser.open(report_file, width=width, scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [
        report_file.resolve().as_uri()
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_drawing_and_picture_shows(browser, report_file, width):
    browser.open(report_file, width=width)
    sizes = browser.evaluate(
        """[...document.querySelectorAll("svg, img")].map((e) => {
            const box = e.getBoundingClientRect();
            return [e.id || e.alt || e.getAttribute("aria-labelledby"), box.width, box.height,
                    e.tagName !== "IMG" || e.naturalWidth > 0];
        })"""
    )
    assert len(sizes) > 20
    assert [size for size in sizes if size[1] < 100 or size[2] < 60 or not size[3]] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_text_in_drawings_stays_inside_them(browser, report_file, width):
    browser.open(report_file, width=width)
    outside = browser.evaluate(
        """[...document.querySelectorAll("svg")].flatMap((svg) => {
            const box = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("text")].filter((text) => {
                const own = text.getBoundingClientRect();
                return own.left < box.left - 1 || own.right > box.right + 1 ||
                       own.top < box.top - 1 || own.bottom > box.bottom + 1;
            }).map((text) => text.textContent);
        })"""
    )
    assert outside == []


def test_tables_sort_by_their_heads(browser, report_file):
    browser.open(report_file, width=1280)
    browser.evaluate(
        """table = [...document.querySelectorAll("table.sortable")].find(
            (t) => t.caption.textContent.startsWith("Comparisons"));
        heads = [...table.tHead.rows[0].cells];
        at = heads.findIndex((h) => h.textContent === "difference");
        values = () => [...table.tBodies[0].rows].map((r) => Number(r.cells[at].dataset.order));
        0"""
    )
    first = browser.evaluate("values()")
    browser.evaluate("heads[at].querySelector('button').click()")
    assert browser.evaluate("values()") == sorted(first)
    assert browser.evaluate("heads[at].getAttribute('aria-sort')") == "ascending"
    browser.evaluate("heads[at].querySelector('button').click()")
    assert browser.evaluate("values()") == sorted(first, reverse=True)
    assert browser.evaluate("table.querySelectorAll('[aria-sort]').length") == 1


def small_page(folder):
    """A page with a fold, infinite and negative numbers in a table."""
    source = Source("S1", "study noise", folder, {}, {}, {})
    numbers = ((64, "-0.2"), (math.inf, "+0.3"), (8, "-0.1"), (None, "+0.05"))
    rows = tuple(
        (
            Cell(f"r{k}"),
            Cell("exact" if shots == math.inf else str(shots), shots),
            Cell("undecided", float(change), change, "undecided"),
        )
        for k, (shots, change) in enumerate(numbers)
    )
    table = Table("Numbers", ("row", "shots", "verdict"), rows, ((source,),))
    parts = (table, Fold("More", (Text("Folded words."),)))
    path = folder / "small.html"
    path.write_text(render("small", [Section("numbers", "Numbers", parts)]), encoding="utf-8")
    return path


def test_infinite_and_negative_numbers_sort_as_numbers(browser, tmp_path):
    browser.open(small_page(tmp_path), width=1280)
    browser.evaluate(
        """table = document.querySelector("table.sortable");
        names = () => [...table.tBodies[0].rows].map((r) => r.cells[0].textContent);
        press = (k) => table.tHead.rows[0].cells[k].querySelector("button").click();
        press(1)"""
    )
    assert browser.evaluate("names()") == ["r2", "r0", "r1", "r3"]
    browser.evaluate("press(1)")
    assert browser.evaluate("names()") == ["r1", "r0", "r2", "r3"]
    browser.evaluate("press(2)")
    assert browser.evaluate("names()") == ["r0", "r2", "r3", "r1"]


@pytest.mark.parametrize("scripts", [True, False])
def test_folds_are_open_in_print_and_heads_have_no_arrows(browser, tmp_path, scripts):
    browser.open(small_page(tmp_path), width=1280, scripts=scripts)
    browser.send("Emulation.setEmulatedMedia", media="print")
    if scripts:
        browser.evaluate("dispatchEvent(new Event('beforeprint'))")
        arrow = "getComputedStyle(document.querySelector('th button'), '::after').content"
        assert browser.evaluate(arrow) == "none"
    assert browser.evaluate("document.querySelector('details p').checkVisibility()")
    heights = "['details', 'summary'].map((e) => document.querySelector(e).offsetHeight)"
    fold, head = browser.evaluate(heights)
    assert fold > head + 10
    if scripts:
        browser.evaluate("dispatchEvent(new Event('afterprint'))")
        assert not browser.evaluate("document.querySelector('details').open")
    browser.send("Emulation.setEmulatedMedia", media="")
    browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_tables_of_an_ablation_are_not_cut_at_full_width(browser, report_file):
    browser.open(report_file, width=1280)
    browser.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    cut = browser.evaluate(
        """[...document.querySelectorAll(".scroll")].filter((s) => s.scrollWidth > s.clientWidth)
            .map((s) => s.textContent.trim().slice(0, 30))"""
    )
    assert [start for start in cut if not start.startswith("Each evaluation")] == []


def test_text_in_drawings_is_large_enough_on_a_phone(browser, report_file):
    browser.open(report_file, width=390)
    sizes = browser.evaluate(
        """[...document.querySelectorAll("[id^=confusion] svg, [id^=circuit] svg")].flatMap((svg) =>
            [...svg.querySelectorAll("text")].map((text) => parseFloat(getComputedStyle(text)
                .fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"""
    )
    assert len(sizes) > 10
    assert min(sizes) > 8.5


def test_the_keyboard_reaches_heads_and_links(browser, report_file):
    browser.open(report_file, width=1280)
    stops = []
    for _ in range(24):
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key="Tab", windowsVirtualKeyCode=9)
        stops.append(
            browser.evaluate(
                "[document.activeElement.tagName, "
                "getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    assert stops[0][0] == "A"  # the link that skips to the report
    assert "BUTTON" in {tag for tag, _ in stops}
    assert all(outline != "none" for _, outline in stops)


def test_without_scripts_everything_is_still_there(browser, report_file):
    browser.open(report_file, width=390, scripts=False)
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in tree if not node.get("ignored")]
    assert roles.count("columnheader") > 10
    assert "button" not in roles
    browser.send("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_axe_finds_nothing(browser, report_file, width, scheme):
    spec = find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        pytest.skip("no axe-core: install the extra `test`")
    browser.open(report_file, width=width, scheme=scheme)
    browser.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    script = Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    browser.evaluate(script + ";0")
    found = browser.evaluate(
        """axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map(
            (v) => [v.id, v.impact, v.nodes.length, v.nodes[0].html.slice(0, 200)]))"""
    )
    assert found == []
