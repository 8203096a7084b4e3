"""Hostile entries: refused in bounded memory and time, with nothing written anywhere."""

import gzip
import os
import tarfile
import zlib

import pytest
from support.sample_entries import PART, measured, packed, raw_tar, refusal, run

import vlbench
from leaderboard import archive
from leaderboard.archive import write_archive
from leaderboard.verify import verify
from vlbench.records import Reply

pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return packed(run(folder / "run"), folder / "valid.tar.gz")


def plain(name, **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def parts_of(path):
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


@pytest.mark.parametrize(
    "info",
    [
        plain("../evil.jsonl"),
        plain("/etc/evil.jsonl"),
        plain("a/../../evil.jsonl"),
        plain("evil.pkl"),
        plain("x" * 300),
        plain("manifest.json/"),
        plain(PART, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        plain(PART, type=tarfile.LNKTYPE, linkname="manifest.json"),
        plain(PART, type=tarfile.DIRTYPE),
        plain(PART, type=tarfile.FIFOTYPE),
        plain(PART, type=tarfile.CHRTYPE),
        plain(PART, mode=0o4755),
        plain(PART, pax_headers={"path": "../evil"}),
    ],
    ids=lambda info: f"{info.name[:20]}-{info.type.decode()}-{info.mode:o}",
)
def test_a_hostile_member_is_refused_and_nothing_is_written(valid, tmp_path, info, monkeypatch):
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    parts = parts_of(valid)
    path = raw_tar(
        inside / "e.tar.gz", (plain("manifest.json"), parts["manifest.json"]), (info, parts[PART])
    )
    told = refusal(path)
    assert "wanted only the parts manifest.json, test.jsonl, " in told or (
        f"{PART}: wanted a plain file's header as `pack` writes it" in told
    )
    assert [found.name for found in tmp_path.rglob("*")] == ["inside", "e.tar.gz"]


def test_an_archive_that_is_a_link_or_no_file_is_refused(valid, tmp_path):
    (tmp_path / "link.tar.gz").symlink_to(valid)
    os.mkfifo(tmp_path / "pipe.tar.gz")
    (tmp_path / "folder.tar.gz").mkdir()
    for path in tmp_path.iterdir():
        assert "wanted a plain file, found a link, a folder or a device" in refusal(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"\x80\x04\x95cposix\nsystem\n(S'touch evil'\ntR.",
        b"\x1f\x8b\x08",
        gzip.compress(b"", mtime=0),
        gzip.compress(b"x" * 100, mtime=0),
        gzip.compress(bytes(1024), mtime=0),
        gzip.compress(bytes(512), mtime=0),
        gzip.compress(b"\xff" * 512, mtime=0),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, data):
    path = tmp_path / "e.tar.gz"
    path.write_bytes(data)
    refusal(path)


def test_nothing_may_stand_after_the_parts_twice_or_in_another_order(valid, tmp_path):
    path, parts = tmp_path / "e.tar.gz", parts_of(valid)
    path.write_bytes(valid.read_bytes() + b"more")
    assert "wanted the archive to end after its parts" in refusal(path)
    path.write_bytes(valid.read_bytes() + valid.read_bytes())
    assert "wanted the archive to end after its parts" in refusal(path)
    path.write_bytes(gzip.compress(gzip.decompress(valid.read_bytes()) + bytes(512)))
    assert "wanted the archive to end after its parts" in refusal(path)
    write_archive(path, {PART: parts[PART], "manifest.json": parts["manifest.json"]})
    assert f"{PART}: wanted manifest.json first" in refusal(path)
    write_archive(path, {"manifest.json": parts["manifest.json"]})
    assert f"{PART}: wanted as the manifest says, found none" in refusal(path)
    write_archive(path, {**parts, "test.jsonl": parts[PART]})
    assert f"test.jsonl: wanted the manifest's parts in order ({PART})" in refusal(path)
    two = [(plain(name), parts[name]) for name in ("manifest.json", "manifest.json")]
    assert "manifest.json: wanted once, found twice" in refusal(raw_tar_plain(path, two))


def raw_tar_plain(path, members):
    raw = b"".join(
        archive._header(info.name, len(data)) + data + bytes(-len(data) % 512)
        for info, data in members
    )
    path.write_bytes(gzip.compress(raw + bytes(1024), mtime=0))
    return path


@pytest.mark.parametrize(
    "line, wanted",
    [
        (b'{"schema":NaN}', "wanted a finite number, found NaN"),
        (b'{"schema":-Infinity}', "wanted a finite number, found -Infinity"),
        (b'{"schema":1e999}', "wanted a finite number"),
        (b'{"schema":' + b"9" * 5000 + b"}", "wanted a number below 2**63"),
        (b'{"schema":99999999999999999999}', "wanted a number below 2**63"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "wanted JSON at most 20 deep"),
        (b'{"a":' * 21 + b"1" + b"}" * 21, "wanted JSON at most 20 deep"),
        (b'{"schema":1,"schema":1}', "Episode lacks the field"),
        (b'"\\ud800"', "expected an object for a Episode, got str"),
        (b"\xff\xfe", "can't decode byte 0xff"),
        (b"\x80\x04\x95cposix\nsystem\n(S'touch evil'\ntR.", "can't decode byte 0x80"),
        (b"[]", "expected an object for a Episode, got list"),
        (b"", "Expecting value"),
    ],
)
def test_a_hostile_line_is_refused_by_its_number(valid, tmp_path, line, wanted):
    parts = parts_of(valid)
    first = parts[PART].split(b"\n", 1)[0]
    write_archive(tmp_path / "e.tar.gz", {**parts, PART: first + b"\n" + line + b"\n"})
    told = refusal(tmp_path / "e.tar.gz")
    assert told.startswith(f"e.tar.gz: {PART}:2: ") and wanted in told


@pytest.mark.parametrize(
    "old, new, wanted",
    [
        (b'"schema": 2', b'"schema": NaN', "wanted a finite number, found NaN"),
        (b'"schema": 2', b'"schema": 1e999', "wanted a finite number"),
        (b'"temperature": 0.5', b'"temperature": ' + b"9" * 9000, "wanted a number below 2**63"),
        (b'"temperature": 0.5', b'"a": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000, "at most 20 deep"),
        (b'"temperature": 0.5', b'"a": "\\ud800"', "Invalid JSON"),
        (b'"zero-shot"', b'"verified"', "card.track: Input should be 'zero-shot'"),
        (b'"format": 2', b'"format": 1', "found 1; python -m leaderboard.convert"),
        (b'"Mixed 1"', b'"Mixed\\u00001"', "card.name: Value error, wanted printable"),
        (f'"{PART}"'.encode(), f'"../{PART}"'.encode(), "suites.0.part.name: String should match"),
        (b'"schema": 2', b'"schema": 2, "schema": 2', "wanted the spelling that `pack` writes"),
        (b'"schema": 2', b'"schema": 2, "history": 0', "wanted the spelling that `pack` writes"),
    ],
)
def test_a_hostile_manifest_is_refused_by_field(valid, tmp_path, old, new, wanted):
    parts = parts_of(valid)
    assert old in parts["manifest.json"]
    changed = parts["manifest.json"].replace(old, new, 1)
    write_archive(tmp_path / "e.tar.gz", {**parts, "manifest.json": changed})
    told = refusal(tmp_path / "e.tar.gz")
    assert told.startswith("e.tar.gz: manifest.json: ") and wanted in told


def test_replies_made_to_hurt_are_replayed(tmp_path):
    deep = '{"player total": ' + "[" * 3000 + "]" * 3000 + ', "action": "hit"}'
    hurts = iter(
        [
            deep,
            '{"player total": ' + "9" * 9000 + ', "action": "hit"}',
            "{" * 50_000,
            "\x00\u202e",
            '{"action": "hit"' * 5000,
            "[" * 50_000,
            "\ud800",
            '{"dealer card": 1e999, "action": "hit"}',
            "</script><script>alert(1)</script>",
            "y" * (1 << 21),
            '{"player total": NaN, "action": 1}',
        ]
    )

    async def agent(observation):
        return Reply(next(hurts, vlbench.reply("stand")), provider_id="<b>")

    path = packed(run(tmp_path / "run", "Blackjack", agent=agent), tmp_path / "e.tar.gz")
    assert verify(path).mark == "replayed"


def streamed(path, blocks):
    """Write a gzip file from blocks without holding them."""
    packer = zlib.compressobj(1, wbits=31)
    with path.open("wb") as file:
        for block in blocks:
            file.write(packer.compress(block))
        file.write(packer.flush())
    return path


GIB = 1 << 30


@pytest.mark.parametrize("kind", ["bomb", "long line", "claimed part", "endless manifest"])
def test_a_gigabyte_is_refused_in_bounded_memory_and_time(valid, tmp_path, kind):
    parts = parts_of(valid)
    size = GIB if kind in ("long line", "bomb", "endless manifest") else 255 << 20
    name = "manifest.json" if kind == "endless manifest" else PART
    head = parts["manifest.json"]
    first = [archive._header("manifest.json", len(head)) + head + bytes(-len(head) % 512)]
    fill = b"a" * (1 << 20) if kind == "long line" else bytes(1 << 20)
    blocks = (first if name == PART else []) + [archive._header(name, size)]
    path = streamed(tmp_path / "e.tar.gz", [*blocks, *[fill] * (size >> 20), bytes(1024)])
    code, seconds, peak, err = measured(path)
    assert code == 1 and err.count("\n") == 1 and seconds < 10 and peak < 800, (seconds, peak, err)


@pytest.mark.parametrize(
    "flags, field",
    [
        (1, b""),
        (2, b"\x00\x00"),
        (4, b"\x04\x00abcd"),
        (8, b"evil.tar\x00"),
        (16, b"\x1b[2J\x00"),
    ],
    ids=["text", "header crc", "extra", "name", "comment"],
)
def test_a_gzip_header_with_a_flag_is_refused(valid, tmp_path, flags, field):
    data = bytearray(valid.read_bytes())
    data[3] = flags
    (tmp_path / "e.tar.gz").write_bytes(bytes(data[:10]) + field + bytes(data[10:]))
    assert "without name, comment or flags: 1f8b0800 at its start, found 1f8b08" in refusal(
        tmp_path / "e.tar.gz"
    )


@pytest.mark.parametrize(
    ("place", "content"),
    [(4, b"\x01\x02\x03\x04"), (8, b"\x04"), (8, b"\x00"), (9, b"\x03")],
    ids=["time", "fast", "other compression", "system"],
)
def test_a_gzip_header_that_pack_does_not_write_is_refused(valid, tmp_path, place, content):
    data = bytearray(valid.read_bytes())
    data[place : place + len(content)] = content
    (tmp_path / "e.tar.gz").write_bytes(data)
    assert "of best compression and without a time" in refusal(tmp_path / "e.tar.gz")


def test_another_member_in_front_or_in_the_middle_is_refused(valid, tmp_path):
    raw, path = gzip.decompress(valid.read_bytes()), tmp_path / "e.tar.gz"
    for cut in (0, 512, len(raw) // 2, len(raw) - 1024):
        pieces = [gzip.compress(piece, mtime=0) for piece in (raw[:cut], raw[cut:])]
        path.write_bytes(b"".join(pieces))
        refusal(path)
