"""The sections of the report that show the data: views, nearest neighbours, the map."""

from __future__ import annotations

import html
from types import ModuleType

from tacit.reporting import figures
from tacit.reporting.atlas import clusters, make_atlas, neighbours, queries, usable
from tacit.reporting.gallery import Gallery
from tacit.reporting.page import Page, Section, missing
from tacit.reporting.pictures import Sprite, caption_of
from tacit.reporting.words import percent, plural

NEIGHBOURS = 8
QUERIES = 8
ROWS = 12
VIEWS = 8


def gallery_sections(gallery: Gallery, plots: ModuleType, page: Page, seed: int) -> list[Section]:
    """Views, neighbours and map; the pictures' sheets go into the page's style sheet."""
    if not len(gallery.thumbnails):
        return absent("the gallery is empty")
    sprite = Sprite.of("thumbs", gallery.thumbnails, plots, 96)
    page.rules.append(sprite.css())
    note = caption_of(plots, gallery.thumbnails)
    caption = f'<p class="note">{html.escape(note)}</p>' if note else ""
    return [
        views_section(gallery, plots, page, sprite, caption),
        neighbours_section(gallery, sprite, caption),
        map_section(gallery, page, sprite, caption, seed),
    ]


def absent(reason: str) -> list[Section]:
    """The same sections where there is nothing to show, with the reason."""
    return [
        Section("views", "Views as the encoder saw them", missing(reason), "Views"),
        Section("neighbours", "Nearest neighbours", missing(reason), "Neighbours"),
        Section("map-of-embeddings", "Map of the embeddings", missing(reason), "Map"),
    ]


def views_section(gallery: Gallery, plots: ModuleType, page: Page, sprite: Sprite, caption: str) -> Section:
    """Each original with the views made of it."""
    key, title = "views", "Views as the encoder saw them"
    if not gallery.views.size:
        return Section(key, title, missing("the gallery holds no views"), "Views")
    views = gallery.views[:VIEWS, :ROWS]
    kinds, count = views.shape[:2]
    seen = Sprite.of("seen", views.reshape(kinds * count, *views.shape[2:]), plots, 128)
    page.rules.append(seen.css())
    rows = []
    for i in range(count):
        source = int(gallery.view_sources[i])
        name = str(gallery.names[source])
        made = "".join(seen.tile(v * count + i, f"view {v + 1} of {name}") for v in range(kinds))
        rows.append(
            f'<div class="view-row">{sprite.tile(source, name)}'
            f'<span class="arrow" aria-hidden="true">→</span>{made}</div>'
        )
    text = f"Left of each arrow an original, right of it {plural(kinds, 'view')} that training made of it."
    return Section(key, title, f'<p>{text}</p>{caption}<div class="views">{"".join(rows)}</div>', "Views")


def neighbours_section(gallery: Gallery, sprite: Sprite, caption: str) -> Section:
    """Some samples, each with those whose embeddings point most nearly the same way."""
    key, title = "neighbours", "Nearest neighbours"
    if len(usable(gallery.embeddings)) < 2:
        return Section(key, title, missing("fewer than two samples have a usable embedding"), "Neighbours")
    asked = queries(gallery, QUERIES)
    found, similarity = neighbours(gallery.embeddings, asked, NEIGHBOURS)
    rows, same, compared = [], 0, 0
    for query, near, values in zip(asked, found, similarity, strict=True):
        cells = []
        for other, value in zip(near, values, strict=True):
            mark, frame = "", ""
            if gallery.labels[query] >= 0 and gallery.labels[other] >= 0:
                alike = bool(gallery.labels[query] == gallery.labels[other])
                same, compared = same + alike, compared + 1
                mark, frame = ("✓ ", ' class="same"') if alike else ("✗ ", ' class="other"')
            words = mark + (gallery.class_name(other) or "")
            cells.append(
                f"<figure{frame}>{sprite.tile(other, str(gallery.names[other]))}"
                f"<figcaption><b>{value:.2f}</b> {html.escape(words)}</figcaption></figure>"
            )
        label = gallery.class_name(query) or str(gallery.names[query])
        rows.append(
            f'<div class="near-row"><figure class="query">{sprite.tile(query, str(gallery.names[query]))}'
            f"<figcaption><b>{html.escape(label)}</b></figcaption></figure>"
            f'<div class="near-list">{"".join(cells)}</div></div>'
        )
    text = (
        f"Each row: one sample and its {found.shape[1]} nearest among the gallery's "
        f"{plural(len(gallery.names), 'sample')}, with the cosine of their embeddings."
    )
    if compared:
        share = percent(same / compared)
        text += (
            " A tick and a green frame mark a neighbour of the same class, a cross and an orange frame "
            f"one of another; here {same} of {compared} ({share}) are of the same class."
        )
    body = f'<p>{text}</p>{caption}<div class="near">{"".join(rows)}</div>'
    return Section(key, title, body, "Neighbours")


def map_section(gallery: Gallery, page: Page, sprite: Sprite, caption: str, seed: int) -> Section:
    """All samples on a plane; a pointer shows the picture."""
    key, title = "map-of-embeddings", "Map of the embeddings"
    atlas = make_atlas(gallery.embeddings, seed)
    if atlas is None:
        reason = "the embeddings do not differ (or fewer than two are usable), so there is nothing to map"
        return Section(key, title, missing(reason), "Map")
    labelled = bool((gallery.labels[atlas.index] >= 0).any())
    groups = gallery.labels[atlas.index] if labelled else clusters(gallery.embeddings[atlas.index], seed)
    names = figures.group_names(gallery, groups, labelled)
    items = [{"at": "", "name": "", "group": ""} for _ in gallery.names]
    for place, group in zip(atlas.index, groups, strict=True):
        items[place] = {
            "at": sprite.at(place),
            "name": str(gallery.names[place]),
            "group": names.get(int(group), "unknown class"),
        }
    page.data["map-samples"] = {"items": items}
    page.data["data-map"] = figures.atlas_figure(atlas, groups, names)
    colours = "their class" if labelled else "the k-means cluster of their embedding"
    dropped = len(gallery.names) - len(atlas.index)
    rest = f" {plural(dropped, 'sample')} of the gallery are not on it." if dropped else ""
    how = (
        f"{plural(len(atlas.index), 'sample')}, coloured by {colours}. Made with {atlas.how}: "
        f"near points have similar embeddings, distances between far groups mean little.{rest}"
    )
    card = sprite.tile(0, "")
    return Section(
        key, title,
        f"<p>Point at a dot to see what it stands for. {html.escape(how)}</p>{caption}"
        f'<figure class="chart"><div class="plot tall" id="map" data-figure="data-map" role="img" '
        f'aria-label="2-D map of the embeddings"></div>'
        f'<div id="map-card" aria-live="polite">{card}<strong></strong><span class="name"></span></div>'
        "</figure>",
        "Map",
    )  # fmt: skip
