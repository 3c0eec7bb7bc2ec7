"""captions/overrides.csv: read as spreadsheets write it, and nothing of it is passed over."""

import pytest

from ferrari.captions import overrides
from ferrari.captions.overrides import Override, OverridesError
from ferrari.ledger import tables
from ferrari.ledger.item_ids import crop_item, frame_item, variant_item, video_id
from ferrari.review import writing
from tests.unit.review.rows import decided, undone

WALK, WAVE = video_id("walk.mp4"), video_id("wave.mp4")
CROP = crop_item(frame_item(WALK, 3), 0)
IMAGE = variant_item(CROP, 2)
CAPTION = "sks person, smiling, plain olive background"
ROW = f'{IMAGE},"{CAPTION}",,\n'
HEADER = "item,caption,allow,note\n"


@pytest.fixture
def table(tmp_path):
    def write(content):
        path = tmp_path / overrides.PLACE
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def config(tmp_path, path=None):
    return {"dataset": str(tmp_path), "caption": {"overrides": path}}


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ROW,
        "\ufeff" + HEADER + ROW,
        (HEADER + ROW).replace("\n", "\r\n"),
        f"\ncaption;item\n{CAPTION};{IMAGE}\n",
        f"item\tcaption\n{IMAGE}\t{CAPTION}\n",
        f'\n"item","caption"\n\n" {IMAGE} ","{CAPTION} "\n,\n',
        f'item,caption,,\n{IMAGE},"{CAPTION}",,\n',
    ],
    ids=["plain", "BOM", "CRLF", "semicolons", "tabs", "blank lines and space", "empty columns"],
)
def test_what_spreadsheets_write_is_read(table, content):
    assert overrides.read(table(content)) == {IMAGE: Override(IMAGE, CAPTION)}


def test_a_guarded_formula_and_a_line_break_in_a_cell_come_through(table):
    path = table(f'item,caption\n{IMAGE},"\'=sks\nperson"\n')
    assert overrides.read(path)[IMAGE].caption == "=sks\nperson"
    tables.write_table(path, ("item", "caption"), [{"item": IMAGE, "caption": "=sks"}])
    assert overrides.read(path)[IMAGE].caption == "=sks"


def test_problems_to_allow_are_read(table):
    path = table(HEADER + f'{IMAGE},"a","CONTEXT_WORD:chair; BACKGROUND_COLOUR:red",why\n')
    assert overrides.read(path)[IMAGE].allow == ("CONTEXT_WORD:chair", "BACKGROUND_COLOUR:red")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("item,text\n", "the first line is 'item, text'"),
        ("item,caption,alow\n", "names the columns"),
        ("item,caption,item\n", "each once"),
        (HEADER + ROW + ROW, "line 3: .* has a line already"),
        (HEADER + f"{IMAGE},,,\n", "line 2: no caption"),
        (HEADER + "\n,text,,\n", "line 3: no item"),
        (HEADER + f"{IMAGE},sks person, smiling, red hat, blue\n", "line 2: more cells .* quotes"),
        (HEADER + f"{IMAGE},a,TOO_LONG:80,\n", "line 2: allow holds 'TOO_LONG:80'"),
        (HEADER + f"{IMAGE},a,TOKEN_MISSING,\n", "allow holds 'TOKEN_MISSING'"),
        (HEADER.encode("utf-16"), "is UTF-16, not UTF-8"),
        (
            (HEADER + f"{IMAGE},caf\xe9,,\n").encode("cp1252"),
            "line 2, is not UTF-8 .*café.*CSV UTF-8",
        ),
    ],
)
def test_what_cannot_be_used_stops_with_the_line(table, content, message):
    with pytest.raises(OverridesError, match=message):
        overrides.read(table(content))


def test_no_file_is_no_overrides_but_one_that_is_asked_for_must_be_there(tmp_path):
    assert overrides.digests(config(tmp_path)) == overrides.Digests("", {})
    with pytest.raises(OverridesError, match=r"caption\.overrides: .*No such file"):
        overrides.digests(config(tmp_path, str(tmp_path / "mine.csv")))


@pytest.mark.parametrize(
    ("item", "video"),
    [
        (IMAGE, WALK),
        (CROP, WALK),
        (WALK, ""),
        (frame_item(WALK, 3), ""),
        (IMAGE + "x", ""),
        (f"{WALK}-f000001-aaaaaaaaaa-f000002-p0-v0", f"{WALK}-f000001-aaaaaaaaaa"),
    ],
)
def test_clip_of_an_item(item, video):
    assert overrides.video_of(item) == video


def test_a_clips_digest_is_that_of_its_own_lines_in_any_order_and_without_notes(table, tmp_path):
    other = variant_item(crop_item(frame_item(WAVE, 0), 0), 0)
    lines = [f"{IMAGE},a,,\n", f"{CROP},b,,\n", f"{other},c,,\n"]

    def digests(*given):
        table(HEADER + "".join(given))
        return overrides.digests(config(tmp_path))

    before = digests(*lines)
    assert set(before.by_video) == {WALK, WAVE} and before.of(video_id("other.mp4")) == ""
    assert digests(lines[2], lines[1], f"{IMAGE},a,,a note\n") == before
    after = digests(lines[0], lines[1], f"{other},C,,\n")
    assert after.of(WALK) == before.of(WALK)
    assert after.of(WAVE) != before.of(WAVE) and after.whole != before.whole
    allowed = digests(f"{IMAGE},a,CONTEXT_WORD:chair,\n", *lines[1:])
    assert allowed.of(WALK) != before.of(WALK)


def test_a_job_gets_its_clips_lines_as_they_were_when_the_graph_was_built(table, tmp_path):
    other = variant_item(crop_item(frame_item(WAVE, 0), 0), 0)
    path, settings = table(HEADER + f"{IMAGE},a,,\n{other},c,,\n"), config(tmp_path)
    found = overrides.digests(settings)
    assert list(overrides.of_clip(settings, WALK, found.of(WALK))) == [IMAGE]
    assert list(overrides.all_of(settings, found.whole)) == [IMAGE, other]
    table(HEADER + f"{IMAGE},b,,\n{other},c,,\n")
    assert list(overrides.of_clip(settings, WAVE, found.of(WAVE))) == [other]
    for read in (
        lambda: overrides.of_clip(settings, WALK, found.of(WALK)),
        lambda: overrides.all_of(settings, found.whole),
    ):
        with pytest.raises(OverridesError, match="while this run was under way"):
            read()
    path.unlink()
    with pytest.raises(OverridesError, match="while this run was under way"):
        overrides.of_clip(settings, WALK, found.of(WALK))


def test_a_clip_without_lines_does_not_open_the_file(tmp_path):
    assert overrides.of_clip(config(tmp_path, "no/such/file.csv"), WALK, "") == {}


def test_a_caption_that_was_decided_is_one_like_any_other(tmp_path, table):
    table(HEADER + f"{CROP},sks person,,\n")
    row = decided(
        "caption",
        IMAGE,
        "image",
        value=CAPTION,
        reason="CONTEXT_WORD:chair",
        target_sha256="a" * 64,
    )
    lines = overrides.digests(config(tmp_path))
    writing.append(tmp_path, [row])
    found = overrides.load(config(tmp_path))
    assert found[IMAGE] == Override(
        IMAGE, CAPTION, ("CONTEXT_WORD:chair",), decision=row.id, sha256="a" * 64
    )
    assert set(found) == {CROP, IMAGE}
    digests = overrides.digests(config(tmp_path))
    assert digests.of(WALK) != lines.of(WALK) and digests.of(WAVE) == ""
    assert overrides.of_clip(config(tmp_path), WALK, digests.of(WALK)) == found
    writing.append(tmp_path, [undone(row)])
    assert overrides.digests(config(tmp_path)) == lines


def test_an_item_with_a_caption_in_both_files_is_an_error_that_names_both_lines(tmp_path, table):
    table(HEADER + f"{CROP},sks person,,\n" + ROW)
    row = decided("caption", IMAGE, "image", value=CAPTION)
    writing.append(tmp_path, [decided("drop"), row])
    with pytest.raises(OverridesError) as error:
        overrides.digests(config(tmp_path))
    assert "overrides.csv, line 3" in str(error.value)
    assert "decisions.csv, line 3" in str(error.value) and row.id in str(error.value)


def test_a_decided_captions_reason_holds_problems_alone(tmp_path):
    writing.append(tmp_path, [decided("caption", IMAGE, "image", value=CAPTION, reason="nicer")])
    with pytest.raises(OverridesError, match=r"decisions.csv, line 2: its reason holds 'nicer'"):
        overrides.load(config(tmp_path))
