"""The report in a browser: it opens from a file, fetches nothing, answers to the keyboard, and all can read it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import xarray as xr
from conftest import make

import simulator as sim
from simulator.analysis.designs.exact_comparison import with_exact
from simulator.contracts.design import with_reference
from simulator.present.answers.comparison import Party
from simulator.present.answers.shared import figure_of as figure
from simulator.present.report import gather, write_html

matplotlib.use("Agg")

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESIGNS = [
    {
        "name": "shared",
        "terms": [{"kind": "cap_and_collar", "cap": 0.05, "collar": -0.05}],
        "exclusion": {"kind": "cap"},
    },
    {"name": "own cap", "exclusion": {"kind": "cap", "at": 5_000.0}},
]
STRESSES = [{"name": "prices", "changes": [{"kind": "inflation", "by": 0.04}]}]


@pytest.fixture(scope="module")
def ledger() -> xr.Dataset:
    simulation = {"replicates": 400, "population_sizes": [300, 1_000, 4_000]}
    scenario = make(simulation=simulation, designs=DESIGNS, stresses=STRESSES, title="How large?")
    return sim.simulate(scenario, progress=False)


@pytest.fixture(scope="module")
def report(ledger: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(gather(ledger), path)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


class Opened:
    """A page, what it asked for and what it complained of."""

    def __init__(self, browser: Any, path: Path, width: int) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 800})
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())


@pytest.fixture(params=[1280, 360])
def opened(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    found = Opened(browser, report, request.param)
    yield found
    found.page.close()


def text(page: Any, selector: str) -> str:
    return " ".join(page.text_content(selector).split())


def test_it_opens_from_a_file_and_asks_for_nothing_else(opened: Opened, report: Path) -> None:
    assert text(opened.page, "h1") == "How large?"
    assert re.search(r"without exclusion, .* people, .* enough", text(opened.page, "#answer"))
    assert re.search(r"shared: .* of the risk lies with", text(opened.page, "#carried"))
    assert opened.requests == [report.as_uri()]
    assert opened.complaints == []


@pytest.mark.heavy
def test_the_policy_refuses_a_request_and_a_script(opened: Opened) -> None:
    told = opened.page.evaluate("fetch('data:text/plain,a').then(() => 'fetched', () => 'refused')")
    opened.page.evaluate(
        "const s = document.createElement('script'); s.text = 'window.ran = 1'; document.body.append(s)"
    )
    assert told == "refused" and opened.page.evaluate("window.ran") is None
    assert len(opened.complaints) >= 2  # the twin of the test that finds none


@pytest.mark.heavy
def test_each_slider_moves_by_keyboard_to_the_datasets_figures(opened: Opened, ledger: xr.Dataset) -> None:
    page = opened.page
    margins = [float(one.rstrip("%")) / 100 for one in json.loads(page.text_content("#grid"))["options"]["margin"]]
    summary = sim.summarise(ledger, margins=margins)
    designs = with_reference(sim.Scenario.model_validate(json.loads(ledger.attrs["scenario"])).designs)
    compared = with_exact(sim.compare(sim.settle(ledger, designs)))
    at = {"population": 2, "threshold": 2, "margin": margins.index(0.03), "design": 1}
    moves = [
        ("population", "ArrowLeft", 1), ("threshold", "ArrowLeft", 1), ("margin", "ArrowRight", at["margin"] + 1),
        ("design", "ArrowRight", 2), ("population", "Home", 0), ("threshold", "Home", 0), ("design", "Home", 0),
    ]  # fmt: skip
    for name, key, arrives in moves:
        before = text(page, "#explorer")
        page.focus(f"#control-{name}")
        page.keyboard.press(key)
        at[name] = arrives
        assert text(page, "#explorer") != before
        shows(page, summary, compared, at)
    assert opened.complaints == []


def shows(page: Any, summary: xr.Dataset, compared: xr.Dataset, at: dict[str, int]) -> None:
    """The page shows the figures of the Datasets at these places of the sliders."""
    cell = summary.isel(population_size=at["population"], threshold=at["threshold"]).sel(quantile_level=0.95)
    assert text(page, ".told strong") == str(figure(cell.isel(margin=at["margin"]), "p_overspend", "GBP"))
    size = f"{int(summary['population_size'][at['population']]):,} people"
    rule = ("cap £5,000", "cap £20k", "no exclusion")[at["threshold"]]
    assert text(page, ".told").startswith(f"Among {size} ({rule})")
    assert page.get_attribute("#control-population", "aria-valuetext") == size
    shown = page.eval_on_selector_all("[data-figure]", "cells => cells.map(cell => cell.textContent)")
    assert shown[1:] == [str(figure(cell, name, "GBP")) for name in ("mean_cost", "cv", "tvar")]
    chosen = compared.isel(population_size=at["population"], threshold=at["threshold"], design=at["design"])
    rows = page.eval_on_selector_all(
        "#parties tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert len(rows) == 2
    for party, *figures in rows:
        one = Party(party, chosen.isel(quantile_level=0).sel(party=party), "GBP")
        money = [one.expected, one.money("sd_surplus"), one.money("worst_surplus")]
        assert figures == [str(cell) for cell in (*money, one.share("p_loss"), one.share("risk_share"))]
    now = page.eval_on_selector_all("[data-point]", "all => all.map(one => one.classList.contains('now'))")
    assert [place for place, is_now in enumerate(now) if is_now] == [at["population"]]


@pytest.mark.heavy
def test_a_phone_needs_no_sideways_scrolling(opened: Opened) -> None:
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]
    page.add_style_tag(content=".scroll { overflow: visible !important }")
    if wide[1] == 360:  # the twin: without boxes of their own the tables would be too wide
        assert page.evaluate("document.documentElement.scrollWidth") > 360


@pytest.mark.heavy
def test_a_phone_has_the_answer_on_its_first_screen(browser: Any, report: Path) -> None:
    page = Opened(browser, report, 390).page
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.getElementById('answer').getBoundingClientRect().bottom") < 844
    page.close()


@pytest.mark.heavy
def test_a_phone_shows_whole_pictures_and_enlarges_them_by_keyboard(browser: Any, report: Path) -> None:
    page = Opened(browser, report, 360).page
    too_wide = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).length"
    assert page.eval_on_selector_all(".picture", too_wide) == 0
    buttons = page.locator("[data-enlarge]:visible")
    assert buttons.count() == page.locator(".picture").count() > 3
    buttons.first.focus()
    page.keyboard.press("Enter")
    assert page.eval_on_selector_all(".picture", too_wide) == 1
    assert buttons.first.get_attribute("aria-pressed") == "true"
    page.wait_for_selector(".picture.over")  # the hint that it can be scrolled
    page.keyboard.press("Enter")
    assert page.eval_on_selector_all(".picture", too_wide) == 0
    page.close()


@pytest.mark.heavy
def test_what_is_wider_than_the_screen_says_that_it_can_be_scrolled(opened: Opened) -> None:
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.wait_for_timeout(300)
    hinted = "boxes => boxes.map(box => [box.scrollWidth > box.clientWidth + 1, box.classList.contains('over')])"
    found = page.eval_on_selector_all(".scroll", hinted)
    assert all(is_wide == is_told for is_wide, is_told in found)
    if page.viewport_size["width"] == 360:
        assert [True, True] in found
        assert not any(is_wide for is_wide, _ in page.eval_on_selector_all(".scroll:has(table.prose)", hinted))
        shown = "getComputedStyle(document.querySelector('.over'), '::before').content"
        assert "scroll" in page.evaluate(shown)
    else:
        assert [True, True] not in found


@pytest.mark.heavy
def test_a_bound_is_told_in_words_and_the_design_moves_the_parties_alone(opened: Opened) -> None:
    page = opened.page
    for name, key in (("population", "End"), ("threshold", "Home"), ("margin", "End")):
        page.focus(f"#control-{name}")
        page.keyboard.press(key)
    cell = text(page, ".figures td[data-out=chance]")
    assert cell.startswith("below ") and text(page, ".told strong") == cell
    above, below = text(page, ".told") + text(page, ".figures"), text(page, "#parties")
    page.focus("#control-design")
    page.keyboard.press("End")
    assert text(page, ".told") + text(page, ".figures") == above and text(page, "#parties") != below
    assert "Moves the table of the parties" in text(page, "#design-moves")
    assert "cap £5,000: the design’s own rule, whatever threshold is chosen above" in text(page, "#parties caption")
    assert "Budget by contract: " in text(page, "#parties caption")
    page.focus("#control-design")
    page.keyboard.press("ArrowLeft")
    assert "own rule" not in text(page, "#parties caption")


@pytest.mark.heavy
def test_the_curve_names_its_axis_and_its_lines(opened: Opened) -> None:
    assert "chance of an overspend above the margin (uneven scale" in text(opened.page, ".curve")
    assert "95% interval" in text(opened.page, ".curve-note")


PDFTOTEXT = shutil.which("pdftotext")


@pytest.mark.heavy
@pytest.mark.skipif(PDFTOTEXT is None, reason="no pdftotext: apt-get install poppler-utils")
def test_paper_has_page_numbers_whole_tables_and_nothing_twice(browser: Any, report: Path, tmp_path: Path) -> None:
    page = Opened(browser, report, 1280).page
    page.pdf(path=tmp_path / "r.pdf", prefer_css_page_size=True)
    page.close()
    told = subprocess.run([PDFTOTEXT, "-layout", tmp_path / "r.pdf", "-"], capture_output=True, check=True, text=True)
    sheets = told.stdout.split("\f")[:-1]
    assert all(f"{number} of {len(sheets)}" in sheet for number, sheet in enumerate(sheets, start=1))
    assert "What to do next" in sheets[0] and "Contracts: what each pays" in sheets[0]  # the summary is one sheet
    assert "How large?" in sheets[0] and "Who gains and who loses" in sheets[1]
    assert sum(sheet.count("each party’s year among") for sheet in sheets) == 3
    for caption, last in (("shared: each party’s year among", "payer"), ("Overspend by population", "4,000 people")):
        (sheet,) = (sheet for sheet in sheets if caption in sheet)
        assert last in sheet[sheet.index(caption) :]
    assert not [line for sheet in sheets for line in sheet.splitlines() if line.rstrip().endswith("±")]


AUDIT = r"""
() => {
  const faults = [];
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(one => Number(one.tagName[1]));
  if (levels[0] !== 1 || levels.filter(level => level === 1).length !== 1) faults.push("one h1, first");
  levels.slice(1).forEach((level, k) => { if (level > levels[k] + 1) faults.push(`heading skips to h${level}`); });
  if (!document.documentElement.lang || !document.title) faults.push("no lang or title");
  if (!document.querySelector("main")) faults.push("no main");
  for (const control of document.querySelectorAll("input, select, textarea, button")) {
    if (!control.checkVisibility()) continue;
    const label = control.tagName === "BUTTON" ? control : control.labels && control.labels[0];
    if (!label || !label.textContent.trim()) faults.push(`no label: ${control.id}`);
    if (control.getBoundingClientRect().height < 24) faults.push(`too small: ${control.id}`);
  }
  for (const table of document.querySelectorAll("table")) {
    if (!table.caption || !table.caption.textContent.trim()) faults.push("table without caption");
    for (const head of table.querySelectorAll("th")) if (!head.scope) faults.push(`no scope: ${head.textContent}`);
    for (const row of table.rows) if (!row.querySelector("th")) faults.push("row without head");
    const widths = new Set([...table.rows].map(row => row.cells.length));
    if (widths.size !== 1) faults.push(`ragged: ${table.caption.textContent}`);
  }
  for (const svg of document.querySelectorAll("svg")) {
    const names = (svg.getAttribute("aria-labelledby") || "").split(" ");
    const words = names.map(id => document.getElementById(id));
    const isTold = words.length > 1 && words.every(one => one && one.textContent.trim());
    if (svg.getAttribute("role") !== "img" || !isTold) faults.push("svg without words");
  }
  for (const image of document.querySelectorAll("img")) if (!image.alt) faults.push("img without alt");
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.tabIndex !== 0 || !box.getAttribute("aria-label")) faults.push("a box out of the keyboard's reach");
  }
  for (const link of document.querySelectorAll("a[href^='#']")) {
    if (!document.getElementById(link.hash.slice(1))) faults.push(`leads nowhere: ${link.hash}`);
  }
  if (!document.querySelector("[aria-live]")) faults.push("nothing is announced");
  const first = document.querySelector("a, input, button, [tabindex='0']");
  if (!first.classList.contains("skip")) faults.push("the first stop is no skip link");

  const numbers = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = colour => {
    const [r, g, b] = numbers(colour).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = one => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if ((numbers(colour)[3] ?? 1) !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let compared = 0;
  const walker = document.createTreeWalker(document.querySelector("body"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    const told = walker.currentNode.textContent.trim();
    if (!told || one.closest("script, noscript, desc, title")) continue;
    const style = getComputedStyle(one);
    if (one.closest(".picture svg") && light(style.fill) > 0.7) continue; // pale text stands on a dark area
    const [a, b] = [light(one.closest("svg") ? style.fill : style.color), light(ground(one))].sort((x, y) => y - x);
    compared += 1;
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${told}`);
  }
  if (compared < 100) faults.push("hardly any text was compared");
  return faults;
}
"""


@pytest.mark.heavy
def test_headings_labels_tables_pictures_and_contrast_are_accessible(opened: Opened) -> None:
    opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert opened.page.evaluate(AUDIT) == []


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        ("document.querySelector('h2').outerHTML = '<h4>deep</h4>'", "heading skips"),
        ("document.querySelector('label').remove()", "no label"),
        ("document.querySelector('caption').remove()", "table without caption"),
        ("document.querySelector('svg').removeAttribute('aria-labelledby')", "svg without words"),
        ("document.querySelector('h1').style.color = '#999'", "contrast"),
        ("document.querySelector('th').removeAttribute('scope')", "no scope"),
    ],
)
def test_the_audit_finds_what_is_spoilt(browser: Any, report: Path, spoil: str, fault: str) -> None:
    found = Opened(browser, report, 1280)
    found.page.evaluate(spoil)
    assert any(fault in one for one in found.page.evaluate(AUDIT))
    found.page.close()


@pytest.mark.heavy
def test_focus_is_seen(opened: Opened) -> None:
    opened.page.keyboard.press("Tab")
    told = "(one => [one.className, getComputedStyle(one).outlineStyle, getComputedStyle(one).outlineWidth])"
    assert opened.page.evaluate(f"{told}(document.activeElement)") == ["skip", "solid", "3px"]
    assert opened.page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    opened.page.focus("#control-margin")
    opened.page.keyboard.press("ArrowRight")
    assert opened.page.evaluate(f"{told}(document.activeElement)")[1:] == ["solid", "3px"]


@pytest.mark.heavy
def test_paper_shows_the_chosen_figures_and_no_sliders(browser: Any, report: Path) -> None:
    page = Opened(browser, report, 1280).page
    page.focus("#control-population")
    page.keyboard.press("End")
    chosen = text(page, ".told")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.is_visible("#control-population") and not page.is_visible("nav")
    assert page.is_visible(".told") and text(page, ".told") == chosen and "4,000 people" in chosen
    assert page.is_visible(".figures") and page.is_visible("#parties")
    assert page.is_visible("details.printed table") and not page.is_visible(".controls, .curve, .enlarge")
    torn = "cells => cells.filter(cell => getComputedStyle(cell).whiteSpace !== 'nowrap').length"
    assert page.eval_on_selector_all("table:not(.prose, .sheet *) tbody td", torn) == 0
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF") and 2 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 12
    page.close()


@pytest.mark.heavy
def test_without_script_the_first_figures_and_all_tables_stand_there(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.is_visible("noscript p") and page.is_visible("#parties tbody tr")
    grid = json.loads(page.text_content("#grid"))
    first = grid["chance"][-1][-1][grid["options"]["margin"].index("3%")]["text"]
    assert text(page, ".told strong") == first
    context.close()
