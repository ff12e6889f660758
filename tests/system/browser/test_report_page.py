"""The page of a report in a browser: languages, tables, sliders, small screens, print."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.analysis import summary
from lab.language.message import Language
from lab.report import page as report_page
from lab.report.calculator import Question, answer, cells, figures
from lab.results import run_folder
from tests.lab import plausible
from tests.lab.with_samples import with_samples
from tests.system.browser import page_checks

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from lab.results.run_folder import Run

LONGEST_SECONDS = 1.0  # of the page's own thread; other processes may use the CPUs as well
LARGEST_BYTES = 3_000_000
SMALLEST_TEXT_PIXELS = 9.9
FONT_PIXELS = 6  # by which a text may be wider in the reader's font than in Matplotlib's
ODD = "<img src=x onerror=alert(1)>&\"'"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_folder.load(plausible.write(tmp_path_factory.mktemp("report") / "run"))


@pytest.fixture(scope="module")
def written(run: Run) -> Path:
    path = run.path / "report.html"
    path.write_text(report_page.page(run), encoding="utf-8")
    return path


@pytest.fixture
def opened(page: Page, written: Path) -> Page:
    page.goto(written.as_uri())
    return page


def choose(page: Page, name: str) -> None:
    page.locator(".switch label", has_text=name).click()


def visible(page: Page, css_class: str) -> int:
    return int(
        page.evaluate(
            "(name) => [...document.getElementsByClassName(name)]"
            ".filter((each) => each.checkVisibility()).length",
            css_class,
        )
    )


def table_of(page: Page, name: str) -> Locator:
    return page.locator(f'table[aria-labelledby="table-{name}"]')


def column(table: Locator, heading: str) -> list[str]:
    """Return the texts below a heading; a table is laid out when it is in view."""
    table.scroll_into_view_if_needed()
    table.page.wait_for_timeout(200)
    headings = [
        text.strip().replace("\u00a0", " ") for text in table.locator("thead th").all_inner_texts()
    ]
    place = next(n for n, text in enumerate(headings) if text.startswith(heading))
    cells: list[str] = table.locator(f"tbody tr td:nth-child({place + 1})").all_inner_texts()
    return cells


def test_each_figure_is_described_and_shown(opened: Page) -> None:
    assert not page_checks.images_without_text(opened)
    for show in (page_checks.wide, page_checks.narrow):
        show(opened)
        assert opened.locator("figure svg:visible").count() == 10
        described = opened.locator("figure svg:visible [role=img].lang-en").evaluate_all(
            "(all) => all.map((each) => each.getAttribute('aria-label'))"
        )
        assert len(described) == 10
        assert all(len(text) > 40 for text in described)


def test_one_language_is_shown_at_a_time_and_the_anchors_are_the_same(opened: Page) -> None:
    assert opened.evaluate("document.documentElement.lang") == "en"
    assert visible(opened, "lang-en") > 100
    assert visible(opened, "lang-zh") == 0
    anchors = opened.locator(".contents a").evaluate_all("(all) => all.map((each) => each.hash)")
    choose(opened, "中文")
    assert opened.evaluate("document.documentElement.lang") == "zh"
    assert visible(opened, "lang-en") == 0
    assert visible(opened, "lang-zh") > 100
    assert "容器与虚拟机" in opened.title()
    assert opened.locator("h1").inner_text() == "容器与虚拟机：说法与实测"
    for anchor in anchors:
        assert opened.locator(anchor).count() == 1


def test_the_chosen_language_is_remembered_and_an_address_can_ask_for_one(
    opened: Page, written: Path
) -> None:
    choose(opened, "中文")
    opened.reload()
    assert opened.evaluate("document.documentElement.lang") == "zh"
    opened.goto(f"{written.as_uri()}?lang=en#density")
    assert opened.evaluate("document.documentElement.lang") == "en"
    opened.goto(f"{written.as_uri()}#lang=zh")
    assert opened.evaluate("document.documentElement.lang") == "zh"
    assert opened.locator("#language-zh").is_checked()


def test_the_switch_works_by_keyboard(opened: Page) -> None:
    opened.locator("#language-en").focus()
    opened.keyboard.press("ArrowRight")
    assert opened.evaluate("document.documentElement.lang") == "zh"


def test_every_link_within_the_page_leads_somewhere(opened: Page) -> None:
    lost = opened.evaluate("""() => [...document.querySelectorAll('a[href^="#"]')]
      .map((each) => each.getAttribute('href')).filter((each) => !document.querySelector(each))""")
    assert not lost


def test_a_table_sorts_by_keyboard_and_by_unit(opened: Page) -> None:
    table = table_of(opened, "startup-first-instruction")
    button = table.get_by_role("button", name="median")
    button.focus()
    opened.keyboard.press("Enter")
    heading = table.locator("thead th", has_text="median")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert opened.evaluate("document.activeElement.tagName") == "BUTTON"
    shown = column(table, "median")
    scale = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
    seconds = [float(text.split()[0]) * scale[text.split()[1]] for text in shown]
    assert {text.split()[1] for text in shown} == {"µs", "ms", "s"}
    assert seconds == sorted(seconds)
    opened.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(table, "median") == shown[::-1]


def test_unknown_values_are_last_in_both_directions(opened: Page) -> None:
    table = table_of(opened, "measurements")
    button = table.get_by_role("button", name="95 % interval")
    for _ in range(2):
        button.click()
        unknown = [text == "—" for text in column(table, "95 % interval")]
        assert any(unknown)
        assert unknown == sorted(unknown)


def test_targets_share_a_rank_where_their_intervals_overlap(opened: Page) -> None:
    table = table_of(opened, "performance-ratios")
    rows = zip(*(column(table, name) for name in ("metric", "target", "rank")), strict=True)
    ranks = {target: rank for metric, target, rank in rows if metric == "cpu-hash"}
    # Podman, crun and our container take 1.01 to 1.02 × in these values, the machines 9 and 10 ×.
    assert ranks["container"] == "1 – 3"
    assert ranks["crun"] == "1 – 3"
    assert ranks["vm (emulated)"] in ("4", "4 – 5")


def test_a_csv_holds_the_figures_in_base_units(opened: Page, run: Run, tmp_path: Path) -> None:
    with opened.expect_download() as downloaded:
        opened.locator('a[download$="startup-first-instruction.csv"]').click()
    downloaded.value.save_as(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {
        (each.target, each.metric): each.median
        for each in summary.measurements(run)
        if each.experiment == "startup" and each.metric in ("first-instruction", "ready")
    }
    found = {
        (row["target"], row["metric"]): float(row["median"])
        for row in rows
        if row["metric"] in ("first-instruction", "ready")
    }
    assert found == expected


def test_the_raw_samples_can_be_saved(opened: Page, run: Run, tmp_path: Path) -> None:
    import gzip

    with opened.expect_download() as downloaded:
        opened.locator('a[download$="measurements.csv.gz"]').click()
    downloaded.value.save_as(tmp_path / "samples.gz")
    samples = gzip.decompress((tmp_path / "samples.gz").read_bytes())
    assert samples == (run.path / "measurements.csv").read_bytes()


@pytest.mark.parametrize(
    "question",
    [
        Question(),
        Question(123_456, 16, 40, 1.0),
        Question(10, 1024, 1, 0.1),
        Question(999_999, 4, 1, 0.0),
    ],
    ids=["as it opens", "many", "few", "most"],
)
def test_the_sliders_compute_what_python_computes(
    opened: Page, run: Run, written: Path, question: Question
) -> None:
    opened.goto(
        f"{written.as_uri()}?again#instances={question.instances}&host_gib={question.host_gib}"
        f"&price={question.price}&slower={question.slower * 100}"
    )
    assert len(figures(run)) == 2
    for each in figures(run):
        row = opened.locator(f'#calculator tr[data-target="{each.target}"] td')
        assert tuple(row.all_inner_texts()) == cells(answer(each, question))


def test_a_slider_moves_by_keyboard_and_changes_the_answer(opened: Page, run: Run) -> None:
    slider = opened.locator('input[type=range][data-for="instances"]')
    before = opened.locator("#calculator tbody").inner_text()
    slider.focus()
    opened.keyboard.press("End")
    assert opened.locator("#number-instances").input_value() == "1000000"
    assert slider.get_attribute("aria-valuetext") == "1,000,000"
    assert opened.locator("#calculator tbody").inner_text() != before
    target = figures(run)[0]
    count = answer(target, Question(instances=1_000_000)).hosts
    shown = opened.locator(f'tr[data-target="{target.target}"] td').first.inner_text()
    assert shown.startswith(f"{count:,}")


@pytest.mark.parametrize("language", ["English", "中文"])
def test_the_page_fits_a_telephone(opened: Page, language: str) -> None:
    page_checks.narrow(opened)
    choose(opened, language)
    assert page_checks.sideways_scroll_pixels(opened) == 0
    box = table_of(opened, "measurements").locator("xpath=..")
    box.scroll_into_view_if_needed()
    opened.wait_for_timeout(200)
    assert box.get_attribute("tabindex") == "0"
    assert box.evaluate("(each) => each.scrollWidth > each.clientWidth")


@pytest.mark.parametrize("language", ["English", "中文"])
def test_a_telephone_shows_whole_figures_with_legible_text(opened: Page, language: str) -> None:
    page_checks.narrow(opened)
    choose(opened, language)
    texts = opened.evaluate("""() => [...document.querySelectorAll('figure svg')]
      .filter((each) => each.checkVisibility()).flatMap((drawing) => {
        const box = drawing.getBoundingClientRect();
        const scale = box.width / drawing.viewBox.baseVal.width;
        return [...drawing.querySelectorAll('text')].filter((each) => each.checkVisibility())
          .map((each) => {
            const { left, right } = each.getBoundingClientRect();
            return { text: each.textContent,
                     size: scale * parseFloat(getComputedStyle(each).fontSize),
                     beyond: Math.max(box.left - left, right - box.right, right - innerWidth) };
          });
      })""")
    assert len(texts) > 200
    assert [each for each in texts if each["size"] < SMALLEST_TEXT_PIXELS] == []
    assert [each for each in texts if each["beyond"] > FONT_PIXELS] == []
    assert opened.locator("figure .scroll").count() == 0


def test_text_beside_a_figure_stays_beside_it_and_never_covers_the_table(opened: Page) -> None:
    covered = opened.evaluate("""() => {
      const covered = [];
      for (const finding of document.querySelectorAll('.finding:has(figure):has(.data)')) {
        const [words, table] = ['.words', '.data'].map((each) => finding.querySelector(each));
        for (const from of [100, 300, 500, 700]) {
          scrollBy({ top: table.getBoundingClientRect().top - from, behavior: 'instant' });
          const [text, box] = [words, table].map((each) => each.getBoundingClientRect());
          if (text.bottom > box.top) covered.push(`${words.textContent.slice(0, 40)} ${from}`);
        }
      }
      return covered;
    }""")
    assert not covered


def test_headings_are_printed_on_each_page_of_a_table(opened: Page) -> None:
    """Chromium repeats the texts of headings on further pages, but not a button that is a box."""
    page_checks.printed(opened)
    displays = opened.locator("thead th button").evaluate_all(
        "(all) => [...new Set(all.map((each) => getComputedStyle(each).display))]"
    )
    assert displays == ["contents"]


def test_the_page_is_printed_whole(opened: Page) -> None:
    page_checks.printed(opened)
    opened.set_viewport_size({"width": 704, "height": 1000})  # A4 without margins
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page_checks.sideways_scroll_pixels(opened) == 0
    cut = opened.evaluate("""() => [...document.querySelectorAll('.scroll')].filter((box) =>
      box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1)
      .map((box) => box.outerHTML.slice(0, 200))""")
    assert not cut
    assert opened.locator("details:not([open])").count() == 0
    for name in ("instances", "host_gib", "price", "slower"):
        assert opened.locator(f"#number-{name}").is_visible()
    assert not opened.locator(".switch").is_visible()


@pytest.mark.parametrize("language", ["English", "中文"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_checker_of_accessibility_finds_nothing_serious(
    opened: Page, language: str, scheme: str
) -> None:
    if scheme == "dark":
        page_checks.dark(opened)
    choose(opened, language)
    assert not page_checks.serious_findings(opened)


def test_names_are_never_markup(page: Page, run: Run, tmp_path: Path) -> None:
    samples = run.samples.assign(target=run.samples["target"].replace("container", ODD))
    odd = with_samples(run, samples, host={**run.host, "hostname": ODD})
    (tmp_path / "odd.html").write_text(report_page.page(odd), encoding="utf-8")
    page.goto((tmp_path / "odd.html").as_uri())
    assert page.locator("img").count() == 0
    table = table_of(page, "startup-first-instruction")
    assert ODD in column(table, "target")
    for figure in figures(odd):
        assert page.locator("#calculator th", has_text=figure.label).count() == 1
    assert json.loads(page.locator("#calculator-data").inner_text())


def test_a_page_without_scripts_can_be_read_in_both_languages(page: Page, written: Path) -> None:
    assert page.context.browser
    context = page.context.browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(written.as_uri())
    english, chinese = plain.locator("h1 .lang-en"), plain.locator("h1 .lang-zh")
    assert (english.is_visible(), chinese.is_visible()) == (True, False)
    choose(plain, "中文")
    assert (english.is_visible(), chinese.is_visible()) == (False, True)
    context.close()


def test_a_page_in_one_language_has_only_that(page: Page, run: Run, tmp_path: Path) -> None:
    chinese = tmp_path / "chinese.html"
    chinese.write_text(report_page.page(run, (Language.CHINESE,)), encoding="utf-8")
    page.goto(chinese.as_uri())
    assert page.evaluate("document.documentElement.lang") == "zh"
    assert page.locator(".switch").count() == 0
    assert "一个空闲实例占用多少？" in page.locator("main").inner_text()
    assert not page_checks.images_without_text(page)


@pytest.mark.parametrize("name", ["2026-11-29-vm-full", "2026-11-29-vm"])
def test_committed_pages_are_small_and_open_at_once(page: Page, name: str) -> None:
    path = Path(__file__).parents[3] / "results" / name / "report.html"
    assert path.stat().st_size <= LARGEST_BYTES
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    metrics = {
        each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]
    }
    assert 0 < metrics["TaskDuration"] < LONGEST_SECONDS
    assert re.search(r"\d{4}-\d\d-\d\d-vm", page.title())
