"""Ink -> staves, each five level lines -> systems -> strips of one height that the student reads.

Lines are found by a comb: a row where five dark rows stand as far apart as the spaces of the picture are high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vlm.reading.picture import Ink, ink_of, level

LINES = 5
SPACE = 5  # pixels between two lines of a strip
HEIGHT = 80  # pixels of a strip: the staff, and six spaces above and below
LONGEST = 1600  # pixels of a strip's width; what is longer is made narrower
LEAST_SPACE = 3.2  # that is looked for, in pixels; 64 is the most
EDGE = 64  # rows of paper put above and below a picture: a staff may touch its edge
SMALL = 1_200_000  # pixels of a picture that is enlarged to find its staves
REACHES = (2, 4, 8, 16)  # pixels above and below a line that must be paler than it
CLEAR = 0.25  # of what is seen at the clearest spacing: a finer one that has this much is the lines'
SHORTEST = 0.12  # of a staff, beside the picture's width
FAINTEST = 0.03  # ink of a staff's lines
LEAST_DARKER = 0.15  # of a staff's lines, beside the clearest staff's


@dataclass(frozen=True)
class Staff:
    """In pixels of its picture. ``top``, ``bottom``: of the outer lines; ``left``, ``right``: where the lines end"""

    top: float
    bottom: float
    left: int
    right: int

    @property
    def space(self) -> float:
        return (self.bottom - self.top) / (LINES - 1)

    @property
    def centre(self) -> float:
        return (self.top + self.bottom) / 2

    def scaled(self, factor: float) -> Staff:
        """The same staff on the picture made so much larger."""
        ends = (round(self.left * factor), round(self.right * factor))
        return Staff(self.top * factor, self.bottom * factor, *ends)


class _Comb:
    """How much darker than the spaces between them five lines are that begin at a row, for any spacing."""

    def __init__(self, profile: Ink) -> None:
        self.profile = profile
        self.highest: dict[int, Ink] = {}  # of a row and so many beside it

    def __call__(self, space: float) -> Ink:
        """-> (rows,)"""
        near = max(1, round(space / 6))
        if near not in self.highest:
            padded = np.pad(self.profile, near)
            self.highest[near] = np.lib.stride_tricks.sliding_window_view(padded, 2 * near + 1).max(1)
        highest = self.highest[near]
        count = len(highest) - round((LINES - 1) * space) - 1
        if count <= 0:
            return np.zeros(0, np.float32)
        lines = [round(line * space) for line in range(LINES)]
        between = [round((line + 0.5) * space) for line in range(LINES - 1)]
        darkest = np.min([highest[at : at + count] for at in lines], axis=0)
        darker = darkest - np.max([self.profile[at : at + count] for at in between], axis=0)
        out: Ink = np.maximum(darker, 0).astype(np.float32)
        return out


def _spacing(profile: Ink, least: float, most: float) -> tuple[float, float]:
    """The spacing at which most is seen of combs of five lines, and how much that is."""
    comb = _Comb(profile)

    def seen(space: float) -> float:
        return float(np.square(comb(space)).sum() / space**2)

    coarse = np.arange(least, min(most, len(profile) / LINES), 0.25)
    if not len(coarse):
        return 0.0, 0.0
    best = max(coarse, key=seen)
    best = max((best - 0.125, best, best + 0.125), key=seen)
    return float(best), seen(best)


def _lines(ink: Ink) -> tuple[Ink, float]:
    """What on a picture may be lines of staves, and how many pixels they are apart; 0 where none are seen.

    What is a line depends on how large a staff is, so several sizes are tried.
    """
    found: list[tuple[float, float, Ink]] = []
    for reach in REACHES:
        lines = _thin(ink, reach)
        space, seen = _spacing(np.pad(lines.sum(1), EDGE), max(LEAST_SPACE, 1.6 * reach), 4 * reach)
        found.append((seen, space, lines))
    most = max(seen for seen, _, _ in found)
    if not most:
        return found[0][2], 0.0
    # five staves, one below the other, are a comb too
    clear = [f for f in found if f[0] >= CLEAR * most]
    finest = min(space for _, space, _ in clear)
    _, space, lines = max((f for f in clear if f[1] < 1.3 * finest), key=lambda f: f[0])
    return lines, space


def _thin(ink: Ink, reach: int) -> Ink:
    """What is darker than both above and below it: lines, not heads and beams."""
    padded = np.pad(ink, ((reach, reach), (0, 0)))
    out: Ink = np.clip(ink - np.maximum(padded[: -2 * reach], padded[2 * reach :]), 0, None)
    return out


def find_staves(ink: Ink) -> list[Staff]:
    """The staves of a level picture, from the top."""
    bolder = np.sqrt(ink)  # faint lines are nearer to clear ones, and so is dirt
    found, space = _clear_staves(ink)
    if not found:
        found, space = _clear_staves(bolder)
    # what is fainter than those, or has lines between two rows of pixels, is a staff where it is as long as they are
    least = FAINTEST * SHORTEST * ink.shape[1]
    for shown in (ink, bolder):
        for reach in REACHES:
            if found and 1.3 * reach <= space <= 4 * reach:
                found += _in_rows(_thin(shown, reach), space, found, lambda _: least)
    return sorted(found, key=lambda staff: staff.top)


def _clear_staves(ink: Ink) -> tuple[list[Staff], float]:
    """The staves whose lines are about as clear as the clearest, and the spacing of these."""
    lines, space = _lines(ink)
    if not space:
        return [], 0.0
    least = FAINTEST * SHORTEST * ink.shape[1]
    return _in_rows(lines, space, [], lambda comb: max(LEAST_DARKER * comb.max(), least)), space


def _in_rows(lines: Ink, space: float, known: Sequence[Staff], least: Callable[[Ink], float]) -> list[Staff]:
    """Staves where a comb of this spacing stands clearest, apart from each other and from those that are known.

    least: what a comb must have, of the combs of all rows. Where staves are known, others end where they do.
    """
    comb = _Comb(np.pad(lines.sum(1), EDGE))(space)
    if not len(comb):
        return []
    faintest = least(comb)
    found: list[Staff] = []
    for row in np.argsort(-comb, kind="stable"):
        if comb[row] < faintest:
            break
        if all(abs(row - EDGE - staff.top) > LINES * space for staff in (*known, *found)):
            staff = _staff(lines, int(row) - EDGE, space)
            if staff is not None and (not known or any(_alike(staff, other) for other in known)):
                found.append(staff)
    return found


def _alike(staff: Staff, other: Staff) -> bool:
    """Whether two staves are as high and begin and end at the same place."""
    near = 2 * other.space
    return (
        abs(staff.space - other.space) < 0.08 * other.space
        and abs(staff.left - other.left) < near
        and abs(staff.right - other.right) < near
    )


def _staff(lines: Ink, row: int, space: float) -> Staff | None:
    """The staff whose first line lies near a row, its ends where its lines end."""
    profile = lines.sum(1)
    near = max(1, round(space / 6))
    rows = []
    for line in range(LINES):
        at = round(row + line * space)
        start, stop = max(0, at - near), min(len(profile), at + near + 1)
        weights = profile[start:stop]
        rows.append(float((weights * np.arange(start, stop)).sum() / max(weights.sum(), 1e-9)))
    slope, top = np.polyfit(np.arange(LINES), rows, 1)
    places = [max(0, round(top + slope * line)) for line in range(LINES)]
    ink = np.stack([lines[max(0, y - near) : y + near + 1].max(0) for y in places])  # (lines, width)
    faint = np.clip(0.5 * np.percentile(ink, 75, axis=1), FAINTEST, 0.1)  # thin lines of a small picture
    there = (ink > faint[:, None]).sum(0) >= LINES - 2  # heads hide some  # (width,)
    gap = round(4 * space)
    columns = np.flatnonzero(there)
    if not len(columns):
        return None
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > gap) + 1)
    longest = max(runs, key=len)
    if len(longest) < SHORTEST * lines.shape[1]:
        return None
    return Staff(float(top), float(top + slope * (LINES - 1)), int(longest[0]), int(longest[-1]))


def systems_of(ink: Ink, staves: Sequence[Staff]) -> list[list[Staff]]:
    """Staves that a line at their left end joins stand together."""
    leftmost = min((staff.left for staff in staves), default=0)
    out: list[list[Staff]] = []
    for staff in staves:
        # where a staff is torn, its left end is taken for further right than it is
        if out and any(_joined(ink, out[-1][-1], staff, at) for at in {leftmost, out[-1][-1].left, staff.left}):
            out[-1].append(staff)
        else:
            out.append([staff])
    return out


def _joined(ink: Ink, upper: Staff, lower: Staff, left: int) -> bool:
    """Whether a line goes from staff to staff near a column."""
    reach = round(2 * upper.space)
    between = ink[round(upper.bottom) + 1 : round(lower.top), max(0, left - reach) : left + reach]
    if not between.size:
        return True
    wide = np.maximum(between, np.maximum(np.roll(between, 1, 1), np.roll(between, -1, 1)))
    wide = wide - np.median(between, axis=1, keepdims=True)  # grey paper is no line
    return bool(((wide > 0.07).mean(0) > 0.8).any())


def strip_of(ink: Ink, staff: Staff, left: int = 0) -> Ink:
    """A staff and what is beside and around it, scaled so that its spaces are SPACE pixels. -> (HEIGHT, width)"""
    scale = SPACE / staff.space
    half = HEIGHT / 2 / scale
    right = min(ink.shape[1], round(staff.right + 2 * staff.space))
    width = min(LONGEST, max(SPACE, round((right - left) * scale)))
    picture = Image.fromarray(ink).transform(
        (width, HEIGHT), Image.Transform.EXTENT, (left, staff.centre - half, right, staff.centre + half),
        Image.Resampling.BILINEAR,
    ) if scale > 0.7 else _smaller(ink, (left, staff.centre - half, right, staff.centre + half), width)  # fmt: skip
    return np.asarray(picture, np.float32)


def _smaller(ink: Ink, box: tuple[float, float, float, float], width: int) -> Image.Image:
    """Boxes that reach over the picture's edge are filled with paper."""
    above, below = max(0, int(-box[1]) + 1), max(0, int(box[3] - ink.shape[0]) + 1)
    padded = Image.fromarray(np.pad(ink, ((above, below), (0, 0))))
    return padded.resize(
        (width, HEIGHT), Image.Resampling.BOX, (box[0], box[1] + above, box[2], box[3] + above), reducing_gap=None
    )


def strips(image: Image.Image) -> list[list[Ink]]:
    """The strips of each system of a picture, from the top."""
    straight = level(image)
    ink = ink_of(straight)
    enlarged = 2 if ink.size < SMALL else 1  # lines as thin as a pixel stand clearer between two
    shown = ink if enlarged == 1 else ink_of(straight.resize((2 * ink.shape[1], 2 * ink.shape[0])))
    systems = systems_of(shown, find_staves(shown))
    return [[strip_of(ink, staff.scaled(1 / enlarged)) for staff in system] for system in systems]
