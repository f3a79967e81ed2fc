"""The report in a real browser, opened as a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from headless import Chromium, find
from PIL import Image

from tacit.reporting import load_gallery, write_report

sys.path.append(str(Path(__file__).parents[1] / "reporting"))
from fake_run import write_run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find() is None, reason="no chromium, chromium-browser or google-chrome on PATH"),
]

LONELIEST = """(() => {
  const map = document.getElementById("map");
  map.scrollIntoView({ block: "center", behavior: "instant" });
  const points = [...map.querySelectorAll(".scatterlayer .trace")].flatMap((trace, t) =>
    [...trace.querySelectorAll("path.point")].map((dot, i) => {
      const box = dot.getBoundingClientRect();
      return { x: box.x + box.width / 2, y: box.y + box.height / 2, sample: map.data[t].customdata[i] };
    }));
  const far = (p, q) => (p === q ? Infinity : Math.hypot(p.x - q.x, p.y - q.y));
  const alone = (p) => Math.min(...points.map((q) => far(p, q)));
  return points.reduce((best, p) => (alone(p) > alone(best) ? p : best));
})()"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("report run") / "run", count=120)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(find() or "", tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: Chromium, run: Path) -> Chromium:
    browser.errors.clear()
    browser.requests.clear()
    browser.resize(1280, 900)
    browser.open((run / "report.html").as_uri())
    browser.wait("[...document.querySelectorAll('[data-figure]')].every((p) => p.querySelector('svg.main-svg'))")
    return browser


def test_everything_is_drawn_without_errors_or_requests(page: Chromium) -> None:
    drawn = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('[data-figure]')].map((p) => "
        "[p.id, p.querySelectorAll('.scatterlayer path, .barlayer path').length]))"
    )
    assert len(drawn) == 10
    assert all(drawn.values()), drawn
    assert drawn["map"] >= 120
    assert page.errors == []
    assert page.requests == []


def test_pointing_at_the_map_shows_the_picture_of_that_sample(page: Chromium, run: Path) -> None:
    assert page.evaluate("getComputedStyle(document.getElementById('map-card')).display") == "none"
    point = page.evaluate(LONELIEST)
    page.point(point["x"] - 3, point["y"])
    page.point(point["x"], point["y"])
    page.wait("getComputedStyle(document.getElementById('map-card')).display === 'block'")
    gallery = load_gallery(run / "gallery.npz")
    sample = point["sample"]
    shown = page.evaluate("['strong', '.name'].map((s) => document.querySelector('#map-card > ' + s).textContent)")
    assert shown == [str(gallery.labels[sample]), str(gallery.names[sample])]

    box = page.evaluate(
        "(() => { const b = document.querySelector('#map-card .tile').getBoundingClientRect();"
        "return { x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height } })()"
    )
    picture = Image.open(io.BytesIO(page.screenshot(box))).convert("L").resize((32, 32), Image.Resampling.BOX)
    others = gallery.thumbnails[:, 0].astype(float)
    distance = np.abs(others - np.asarray(picture, float)).mean((1, 2))
    assert distance.argmin() == sample

    page.point(5, 5)
    page.wait("getComputedStyle(document.getElementById('map-card')).display === 'none'")
    assert page.errors == []


def test_dark_and_light_follow_the_reader_while_the_page_is_open(page: Chromium) -> None:
    look = (
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('#chart-loss .xtick text')).fill]"
    )
    light = page.evaluate(look)
    page.resize(1280, 900, dark=True)
    ink = "getComputedStyle(document.querySelector('#chart-loss .xtick text')).fill"
    page.wait(f"{ink} !== '{light[1]}'")
    brightness = [sum(int(v) for v in colour[4:-1].split(",")) for colour in (*light, *page.evaluate(look))]
    paper, text, dark_paper, dark_text = brightness
    assert paper > text
    assert dark_paper < dark_text


@pytest.mark.parametrize("width", [360, 420, 768])
def test_narrow_screens_need_no_sideways_scrolling(page: Chromium, width: int) -> None:
    page.resize(width, 800)
    page.wait(f"document.documentElement.clientWidth === {width}")
    page.wait("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_logarithmic_switch_switches(page: Chromium) -> None:
    kind = "document.getElementById('chart-loss')._fullLayout.yaxis.type"
    assert page.evaluate(kind) == "linear"
    page.evaluate("document.querySelector('[data-log=chart-loss]').click()")
    page.wait(f"{kind} === 'log'")
    page.evaluate("document.querySelector('[data-log=chart-loss]').click()")
    page.wait(f"{kind} === 'linear'")


def test_names_that_look_like_code_do_nothing(browser: Chromium, tmp_path: Path) -> None:
    names = [
        "</script><script>window.hacked=1</script>",
        '<img src=x onerror="window.hacked=1">',
        "<b>bold</b>",
    ]
    folder = write_run(tmp_path / "run", count=3, names=names, labels=[0, 1, 2], classes=names)
    browser.errors.clear()
    browser.requests.clear()
    browser.resize(1280, 900)
    browser.open(write_report(folder).as_uri())
    browser.wait("document.querySelector('#map svg.main-svg')")
    point = browser.evaluate(LONELIEST)
    browser.point(point["x"] - 3, point["y"])
    browser.point(point["x"], point["y"])
    browser.wait("getComputedStyle(document.getElementById('map-card')).display === 'block'")
    assert browser.evaluate("document.querySelector('#map-card strong').textContent") == names[point["sample"]]
    legend = browser.evaluate("[...document.querySelectorAll('#map .legendtext')].map((t) => t.textContent)")
    assert legend == names
    assert browser.evaluate("typeof window.hacked") == "undefined"
    assert browser.errors == []
    assert browser.requests == []
