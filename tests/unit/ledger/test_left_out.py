"""What nobody put into the raw folder: told by its name, counted, and never a clip."""

from __future__ import annotations

import pytest

from ferrari.ledger import left_out, raw_folder, raw_listing
from ferrari.ledger.raw_listing import look_through

OF_SYSTEMS = (
    *("@eaDir/a.mp4/SYNOPHOTO_FILM_H.mp4", "#recycle/a.mp4", "#snapshot/GMT-2024/a.mp4"),
    *("@Recycle/a.mp4", "@Recently-Snapshot/a.mp4", ".@__thumb/a.mp4", "$RECYCLE.BIN/S-1/$R1.mp4"),
    *("System Volume Information/a.mp4", "lost+found/#123", "found.000/FILE0000.CHK"),
    *(".Trash-1000/files/a.mp4", ".Trashes/501/a.mp4", ".Spotlight-V100/a", "__MACOSX/._a.mp4"),
    *(".AppleDouble/a.mp4", "card/._a.mp4", "card/Thumbs.db", "card/desktop.ini", ".DS_Store"),
    *("card/.hidden.mp4", "~snapshot/a.mp4", "RECYCLER/a.avi", "LOST.DIR/1"),
)
CLIPS = ("recycle/a.mp4", "eaDir.mp4", "snapshot.mp4", "#1 take.mp4", "@home/a.mp4", "Trash/b.mp4")


def put(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"four")


def rows(folder, ignore=()):
    found = raw_listing.left_out_files(folder, look_through(folder, ignore).left_out)
    return {file: (why.reason, why.pattern, detail, size) for file, why, detail, size in found}


def test_files_of_systems_are_no_clips_and_each_is_named(tmp_path):
    put(tmp_path, *OF_SYSTEMS, *CLIPS)
    assert set(look_through(tmp_path).videos.values()) == set(CLIPS)
    found = rows(tmp_path)
    assert set(found) == set(OF_SYSTEMS)
    assert {reason for reason, *_ in found.values()} == {"SYSTEM_FILE"}
    assert found["#recycle/a.mp4"][1:] == (
        "#recycle",
        "lies in #recycle, a folder of the system or of a NAS by its name",
        4,
    )
    assert found["card/Thumbs.db"][1] == "Thumbs.db" and found["card/.hidden.mp4"][1] == ".*"
    assert found["card/._a.mp4"][1] == "._*" and found[".Trashes/501/a.mp4"][1] == ".Trashes"


@pytest.mark.parametrize(
    ("pattern", "ignored"),
    [
        ("*.lrv", {"card/A.LRV"}),
        ("proxy", {"Proxy/a.mp4", "card/proxy/b.mp4"}),
        ("card/*", {"card/A.LRV", "card/proxy/b.mp4"}),
        ("card/", {"card/A.LRV", "card/proxy/b.mp4"}),
        ("/proxy/*", {"Proxy/a.mp4"}),
        ("a.mp?", {"a.mp4", "Proxy/a.mp4"}),
        ("*", {"a.mp4", "Proxy/a.mp4", "card/A.LRV", "card/proxy/b.mp4"}),
    ],
)
def test_patterns_leave_out_names_or_paths_whatever_their_capitals(tmp_path, pattern, ignored):
    files = {"a.mp4", "Proxy/a.mp4", "card/A.LRV", "card/proxy/b.mp4"}
    put(tmp_path, *files)
    found = rows(tmp_path, [pattern])
    assert set(found) == ignored
    assert set(look_through(tmp_path, [pattern]).videos.values()) == files - ignored
    for reason, named, detail, _ in found.values():
        assert (reason, named) == ("IGNORED", pattern) and "intake.ignore" in detail


def test_a_full_bin_is_one_row_and_is_not_looked_through(tmp_path, monkeypatch):
    monkeypatch.setattr(left_out, "MOST_LISTED", 3)
    put(tmp_path, *(f"#recycle/{n}.mp4" for n in range(4)), *(f"@eaDir/{n}" for n in range(3)))
    found = rows(tmp_path)
    assert set(found) == {"#recycle/", "@eaDir/0", "@eaDir/1", "@eaDir/2"}
    assert found["#recycle/"][2].endswith("more than 3 files") and found["#recycle/"][3] == ""
    looked_into = []
    walk = raw_folder.os.walk
    monkeypatch.setattr(
        raw_folder.os,
        "walk",
        lambda *args, **named: (looked_into.append(s[0]) or s for s in walk(*args, **named)),
    )
    look_through(tmp_path)
    assert looked_into == [str(tmp_path)], "parsing enters no folder of a system"


def test_objects_of_a_bucket_are_left_out_by_the_same_names(store):
    for file in (*OF_SYSTEMS, *CLIPS, "Proxy/b.MP4"):
        store.put(f"footage/card 1/{file}", b"four")
    address = "s3://footage/card 1"
    found = look_through(address, ["proxy"])
    assert set(found.videos.values()) == set(CLIPS)
    assert found.objects.keys() == found.videos.keys()
    assert {one.size for one in found.objects.values()} == {4}
    named = {file: size for file, _, _, size in raw_listing.left_out_files(address, found.left_out)}
    assert named == dict.fromkeys((*OF_SYSTEMS, "Proxy/b.MP4"), 4)
