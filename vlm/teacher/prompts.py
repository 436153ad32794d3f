"""What a teacher is asked: the record's question, and what it must know to answer in our forms."""

from __future__ import annotations

from vlm.data.record import ALIGNMENT, ANALYSIS, EXTRACTION, Record

_FORMS = {
    ALIGNMENT: """Score text: "|" begins the text and ends each measure. A measure holds its parts, ";" between them.
The first measure begins with the key (K1 one sharp, K-2 two flats) and the time signature (T4:4); each part there with
P"Name" and a clef (!clef-G2! treble, !clef-F4! bass). A duration (w whole, h half, q quarter, i eighth, s sixteenth; "."
dotted) stands before a note and holds for those behind it, at first the beat. Pitches: C D E F G A B in the octave of
middle C, c one octave higher, C, one lower; ^ sharp, _ flat, = natural before the letter; z is a rest; & begins a second
voice. Example: |K1T4:4P"Soprano"!clef-G2!GABc;P"Bass"!clef-F4!G,hD,iC,B,,|
Answer with the score text alone.""",
    EXTRACTION: """Forms: key_signature "2 sharps", "1 flat" or "no sharps or flats"; time_signature "3/4"; clefs a list,
one for each staff from the top ("treble", "bass", "alto" ...); parts a list of names; staves, measures and notes are
counts; first_measure is the number printed at the first measure. Answer with the JSON object alone.""",
    ANALYSIS: "Answer in one to three sentences. Say nothing that the picture does not show.",
}


def asked(record: Record, show_score: bool) -> str:
    """The words that go with the picture."""
    out = [record.prompt, _FORMS[record.phase]]
    if show_score and record.phase == ANALYSIS and record.score:
        out.append(
            "The same music as text, a measure between two bars, parts apart by semicolons, letters of pitches as in"
            f" ABC notation:\n{record.score}"
        )
    return "\n\n".join(out)
