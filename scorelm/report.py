"""The figures of scorelm.evaluate as a table to read."""

from __future__ import annotations

from typing import Any

RATES = ("nats_per_sixteenth", "bits_per_quarter", "bits_per_note")
MUSICAL = (
    ("parse", "texts that parse", "share"),
    ("sound", "texts that are sound (every measure full)", "share"),
    ("measures_median", "measures, median", "number"),
    ("notes_per_quarter", "notes a quarter", "number"),
    ("notes_per_quarter_median", "  median of the pieces", "number"),
    ("crossings_per_1000_simultaneities", "voice crossings in 1000 simultaneities", "number"),
    ("out_of_range_per_1000_notes", "notes out of a choir's range in 1000", "number"),
    ("parallel_fifths_per_1000", "parallel fifths in 1000 pairs moving together", "number"),
    ("parallel_fifths_contrary_per_1000", "  of these by contrary motion", "number"),
    ("parallel_octaves_per_1000", "parallel octaves in 1000 pairs moving together", "number"),
    ("parallel_octaves_contrary_per_1000", "  of these by contrary motion", "number"),
    ("pieces_for_singers", "pieces in which two or more sing", "count"),
    ("parallel_fifths_of_singers_per_1000", "  their parallel fifths in 1000", "number"),
    ("parallel_octaves_of_singers_per_1000", "  their parallel octaves in 1000", "number"),
    ("major", "major among declared keys", "share"),
    ("key_agrees", "the notes say the key declared (Krumhansl)", "share"),
    ("last_chord_tonic_root_position", "last chord: tonic triad in root position", "share"),
    ("last_chord_triad_root_position", "last chord: a triad in root position", "share"),
    ("fermatas_per_100_quarters", "fermatas in 100 quarters", "number"),
    ("fermata_bass_degree_distance", "degrees under fermatas, distance to train", "distance"),
    ("pitch_class_distance", "pitch classes over the tonic, distance to train", "distance"),
    ("duration_distance", "durations, distance to train", "distance"),
    ("melodic_interval_distance", "melodic intervals, distance to train", "distance"),
)


def table(found: dict[str, Any]) -> str:
    lines = [
        f"{found['model']} on {found['split']}: {found['pieces']} pieces, {found['tokens']} tokens,"
        f" {found['quarters']:g} quarters, {found['notes']} notes ({found['notes_struck']} struck)",
        "",
        f"{'':44}{'nats a 16th':>22}{'bits a quarter':>24}{'bits a note':>22}",
        _rates("every token", found),
    ]
    if "without_near_doubles" in found:
        left_out = len(found["without_near_doubles"]["left_out"])
        lines.append(_rates(f"  without {left_out} near-doubles of train pieces", found["without_near_doubles"]))
    if "pieces_of_four_parts" in found:
        four = found["pieces_of_four_parts"]
        lines.append(_rates(f"  the {four['pieces']} pieces of four parts alone", four))
    if "choir_alone" in found:
        lines.append(_rates("  the four singing parts of every piece alone", found["choir_alone"]))
    for way, label in (("mean_over_keys", "the mean of p over {}"), ("learning_on", "learning on as it reads, {}")):
        if way in found:
            keys = found[way]["keys"]
            lines.append(_rates("every token, " + label.format(f"{keys} keys" if keys > 1 else "one key"), found[way]))
            if "pieces_of_four_parts" in found[way]:
                lines.append(_rates("  the pieces of four parts alone", found[way]["pieces_of_four_parts"]))
            if "choir_alone" in found[way]:
                lines.append(_rates("  the four singing parts of every piece alone", found[way]["choir_alone"]))
    if "conditional" in found:
        lines.append(_rates("  conditional: pitch and duration alone", found["conditional"]))
    lines += ["", "Published, nats a sixteenth (they count less: no spelling, ties, barlines, fermatas, end):"]
    lines += [
        f"  {entry['name']:<20}{entry['nats_per_sixteenth']:.3f}  {entry['pieces']}; {entry['counts']}"
        for entry in found["published"]
    ]
    if "by_kind_bits_per_quarter" in found:
        lines += ["", "Bits a quarter by kind: " + _listed(found["by_kind_bits_per_quarter"])]
    if "by_voice_bits_per_quarter" in found:
        pieces = found["pieces_of_four_parts"]["pieces"]
        lines += [f"Bits a quarter by voice, of {pieces} pieces: " + _listed(found["by_voice_bits_per_quarter"])]
    if "musical" in found:
        lines += ["", *musical(found["musical"], found["split"])]
    return "\n".join(lines)


def musical(found: dict[str, Any], split: str) -> list[str]:
    samples, pieces = found["samples"], found["split"]
    said = f"seeds {found['seeds'][0]} to {found['seeds'][1]}, temperature {found['sampling']['temperature']:g}"
    said += f", top-p {found['sampling']['top_p']:g}"
    said += f", guidance {found['guidance']:g}" if found.get("guidance") else ""
    lines = [f"{said:<52}{'samples':>10}{split:>12}", f"{'pieces':<52}{samples['pieces']:>10}{pieces['pieces']:>12}"]
    lines += [f"{label:<52}{shown(samples[key], how):>10}{shown(pieces[key], how):>12}" for key, label, how in MUSICAL]
    for degree in samples["fermata_bass_degrees"]:
        both = (x["fermata_bass_degrees"][degree] for x in (samples, pieces))
        lines.append(
            f"  degree {degree} under fermatas".ljust(52) + "{:>10}{:>12}".format(*(shown(x, "share") for x in both))
        )
    copies = [x["copied"] or {} for x in (samples, pieces)]
    for key, label in (
        ("max_measures", "longest run of measures as in a train piece"),
        ("median_measures", "  median of the pieces"),
        ("pieces_above_4_measures", "  pieces with more than 4 measures"),
        ("cadences_alone", "  pieces where it is a cadence (2 measures or less)"),
    ):
        lines.append(f"{label:<52}{copies[0].get(key, '-'):>10}{copies[1].get(key, '-'):>12}")
    return lines


def shown(value: float | None, how: str) -> str:
    if value is None:
        return "-"
    return {
        "share": f"{100 * value:.0f} %",
        "count": f"{value:.0f}",
        "number": f"{value:.2f}",
        "distance": f"{value:.3f}",
    }[how]


def _rates(label: str, found: dict[str, Any]) -> str:
    cells = []
    for name in RATES:
        low_high = found.get("intervals_95", {}).get(name)
        cells.append(f"{found[name]:.3f}" + (f" [{low_high[0]:.3f}, {low_high[1]:.3f}]" if low_high else ""))
    return f"{label:<44}{cells[0]:>22}{cells[1]:>24}{cells[2]:>22}"


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())
