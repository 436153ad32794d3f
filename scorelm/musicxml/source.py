"""Opening MusicXML files that may be compressed, oddly packed, or hostile."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path, PurePosixPath

from lxml import etree

from scorelm.errors import SourceError

# Larger files are refused; SCORELM_MAX_FILE_BYTES in the environment sets another limit.
MAX_FILE_BYTES = int(os.environ.get("SCORELM_MAX_FILE_BYTES", 64 * 2**20))
MAX_UNPACKED_BYTES = 4 * MAX_FILE_BYTES
# What a parser can recover from only by losing music; stray characters and unknown entities lose nothing.
TORN = frozenset(("ERR_TAG_NOT_FINISHED", "ERR_DOCUMENT_END", "ERR_TAG_NAME_MISMATCH", "ERR_GT_REQUIRED",
                  "ERR_LTSLASH_REQUIRED", "ERR_DOCUMENT_EMPTY", "ERR_LT_REQUIRED"))  # fmt: skip
BESIDE = ("META-INF/", "__MACOSX/")  # folders of an archive that hold no scores


def read_bytes(path: str | Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """A file's bytes; SourceError where it is missing or larger than ``max_bytes``."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise SourceError(f"{path}: {size} bytes, more than the limit of {max_bytes}")
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None


def open_xml(data: bytes, name: str) -> etree._Element:
    """The root of a MusicXML document, packed (.mxl) or not. ``name`` stands in errors."""
    if data[:2] == b"PK":
        data = _unpack(data, name)
    if b"<!ENTITY" in data[:65536]:
        raise SourceError(f"{name}: declares XML entities, which are refused")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, recover=True, huge_tree=True, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SourceError(f"{name}: is no XML: {error}") from None
    torn = next((e for e in parser.error_log if e.type_name in TORN), None)
    if torn is not None:
        raise SourceError(f"{name}: is no whole XML document: {torn.message} (line {torn.line})")
    if root is None or root.tag not in ("score-partwise", "score-timewise"):
        raise SourceError(f"{name}: is no MusicXML score")
    if root.tag == "score-timewise":
        root = _partwise(root)
    return root


def _unpack(data: bytes, name: str) -> bytes:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
        for member in members:
            path = PurePosixPath(member.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                raise SourceError(f"{name}: the archive names a file outside itself: {member.filename}")
        if sum(m.file_size for m in members) > MAX_UNPACKED_BYTES:
            raise SourceError(f"{name}: the archive unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        names = [m.filename for m in members]
        own = [n for n in names if not n.startswith(BESIDE)]
        scores = [n for n in own if n.lower().endswith((".xml", ".musicxml"))]
        if "META-INF/container.xml" in names:
            container = etree.fromstring(archive.read("META-INF/container.xml"), etree.XMLParser(recover=True))
            roots = [] if container is None else container.xpath('//*[local-name()="rootfile"]/@full-path')
            scores = [str(r) for r in roots if str(r) in names][:1] or scores
        if not scores:
            raise SourceError(f"{name}: the archive holds no MusicXML file")
        with archive.open(scores[0]) as member_file:
            out = member_file.read(MAX_UNPACKED_BYTES + 1)
        if len(out) > MAX_UNPACKED_BYTES:
            raise SourceError(f"{name}: the archive unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        return out
    except (zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, OSError, NotImplementedError, etree.XMLSyntaxError,
            RuntimeError) as error:  # fmt: skip
        raise SourceError(f"{name}: is no readable .mxl archive: {error}") from None


def _partwise(root: etree._Element) -> etree._Element:
    """score-timewise -> score-partwise."""
    out = etree.Element("score-partwise", dict(root.attrib))
    parts: dict[str, etree._Element] = {}
    for child in list(root):
        if child.tag != "measure":
            out.append(child)
            continue
        for part in child.findall("part"):
            identity = part.get("id", "")
            if identity not in parts:
                parts[identity] = etree.SubElement(out, "part", {"id": identity})
            measure = etree.SubElement(parts[identity], "measure", dict(child.attrib))
            measure.extend(list(part))
    return out
