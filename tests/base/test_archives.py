"""Unpacking archives of strangers."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base import archives
from memdefrag.base.archives import extract, refusal
from memdefrag.base.errors import BackupDamaged, MemdefragError, NoSpace, NotAStore, UsageError

pytestmark = pytest.mark.case(31)

FILES = {"manifest.json": b"{}", "files/chroma.sqlite3.zst": b"\0" * 3000, "files/empty": b""}
Maker = Callable[[dict[str, bytes]], bytes]


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
        for info in extra:
            packed.addfile(info)
    return buffer.getvalue()


def gzipped_tar(files: dict[str, bytes]) -> bytes:
    return gzip.compress(tarred(files))


def zstd_tar(files: dict[str, bytes]) -> bytes:
    return zstandard.compress(tarred(files))


MAKERS = [zipped, tarred, gzipped_tar, zstd_tar]
every_kind = pytest.mark.parametrize("make", MAKERS)


def unpack(folder: Path, data: bytes, **limits: int) -> list[Path]:
    """Write an archive under a name that says nothing and unpack it."""
    archive = folder / "archive.bin"
    archive.write_bytes(data)
    return extract(archive, folder / "out", max_bytes=limits.pop("max_bytes", 1 << 20), **limits)


def refused(folder: Path, data: bytes, why: str, **limits: int) -> None:
    """Unpacking is refused for that reason before anything is written."""
    with pytest.raises(BackupDamaged, match=why):
        unpack(folder, data, **limits)
    assert not (folder / "out").exists()
    assert [path.name for path in folder.iterdir()] == ["archive.bin"]


@every_kind
def test_what_was_packed_is_unpacked(tmp_path: Path, make: Maker) -> None:
    paths = unpack(tmp_path, make(FILES))
    assert {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in paths} == FILES


def test_a_single_compressed_file_is_unpacked_under_its_archive_s_name(tmp_path: Path) -> None:
    archive = tmp_path / "memories.jsonl.gz"
    archive.write_bytes(gzip.compress(b'{"text": "a"}\n'))
    (path,) = extract(archive, tmp_path / "out", max_bytes=100)
    assert (path.name, path.read_bytes()) == ("memories.jsonl", b'{"text": "a"}\n')


def test_what_tar_makes_of_a_folder_is_unpacked(tmp_path: Path) -> None:
    folder = tarfile.TarInfo(".")
    folder.type = tarfile.DIRTYPE
    (path,) = unpack(tmp_path, tarred({"./a/b": b"1"}, folder))
    assert path == tmp_path / "out/a/b"


@pytest.mark.skipif("os.name == 'nt'")
@every_kind
def test_only_the_owner_may_read_what_is_unpacked(tmp_path: Path, make: Maker) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in unpack(tmp_path, make(FILES))}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "out/files").stat().st_mode) == 0o700


@every_kind
@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/etc/evil", "a//b", "a/./b", "C:evil", "c:/evil", "a/D:x", "..", "a\nb", "n" * 256,
     "a/" * 600 + "b", "\x1b[31mred"],
)
def test_a_name_that_leads_astray_is_refused(tmp_path: Path, make: Maker, name: str) -> None:
    refused(tmp_path, make({"good": b"1", name: b"2"}), "was refused")


@pytest.mark.parametrize("make", [tarred, gzipped_tar, zstd_tar])
def test_a_backslash_is_refused_in_tar(tmp_path: Path, make: Maker) -> None:
    refused(tmp_path, make({"..\\evil": b"2"}), "backslash")


def test_a_backslash_is_refused_in_zip(tmp_path: Path) -> None:
    refused(tmp_path, zipped({"..Xevil": b"2"}).replace(b"..Xevil", b"..\\evil"), "backslash")


def test_a_name_that_a_zip_file_cuts_short_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, zipped({"good.txtX.exe": b"2"}).replace(b"txtX", b"txt\0"), "control character")


@pytest.mark.parametrize("other", ["A", "a", "a/b"])
@pytest.mark.parametrize("make", [zipped, tarred])
def test_two_members_for_one_file_are_refused(tmp_path: Path, make: Maker, other: str) -> None:
    before, after = b"X" * len(other), other.encode()
    if make is tarred:
        data = tarred({"a": b"1"}, tarfile.TarInfo(other))
    else:
        data = zipped({"a": b"1", before.decode(): b"2"}).replace(before, after)
    refused(tmp_path, data, "only in case")


def test_names_that_unicode_takes_for_the_same_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, tarred({"caf\u00e9": b"1", "cafe\u0301": b"2"}), "only in case")


def test_folders_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, tarred({"Files/a": b"1", "files/b": b"2"}), "only in case")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_links_and_devices_are_refused_in_tar(tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("evil")
    link.type, link.linkname = kind, "/etc/passwd"
    refused(tmp_path, tarred({"good": b"1"}, link), "link")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused_in_zip(tmp_path: Path, kind: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        info = zipfile.ZipInfo("evil")
        info.external_attr = (kind | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    refused(tmp_path, buffer.getvalue(), "link")


@every_kind
def test_too_many_members_are_refused(tmp_path: Path, make: Maker) -> None:
    refused(tmp_path, make({str(number): b"" for number in range(11)}), "more than 10 members", max_members=10)


@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_million_members_are_refused_by_their_headers(tmp_path: Path, make: Maker) -> None:
    files = {str(number): b"" for number in range(40_000)}
    refused(tmp_path, make(files), "header|members", max_members=100)


@every_kind
def test_too_many_bytes_are_refused(tmp_path: Path, make: Maker) -> None:
    refused(tmp_path, make(FILES), "more than 3001 bytes", max_bytes=3001)
    assert len(unpack(tmp_path, make(FILES), max_bytes=3002)) == len(FILES)


@pytest.mark.parametrize("make", [zipped, gzipped_tar, zstd_tar, lambda files: gzip.compress(files["bomb"])])
def test_a_bomb_is_refused_however_much_was_allowed(
    tmp_path: Path, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "HARMLESS_BYTES", 1 << 20)
    refused(tmp_path, make({"bomb": bytes(8 << 20)}), "own size promises", max_bytes=1 << 40)


def test_a_header_that_wants_all_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    refused(tmp_path, info.tobuf() + bytes(1024), "header of")


def test_a_header_that_points_backwards_is_refused(tmp_path: Path) -> None:
    good = tarfile.TarInfo("x").tobuf()
    size = b"\xff" * 11 + b"\x00"
    block = bytearray(good[:124] + size + good[136:148] + b" " * 8 + good[156:512])
    block[148:156] = b"%06o\0 " % sum(block)
    refused(tmp_path, bytes(block) + good + bytes(1024), "backwards|damaged|refused")


def test_a_zip_file_that_asks_for_a_password_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"1"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(tmp_path, bytes(data), "password")


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", bytes(2048), b"\x1f\x8b", b"PK\x03\x04"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data, "no zip|damaged|could not")


@every_kind
def test_an_archive_cut_short_is_refused(tmp_path: Path, make: Maker) -> None:
    whole = make(FILES)
    content = whole.rindex(b"files/empty") if make is tarred else len(whole) - 1
    for number, length in enumerate(range(content // 4, content + 1, content // 4)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(BackupDamaged):
            unpack(folder, whole[:length])
        assert not list(folder.rglob("out/*"))


def test_content_that_does_not_match_its_sum_leaves_nothing(tmp_path: Path) -> None:
    data = bytearray(zipped({"a/b": b"0123456789" * 20}))
    at = data.index(b"PK\x01\x02") + 16
    for start in (14, at):
        data[start] ^= 1
    with pytest.raises(BackupDamaged):
        unpack(tmp_path, bytes(data))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "out/kept"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(UsageError):
        unpack(tmp_path, zipped(FILES))
    assert [(path, path.read_text()) for path in kept.parent.iterdir()] == [(kept, "mine")]


def test_a_full_disk_is_told_before_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "free_bytes", lambda _: 3001)
    with pytest.raises(NoSpace):
        unpack(tmp_path, zipped(FILES))
    assert not (tmp_path / "out").exists()


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAStore, match=r"none\.zip"):
        extract(tmp_path / "none.zip", tmp_path / "out", max_bytes=1)


@pytest.mark.parametrize("name", ["CON", "a/nul.txt", "com1", "a.", "b ", "notes:stream", "a?"])
def test_names_that_windows_keeps_are_refused_there(name: str) -> None:
    assert refusal(name, windows=True)
    assert refusal(name, windows=False) is None


PARTS = st.sampled_from(["a", "A", "b.t", "..", ".", "", "C:", "\\", "é", "e\u0301", "\0", "x" * 300, "con", "\udcff"])


@given(st.lists(st.one_of(PARTS, st.text(max_size=5)), min_size=1, max_size=5).map("/".join))
def test_an_accepted_name_stays_in_its_folder_on_every_system(name: str) -> None:
    if refusal(name, windows=True) is None:
        for path in (PurePosixPath(name), PureWindowsPath(name)):
            assert not path.is_absolute() and not path.drive and not path.root
            assert path.parts and ".." not in path.parts
            assert "/".join(path.parts) == name


NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join).filter(str)


@given(st.dictionaries(NAMES, st.binary(max_size=9), max_size=4))
def test_unpacked_is_exactly_what_was_packed_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    try:
        paths = unpack(folder, tarred(files))
    except BackupDamaged:
        assert {path.name for path in folder.iterdir()} == {"archive.bin"}
        return
    assert {path.relative_to(folder / "out").as_posix(): path.read_bytes() for path in paths} == files
    assert {path for path in folder.rglob("*") if path.is_file()} == {*paths, folder / "archive.bin"}


@given(st.sampled_from(MAKERS), st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_never_ends_in_a_crash(
    tmp_path_factory: pytest.TempPathFactory, make: Maker, position: int, flip: int
) -> None:
    data = bytearray(make(FILES))
    data[position % len(data)] ^= flip
    folder = tmp_path_factory.mktemp("changed")
    try:
        unpack(folder, bytes(data))
    except MemdefragError:
        assert not list(folder.glob("out/*"))
    assert {path.name for path in folder.iterdir()} <= {"archive.bin", "out"}
