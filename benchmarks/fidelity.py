"""What two MusicXML files have in common, counted from their elements by code that shares nothing with scorelm.

    xml_compare("original.mxl", "again.musicxml") -> features kept, notes_rests_ties_equal, semantic_recall

Every note and every notational feature is a (feature, staff, measure index, onset, value) tuple.
"""

from __future__ import annotations

import contextlib
import io
import time
import zipfile
from collections import Counter, defaultdict
from fractions import Fraction as F
from pathlib import Path

from lxml import etree


def load_xml(path):
    data = Path(path).read_bytes()
    if data[:2] == b"PK":
        z = zipfile.ZipFile(io.BytesIO(data))
        names = [n for n in z.namelist() if not n.startswith("META-INF") and n.lower().endswith((".xml", ".musicxml"))]
        try:
            c = etree.fromstring(z.read("META-INF/container.xml"))
            rf = [e.get("full-path") for e in c.iter() if etree.QName(e).localname == "rootfile"]
            if rf and rf[0] in z.namelist():
                names = [rf[0]]
        except (KeyError, etree.XMLSyntaxError):
            pass
        data = z.read(names[0])
    return etree.fromstring(
        data, etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    )


def _t(e, p, d=""):
    x = e.find(p)
    return (x.text or "").strip() if x is not None else d


def _num(s, d=0):
    try:
        return F(s.strip())
    except (ValueError, ZeroDivisionError, AttributeError):
        try:
            return F(str(float(s)))
        except (ValueError, ZeroDivisionError, TypeError):
            return F(d)


TYPES = {
    "maxima": F(32),
    "long": F(16),
    "breve": F(8),
    "whole": F(4),
    "half": F(2),
    "quarter": F(1),
    "eighth": F(1, 2),
    "16th": F(1, 4),
    "32nd": F(1, 8),
    "64th": F(1, 16),
    "128th": F(1, 32),
    "256th": F(1, 64),
    "512th": F(1, 128),
    "1024th": F(1, 256),
}


def norm_alter(s):
    if not s:
        return ""
    v = _num(s)
    if v == 0:
        return ""
    return str(v)


def xml_features(path):
    """list of (feature, staff, measure index, onset-as-str, value)"""
    root = load_xml(path)
    out = []
    parts = root.findall("part")
    if etree.QName(root).localname == "score-timewise":
        raise ValueError("score-timewise not supported")
    gbase = 0
    hdr = []
    for sp in root.iterfind("part-list/score-part"):
        hdr.append(("part-name", _t(sp, "part-name")))
        ab = _t(sp, "part-abbreviation")
        if ab:
            hdr.append(("part-abbrev", ab))
        for n in sp.iterfind("score-instrument/instrument-sound"):
            hdr.append(("instrument-sound", (n.text or "").strip()))
        for n in sp.iterfind("midi-instrument/midi-program"):
            hdr.append(("midi-program", (n.text or "").strip()))
    for pg in root.iterfind("part-list/part-group"):
        if pg.get("type") == "start":
            hdr.append(("part-group", _t(pg, "group-symbol")))
            if _t(pg, "group-barline"):
                hdr.append(("part-group-barline", _t(pg, "group-barline")))
    for tag in ("work/work-title", "movement-title", "work/work-number", "movement-number"):
        if _t(root, tag):
            hdr.append(("title", _t(root, tag)))
    for cr in root.iterfind("identification/creator"):
        if (cr.text or "").strip():
            hdr.append(("creator", (cr.get("type") or "") + ":" + " ".join((cr.text or "").split())))
    for cr in root.iterfind("identification/rights"):
        hdr.append(("rights", " ".join((cr.text or "").split())))
    for k, v in hdr:
        out.append((k, 0, -1, "0", v))
    nnotes = 0
    # number of staves of each part first, so that a part becomes a run of global staves
    for part in parts:
        nst = 1
        for s in part.iter("staff", "staves"):
            with contextlib.suppress(ValueError):
                nst = max(nst, int((s.text or "1").strip()))
        div = F(1)
        for mi, m in enumerate(part.findall("measure")):

            def emit(feat, staff, onset, val, mi=mi, gbase=gbase, nst=nst):
                out.append((feat, gbase + min(max(staff, 1), nst) - 1, mi, str(onset), val))

            emit("measure-number", 1, 0, m.get("number") or "")
            if m.get("implicit") == "yes":
                emit("pickup/implicit", 1, 0, "implicit")
            cur = F(0)
            last = F(0)
            maxcur = F(0)
            voices = defaultdict(list)  # (staff) -> [(voice, onset, what)]
            vstaff = defaultdict(set)
            chord_acc = None
            open_tup = {}
            for e in m:
                if not isinstance(e.tag, str):
                    continue
                tag = e.tag
                if tag == "attributes":
                    d = e.find("divisions")
                    if d is not None:
                        div = _num(d.text, 1) or F(1)
                    for k in e.findall("key"):
                        st = k.get("number")
                        if k.find("key-step") is not None:
                            v = "steps:" + ",".join(
                                f"{(a.text or '').strip()}{norm_alter((b.text or '').strip())}"
                                for a, b in zip(k.findall("key-step"), k.findall("key-alter"))
                            )
                            for s in [int(st)] if st else range(1, nst + 1):
                                emit("key-nontraditional", s, cur, v)
                        else:
                            v = f"{_t(k, 'fifths')}"
                            for s in [int(st)] if st else range(1, nst + 1):
                                emit("key" if mi == 0 and cur == 0 else "key-change", s, cur, v)
                            md = _t(k, "mode")
                            if md:
                                for s in [int(st)] if st else range(1, nst + 1):
                                    emit("key-mode", s, cur, md)
                    for k in e.findall("time"):
                        st = k.get("number")
                        if k.find("senza-misura") is not None:
                            f2, v = "time-senza-misura", "X"
                        else:
                            bs = [(b.text or "").strip() for b in k.findall("beats")]
                            bt = [(b.text or "").strip() for b in k.findall("beat-type")]
                            v = "+".join(f"{a}/{b}" for a, b in zip(bs, bt))
                            comp = len(bs) > 1 or "+" in "".join(bs)
                            f2 = "time-composite" if comp else ("time" if mi == 0 and cur == 0 else "time-change")
                        for s in [int(st)] if st else range(1, nst + 1):
                            emit(f2, s, cur, v)
                            if k.get("symbol") in ("common", "cut"):
                                emit("time-symbol", s, cur, k.get("symbol"))
                    for c in e.findall("clef"):
                        s = int(c.get("number") or 1)
                        v = f"{_t(c, 'sign')}{_t(c, 'line')}{('o' + _t(c, 'clef-octave-change')) if _t(c, 'clef-octave-change') not in ('', '0') else ''}"
                        emit("clef-midmeasure" if cur > 0 else ("clef" if mi == 0 else "clef-change"), s, cur, v)
                    for tr in e.findall("transpose"):
                        emit(
                            "transpose",
                            int(tr.get("number") or 1),
                            cur,
                            f"{_t(tr, 'diatonic')}/{_t(tr, 'chromatic')}/{_t(tr, 'octave-change')}",
                        )
                    for sd in e.findall("staff-details"):
                        emit("staff-details", int(sd.get("number") or 1), cur, f"lines={_t(sd, 'staff-lines')}")
                    for ms in e.findall("measure-style"):
                        for c in ms:
                            emit("measure-style", int(ms.get("number") or 1), cur, c.tag)
                elif tag == "backup":
                    cur -= _num(_t(e, "duration", "0")) / div
                    if cur < 0:
                        cur = F(0)
                elif tag == "forward":
                    cur += _num(_t(e, "duration", "0")) / div
                elif tag == "note":
                    staff = int(_t(e, "staff", "1") or 1)
                    voice = _t(e, "voice", "1")
                    grace = e.find("grace")
                    ischord = e.find("chord") is not None
                    dur = _num(_t(e, "duration", "0")) / div if grace is None else F(0)
                    cue = e.find("cue") is not None
                    on = last if ischord else cur
                    if not ischord:
                        last = cur
                        cur += dur
                    ty = _t(e, "type")
                    dots = len(e.findall("dot"))
                    tm = e.find("time-modification")
                    tms = "" if tm is None else f"*{_t(tm, 'actual-notes')}:{_t(tm, 'normal-notes')}"
                    hidden = e.get("print-object") == "no"
                    r = e.find("rest")
                    if r is not None:
                        if hidden:
                            emit("rest-hidden", staff, on, str(dur))
                            continue
                        what = "r"
                        mr = r.get("measure") == "yes"
                        emit("rest", staff, on, str(dur))
                        if mr:
                            emit("rest-measure", staff, on, str(dur))
                        if r.find("display-step") is not None:
                            emit("rest-display-pitch", staff, on, _t(r, "display-step") + _t(r, "display-octave"))
                        ident = "r"
                    else:
                        p = e.find("pitch")
                        if p is not None:
                            al = norm_alter(_t(p, "alter"))
                            ident = f"{_t(p, 'step')}{al}/{_t(p, 'octave')}"
                            if al and "/" in al:
                                emit("microtone-alter", staff, on, ident)
                        else:
                            u = e.find("unpitched")
                            ident = "U" + ((_t(u, "display-step") + _t(u, "display-octave")) if u is not None else "")
                            emit("unpitched", staff, on, ident)
                        nnotes += 1
                        what = ident
                        if grace is not None:
                            emit("grace", staff, on, f"{ident}|{ty}")
                            if grace.get("slash") == "yes":
                                emit("grace-slash", staff, on, ident)
                        else:
                            emit("note", staff, on, f"{ident}|{dur}")
                        if cue:
                            emit("cue", staff, on, ident)
                        if hidden:
                            emit("note-hidden", staff, on, ident)
                        if ischord and chord_acc is not None:
                            chord_acc[4].append(ident)
                        else:
                            chord_acc = ["chord", gbase + min(max(staff, 1), nst) - 1, mi, str(on), [ident]]
                            out.append(chord_acc)  # finished below
                        for t in e.findall("tie"):
                            if t.get("type") == "start":
                                emit("tie", staff, on, ident)
                        for t in e.findall("notations/tied"):
                            if t.get("type") == "let-ring":
                                emit("tie-let-ring", staff, on, ident)
                        ac = e.find("accidental")
                        if ac is not None:
                            emit("accidental-displayed", staff, on, ident + (ac.text or "").strip())
                            if "yes" in (
                                ac.get("cautionary"),
                                ac.get("editorial"),
                                ac.get("parentheses"),
                                ac.get("bracket"),
                            ):
                                emit("accidental-cautionary", staff, on, ident)
                        nh = e.find("notehead")
                        if nh is not None and (nh.text or "").strip() not in ("", "normal"):
                            emit("notehead", staff, on, ident + (nh.text or "").strip())
                        st = _t(e, "stem")
                        if st:
                            emit("stem", staff, on, ident + st)
                        for b in e.findall("beam"):
                            emit("beam", staff, on, f"{ident}{b.get('number') or '1'}{(b.text or '').strip()}")
                    if ty:
                        emit("written-duration", staff, on, f"{ident}|{ty}{'.' * dots}{tms}")
                    if not ischord:
                        voices[staff].append((voice, on, what if grace is None else "g" + what))
                        vstaff[voice].add(staff)
                    # notations
                    for tu in e.findall("notations/tuplet"):
                        emit("tuplet", staff, on, f"{tu.get('type')}")
                        if tu.get("type") == "start":
                            open_tup[(voice, tu.get("number") or "1")] = 1
                    depth = sum(1 for (v, _n) in open_tup if v == voice)
                    if depth >= 2 and tm is not None:
                        emit("tuplet-nested", staff, on, ident + tms)
                    for tu in e.findall("notations/tuplet"):
                        if tu.get("type") == "stop":
                            open_tup.pop((voice, tu.get("number") or "1"), None)
                    for no in e.findall("notations"):
                        for x in no:
                            if not isinstance(x.tag, str):
                                continue
                            if x.tag == "slur":
                                if x.get("type") in ("start", "stop"):
                                    emit("slur", staff, on, x.get("type"))
                            elif x.tag == "articulations":
                                for y in x:
                                    if isinstance(y.tag, str):
                                        emit("articulation", staff, on, y.tag)
                            elif x.tag == "ornaments":
                                for y in x:
                                    if not isinstance(y.tag, str):
                                        continue
                                    if y.tag == "tremolo":
                                        emit(
                                            "tremolo", staff, on, f"{y.get('type') or 'single'}{(y.text or '').strip()}"
                                        )
                                    elif y.tag == "wavy-line":
                                        emit("wavy-line", staff, on, y.get("type"))
                                    elif y.tag == "accidental-mark":
                                        emit("ornament-accidental", staff, on, (y.text or "").strip())
                                    else:
                                        emit("ornament", staff, on, y.tag)
                            elif x.tag == "technical":
                                for y in x:
                                    if isinstance(y.tag, str):
                                        emit(
                                            "fingering" if y.tag == "fingering" else "technical",
                                            staff,
                                            on,
                                            y.tag + (" " + (y.text or "").strip() if (y.text or "").strip() else ""),
                                        )
                            elif x.tag == "fermata":
                                emit("fermata", staff, on, "f")
                            elif x.tag == "arpeggiate":
                                emit("arpeggio", staff, on, ident + (x.get("direction") or ""))
                            elif x.tag == "non-arpeggiate":
                                emit("non-arpeggio", staff, on, x.get("type"))
                            elif x.tag in ("glissando", "slide"):
                                emit("glissando/slide", staff, on, f"{x.tag} {x.get('type')}")
                            elif x.tag == "dynamics":
                                for y in x:
                                    if isinstance(y.tag, str):
                                        emit(
                                            "dynamics",
                                            staff,
                                            on,
                                            (y.text or "").strip() if y.tag == "other-dynamics" else y.tag,
                                        )
                    for ly in e.findall("lyric"):
                        v = ly.get("number") or "1"
                        txt = "".join((z.text or "") for z in ly if z.tag in ("text", "elision"))
                        emit("lyric", staff, on, f"{v}|{txt.strip()}")
                        emit("lyric-syllabic", staff, on, f"{v}|{_t(ly, 'syllabic', 'single')}")
                        if v != "1":
                            emit("lyric-verse2+", staff, on, f"{v}|{txt.strip()}")
                        if ly.find("extend") is not None:
                            emit("lyric-extend", staff, on, v)
                elif tag == "direction":
                    staff = int(_t(e, "staff", "1") or 1)
                    off = _num(_t(e, "offset", "0") or "0") / div
                    on = cur + off
                    for dt in e.findall("direction-type"):
                        for x in dt:
                            if not isinstance(x.tag, str):
                                continue
                            if x.tag == "dynamics":
                                for y in x:
                                    if isinstance(y.tag, str):
                                        emit(
                                            "dynamics",
                                            staff,
                                            on,
                                            (y.text or "").strip() if y.tag == "other-dynamics" else y.tag,
                                        )
                            elif x.tag == "wedge":
                                emit("wedge", staff, on, x.get("type"))
                            elif x.tag == "words":
                                w = " ".join((x.text or "").split())
                                if w:
                                    emit("words", staff, on, w)
                            elif x.tag == "metronome":
                                emit(
                                    "metronome",
                                    staff,
                                    on,
                                    "=".join(
                                        (z.text or "").strip()
                                        for z in x
                                        if isinstance(z.tag, str) and z.tag in ("beat-unit", "per-minute")
                                    ),
                                )
                            elif x.tag == "rehearsal":
                                emit("rehearsal", staff, on, (x.text or "").strip())
                            elif x.tag == "octave-shift":
                                emit(
                                    "ottava",
                                    staff,
                                    on,
                                    f"{x.get('type')} {x.get('size') or '8'}" if x.get("type") != "stop" else "stop",
                                )
                            elif x.tag == "pedal":
                                emit("pedal", staff, on, x.get("type"))
                            elif x.tag in ("segno", "coda"):
                                emit("segno/coda", staff, on, x.tag)
                            elif x.tag in ("bracket", "dashes"):
                                emit("bracket/dashes", staff, on, f"{x.tag} {x.get('type')}")
                            else:
                                emit("direction-other", staff, on, x.tag)
                    sn = e.find("sound")
                    if sn is not None:
                        for a in ("tempo",):
                            if sn.get(a):
                                emit("sound-tempo", 1, on, str(float(_num(sn.get(a)))))
                        for a in ("dacapo", "dalsegno", "fine", "tocoda"):
                            if sn.get(a):
                                emit("sound-jump", 1, on, a)
                elif tag == "sound":
                    if e.get("tempo"):
                        emit("sound-tempo", 1, cur, str(float(_num(e.get("tempo")))))
                    for a in ("dacapo", "dalsegno", "fine", "tocoda"):
                        if e.get(a):
                            emit("sound-jump", 1, cur, a)
                elif tag == "harmony":
                    staff = int(_t(e, "staff", "1") or 1)
                    on = cur + _num(_t(e, "offset", "0") or "0") / div
                    k = e.find("kind")
                    rt = _t(e, "root/root-step") + norm_alter(_t(e, "root/root-alter"))
                    bs = _t(e, "bass/bass-step") + norm_alter(_t(e, "bass/bass-alter"))
                    deg = ",".join(
                        f"{_t(d, 'degree-type')}{_t(d, 'degree-value')}{norm_alter(_t(d, 'degree-alter'))}"
                        for d in e.findall("degree")
                    )
                    emit(
                        "chord-symbol", staff, on, f"{rt}|{(k.text or '').strip() if k is not None else ''}|{bs}|{deg}"
                    )
                    if e.find("frame") is not None:
                        emit("fret-frame", staff, on, "frame")
                elif tag == "figured-bass":
                    v = " ".join(
                        _t(f, "prefix") + _t(f, "figure-number") + _t(f, "suffix") for f in e.findall("figure")
                    )
                    emit("figured-bass", 1, cur, v)
                elif tag == "barline":
                    loc = e.get("location") or "right"
                    bs = _t(e, "bar-style")
                    if bs and bs not in ("regular",):
                        emit("barline-style", 1, 0 if loc == "left" else ("mid" if loc == "middle" else "end"), bs)
                    rp = e.find("repeat")
                    if rp is not None:
                        emit(
                            "repeat", 1, 0 if loc == "left" else "end", f"{rp.get('direction')}{rp.get('times') or ''}"
                        )
                    en = e.find("ending")
                    if en is not None:
                        emit(
                            "ending",
                            1,
                            loc,
                            f"{(en.get('number') or '').replace(' ', '')} {'stop' if en.get('type') == 'discontinue' else en.get('type')}",
                        )
                    if e.find("fermata") is not None:
                        emit("fermata-barline", 1, loc, "f")
                    if e.find("segno") is not None or e.find("coda") is not None:
                        emit("segno/coda", 1, loc, "segno" if e.find("segno") is not None else "coda")
                elif tag == "print" and (e.get("new-system") == "yes" or e.get("new-page") == "yes"):
                    emit("print-break", 1, 0, "page" if e.get("new-page") == "yes" else "system")
                maxcur = max(maxcur, cur)
            emit("measure-length", 1, 0, str(maxcur))
            for staff, ev in voices.items():
                order = []
                for v, _o, w in sorted(ev, key=lambda z: (z[1],)):
                    if v not in order and w != "r":
                        order.append(v)
                if len(order) > 1:
                    for v, o, w in ev:
                        if w != "r":
                            emit("multi-voice", staff, o, f"{order.index(v)}:{w}")
            for v, ss in vstaff.items():
                if len(ss) > 1:
                    for s in sorted(ss):
                        for vv, o, w in voices[s]:
                            if vv == v:
                                emit("cross-staff-voice", s, o, w)
        gbase += nst
    fin = []
    for x in out:
        if isinstance(x, list):
            if len(x[4]) > 1:
                fin.append((*x[:4], " ".join(sorted(x[4]))))
        else:
            fin.append(x)
    return fin, {
        "parts": len(parts),
        "staves": gbase,
        "notes": nnotes,
        "measures": max([len(p.findall("measure")) for p in parts] or [0]),
    }


def prf(a, b):
    n = sum((a & b).values())
    sa, sb = sum(a.values()), sum(b.values())
    return {
        "orig": sa,
        "rt": sb,
        "match": n,
        "recall": round(n / sa, 6) if sa else None,
        "precision": round(n / sb, 6) if sb else None,
        "equal": (a == b),
    }


# features that say the same music can legally be absent/derived: kept out of the 'core' equality
def xml_compare(p1, p2):
    t0 = time.perf_counter()
    f1, i1 = xml_features(p1)
    t1 = time.perf_counter()
    f2, i2 = xml_features(p2)
    d1, d2 = defaultdict(Counter), defaultdict(Counter)
    for f in f1:
        d1[f[0]][f[1:]] += 1
    for f in f2:
        d2[f[0]][f[1:]] += 1
    feats = {}
    for k in sorted(set(d1) | set(d2)):
        r = prf(d1[k], d2[k])
        # kept anywhere: same value, position ignored
        c1 = Counter(x[-1] for x in d1[k].elements())
        c2 = Counter(x[-1] for x in d2[k].elements())
        r["value_match"] = sum((c1 & c2).values())
        r["count_match"] = min(r["orig"], r["rt"])
        feats[k] = r
    core = ["note", "grace", "rest", "tie"]
    res = {
        "orig": i1,
        "rt": i2,
        "seconds_extract_orig": round(t1 - t0, 4),
        "features": feats,
        "notes_equal": (d1["note"] == d2["note"] and d1["grace"] == d2["grace"]),
        "notes_ties_equal": all(d1[k] == d2[k] for k in ("note", "grace", "tie")),
        "notes_rests_ties_equal": all(d1[k] == d2[k] for k in core),
    }
    nonlayout = [
        k
        for k in d1
        if k
        not in (
            "print-break",
            "stem",
            "beam",
            "accidental-displayed",
            "title",
            "creator",
            "rights",
            "midi-program",
            "instrument-sound",
            "rest-hidden",
            "sound-tempo",
            "measure-style",
            "part-abbrev",
        )
    ]
    so = sum(sum(d1[k].values()) for k in nonlayout)
    sm = sum(sum((d1[k] & d2[k]).values()) for k in nonlayout)
    res["semantic_recall"] = round(sm / so, 6) if so else None
    res["semantic_all_kept"] = so == sm
    return res


# ------------------------------------------------------------------ music21 view
