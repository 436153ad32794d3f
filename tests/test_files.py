"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest

from scorelm.files import kind_of, write_atomically


def test_what_is_written_is_read_and_folders_are_made(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "new" / "deep" / "text.sclm", "|\nTénor\r\n")
    assert path.read_bytes() == "|\nTénor\r\n".encode()
    assert write_atomically(path, b"\x00\xff").read_bytes() == b"\x00\xff"


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_atomically(tmp_path / "text.sclm", "old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_replaced_file_keeps_its_permissions_and_a_new_one_gets_the_usual(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    path = write_atomically(tmp_path / "text.sclm", "one")
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(0o640)
    assert write_atomically(path, "two").stat().st_mode & 0o777 == 0o640


def test_a_very_long_name_can_be_written(tmp_path: Path) -> None:
    assert write_atomically(tmp_path / ("é" * 120 + ".sclm"), "|\n").read_text() == "|\n"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"MThd\0\0", ".mid"), (b"PK\3\4", ".mxl"), (b"\xef\xbb\xbf <?xml", ".musicxml"),
        ("<score/>".encode("utf-16"), ".musicxml"), (b"|\nT4:4", ""), (b"", ""),
    ],
)  # fmt: skip
def test_a_score_is_known_by_how_it_begins(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind
