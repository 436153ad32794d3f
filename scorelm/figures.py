"""The figures of scorelm.evaluate as a picture: likelihood beside what was published, samples beside the split.

nats a sixteenth as bars | a pair of bars for each musical figure, the longer one of a pair as wide as its column
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from scorelm.report import MUSICAL, shown

WIDTH, MARGIN, ROW = 900, 24, 26
LABELS, BARS = 400, 380  # where bars begin, and how wide they are at most
OWN, OTHER, INK = "#1b6ca8", "#b9c4cc", "#222"
LEFT_OUT = (
    "parse",
    "sound",
    "measures_median",
    "notes_per_quarter_median",
    "parallel_fifths_contrary_per_1000",
    "parallel_octaves_contrary_per_1000",
)


def draw_figures(found: dict[str, Any], path: str | Path) -> None:
    """Write the picture, .svg or .png by its ending."""
    from scorelm.render import draw

    target = Path(path)
    svg = figures_svg(found)
    if target.suffix.lower() == ".svg":
        target.write_text(svg, encoding="utf-8")
    else:
        target.write_bytes(draw(svg, "PNG", scale=2))


def figures_svg(found: dict[str, Any]) -> str:
    canvas = _Canvas()
    canvas.title(f"Nats a sixteenth step, Bach's chorales ({found['split']} pieces; less is better)")
    rows = [(f"{e['name']} ({e['pieces']})", e["nats_per_sixteenth"], None) for e in found["published"]]
    own = found["nats_per_sixteenth"]
    rows.append(("this model, every token", own, found["intervals_95"]["nats_per_sixteenth"]))
    widest = max(max(value, *(interval or [0.0])) for _, value, interval in rows)
    for label, value, interval in sorted(rows, key=lambda row: -row[1]):
        canvas.bar(label, value / widest, f"{value:.3f}", OWN if interval else OTHER, interval, widest)
    canvas.note("Others count pitches on a grid of sixteenths; this model pays for every token of the score.")
    if "musical" in found:
        samples, split = found["musical"]["samples"], found["musical"]["split"]
        canvas.title(f"{samples['pieces']} samples (dark) beside the {split['pieces']} {found['split']} pieces (light)")
        for key, label, how in MUSICAL:
            pair = (samples[key], split[key])
            if key in LEFT_OUT or None in pair:
                continue
            widest = 1.0 if how == "share" else max(*pair, 1e-9)
            canvas.pair(label, [(v / widest, shown(v, how)) for v in pair])
        copies = samples["copied"], split["copied"]
        if all(copies):
            pair = tuple(copy["max_measures"] for copy in copies)
            canvas.pair("longest run of measures as in a train piece", [(v / max(*pair, 1), str(v)) for v in pair])
    return canvas.svg()


class _Canvas:
    """Rows from the top down."""

    def __init__(self) -> None:
        self.y = MARGIN
        self.parts: list[str] = []

    def text(self, x: float, y: float, words: str, size: int = 13, weight: str = "normal") -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{INK}">{escape(words)}</text>'
        )

    def rectangle(self, y: float, share: float, height: float, colour: str) -> None:
        self.parts.append(
            f'<rect x="{LABELS}" y="{y:.1f}" width="{BARS * share:.1f}" height="{height:.1f}" fill="{colour}"/>'
        )

    def title(self, words: str) -> None:
        self.y += 8
        self.text(MARGIN, self.y + 10, words, 16, "bold")
        self.y += ROW

    def note(self, words: str) -> None:
        self.text(MARGIN, self.y + 12, words, 11)
        self.y += ROW

    def bar(
        self, label: str, share: float, value: str, colour: str, interval: list[float] | None, widest: float
    ) -> None:
        self.text(MARGIN, self.y + 14, label)
        self.rectangle(self.y, share, 18, colour)
        end = LABELS + BARS * share
        if interval:
            low, high = (LABELS + BARS * x / widest for x in interval)
            self.parts.append(
                f'<path d="M{low:.1f} {self.y + 9}H{high:.1f}M{low:.1f} {self.y + 4}v10M{high:.1f} {self.y + 4}v10"'
                f' stroke="{INK}" fill="none"/>'
            )
            end = high
        self.text(end + 6, self.y + 14, value)
        self.y += ROW

    def pair(self, label: str, bars: list[tuple[float, str]]) -> None:
        self.text(MARGIN, self.y + 16, label)
        for number, ((share, value), colour) in enumerate(zip(bars, (OWN, OTHER))):
            self.rectangle(self.y + 11 * number, share, 10, colour)
            self.text(LABELS + BARS * share + 6, self.y + 9 + 11 * number, value, 10)
        self.y += ROW + 4

    def svg(self) -> str:
        height = self.y + MARGIN
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
            f' font-family="sans-serif"><rect width="{WIDTH}" height="{height}" fill="white"/>{"".join(self.parts)}</svg>\n'
        )
