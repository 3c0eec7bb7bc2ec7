"""What a person decided, in the stages: one row changes, nothing else, and undo gives it back."""

from __future__ import annotations

import pytest

from ferrari.captions.overrides import Override
from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.ledger import balance, tables
from ferrari.review import decision_table, decisions, effects, targets, writing
from ferrari.review.contract import Decision
from tests.stage import final_set, test_mask
from tests.stage.people_clip import LARGE, SMALL, Clip
from tests.stage.test_crop import scene
from tests.unit.review.rows import decided, undone


@pytest.fixture
def clip(tmp_path):
    clip = Clip(tmp_path)
    clip.write(4, lambda ordinal: scene(subject=ordinal // 2, beside=ordinal))
    clip.found([SMALL, LARGE], [LARGE], [LARGE], [LARGE])
    return clip


@pytest.fixture
def plain(clip):
    """The rows of crops of whom nobody decided anything: kept, refused, a repeat."""
    rows = clip.crop(min_side=50)
    assert [row["reason"] for row in rows[:3]] == ["NOT_TARGET", "OK", "DUPLICATE_SUBJECT"]
    return rows


def state_of(clip, row: Decision) -> str:
    decision_table.place(clip.dataset).unlink(missing_ok=True)
    writing.append(clip.dataset, [row])
    (effect,) = effects.of_dataset(clip.dataset, decisions.load(clip.dataset))
    return effect.state


def files(clip) -> dict[str, str]:
    folder = clip.table("crop").with_suffix("")
    return {path.name: sha256_file(path) for path in folder.iterdir()}


def digest_of(clip, item):
    return targets.target_digest(clip.dataset, "item", item)


def test_a_dropped_crop_keeps_its_file_and_the_others_their_rows(clip, plain):
    before, item = files(clip), plain[1]["item"]
    drop = decided("drop", item, target_sha256=digest_of(clip, item), reason="blurred")
    rows = clip.crop(clip.earlier("crop"), review=[drop], min_side=50)
    own = {"outcome": "dropped", "reason": "DROPPED_BY_REVIEW", "decision": drop.id}
    own["detail"] = f"by review: dropped by ana, {drop.when}: blurred"
    assert rows == [plain[0], plain[1] | own, *plain[2:]]
    assert files(clip) == before and state_of(clip, drop) == "applied"
    assert balance.balance("crop", rows, clip.rows("detect")).balanced
    assert clip.crop(clip.earlier("crop"), min_side=50) == plain
    assert files(clip) == before


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("place", [0, 2], ids=["NOT_TARGET", "DUPLICATE_SUBJECT"])
def test_keep_takes_a_rules_refusal_back_and_changes_no_other_row(clip, plain, place, fresh):
    before, item, reason = files(clip), plain[place]["item"], plain[place]["reason"]
    keep = decided("keep", item, target_sha256=digest_of(clip, item))
    taken = {} if fresh else {"earlier": clip.earlier("crop")}
    rows = clip.crop(**taken, review=[keep], min_side=50)
    row = rows[place]
    assert (row["outcome"], row["reason"], row["decision"]) == ("kept", "OK", keep.id)
    assert f"kept from {reason} by ana" in row["detail"]
    image_files.read_verified(clip.dataset / row["path"], row["sha256"])
    assert [r for r in rows if r is not row] == [r for r in plain if r["item"] != item]
    assert state_of(clip, keep) == "applied"
    assert (
        clip.crop(clip.earlier("crop", but=(rows[3]["parent"],)), review=[keep], min_side=50)
        == rows
    )
    assert clip.crop(clip.earlier("crop"), min_side=50) == plain and files(clip) == before


def test_a_decision_about_another_crop_than_there_is_now_is_stale_and_changes_nothing(clip, plain):
    item = plain[1]["item"]
    drop = decided("drop", item, target_sha256=digest_of(clip, item))
    wider = clip.crop(pad=0.2, min_side=50)
    assert clip.crop(review=[drop], pad=0.2, min_side=50) == wider
    assert state_of(clip, drop) == "stale"


def test_a_frame_that_is_damaged_stays_refused(clip, plain):
    clip.file(0).write_bytes(b"no picture")
    item = plain[1]["item"]
    rows = clip.crop(review=[decided("keep", item)], min_side=50)
    assert rows[1]["reason"] == "UNREADABLE_FRAME"
    assert state_of(clip, decided("keep", item)) == "cannot"


dataset, segmenter, matting = test_mask.dataset, test_mask.segmenter, test_mask.matting


def test_a_dropped_cut_out_and_one_taken_back_ask_no_network(dataset, segmenter, monkeypatch):
    item, other = dataset.add(test_mask.picture()), dataset.add(test_mask.picture(20))
    plain = dataset.run()
    drop = decided("drop", item, "cutout", target_sha256=plain[item]["sha256"])
    monkeypatch.setattr(test_mask.stage, "Isolated", None)  # nobody may ask for one
    for review, rows in (([drop], None), ([], plain)):
        found = dataset.run(review=review, earlier=dataset.earlier())
        assert found == (rows or found) and found[other] == plain[other]
        gone = found[item]["reason"] == "DROPPED_BY_REVIEW"
        assert gone is bool(review) and found[item]["decision"] == (drop.id if review else "")
        assert sha256_file(dataset.root / found[item]["path"]) == plain[item]["sha256"]


@pytest.fixture
def clips(tmp_path):
    return [final_set.Clip(tmp_path, name, frames=3) for name in ("walk.mp4", "wave.mp4")]


def final_of(rows):
    return {row["item"]: row for row in rows}


def test_dropped_images_and_clips_are_rows_of_the_final_table(tmp_path, clips):
    plain = final_of(final_set.select(tmp_path, clips))
    one = next(item for item in plain if item.startswith(clips[0].video))
    image = decided("drop", one, "image", target_sha256=plain[one]["sha256"])
    whole = decided("drop", clips[1].video, "clip", target_sha256=clips[1].raw_sha256)
    found = final_of(final_set.select(tmp_path, clips, [image, whole]))
    for item, row in found.items():
        by = image if item == one else whole if row["video"] == clips[1].video else None
        expected = ("dropped", "DROPPED_BY_REVIEW", by.id) if by else ("kept", "", "")
        assert (row["outcome"], row["reason"], row["decision"]) == expected
        assert not by or "ana" in row["detail"]
    videos = final_of(tables.read_stage(tmp_path / "videos.csv", "videos"))
    assert videos[clips[1].video]["verdict"] == "DROPPED_BY_REVIEW"
    writing.append(tmp_path, [image, whole])
    states = [e.state for e in effects.of_dataset(tmp_path, decisions.load(tmp_path))]
    assert states == ["applied", "applied"]
    assert final_of(final_set.select(tmp_path, clips)) == plain


@pytest.mark.parametrize("curate", [{"max_images": 2}, {"near_duplicates": 500.0}])
def test_a_kept_image_comes_on_top_of_what_selection_chose(tmp_path, clips, curate):
    plain = final_of(final_set.select(tmp_path, clips, **curate))
    left_out = ("OVER_BUDGET", "NEAR_DUPLICATE")
    gone = next(item for item, row in plain.items() if row["reason"] in left_out)
    keep = decided("keep", gone, "image", target_sha256=plain[gone]["sha256"])
    found = final_of(final_set.select(tmp_path, clips, [keep], **curate))
    assert (found[gone]["outcome"], found[gone]["decision"]) == ("kept", keep.id)
    assert f"kept from {plain[gone]['reason']} by ana" in found[gone]["detail"]
    same = [item for item in plain if item != gone]
    assert [found[i]["outcome"] for i in same] == [plain[i]["outcome"] for i in same]
    neighbours = {row["value"] for row in found.values() if row["outcome"] == "dropped"}
    assert all(found[name]["outcome"] == "kept" for name in neighbours)


def test_the_same_bytes_twice_stay_refused_and_do_not_take_a_dropped_ones_place(tmp_path):
    first, copy = (final_set.Clip(tmp_path, name, frames=1) for name in ("a.mp4", "b.mp4"))
    for line, source in zip(copy.rows["augment"], first.rows["augment"], strict=True):
        line |= {name: source[name] for name in ("path", "sha256", "mask_path", "mask_sha256")}
    copy.write()
    plain = final_of(final_set.select(tmp_path, [first, copy]))
    same = [item for item, row in plain.items() if row["reason"] == "DUPLICATE_IMAGE"]
    keep = decided("keep", same[0], "image")
    drop = decided("drop", plain[same[0]]["value"], "image")
    found = final_of(final_set.select(tmp_path, [first, copy], [keep, drop]))
    assert found[same[0]]["reason"] == "DUPLICATE_IMAGE"
    assert found[drop.target]["reason"] == "DROPPED_BY_REVIEW"
    writing.append(tmp_path, [keep, drop, undone(drop)])
    (effect,) = effects.of_dataset(tmp_path, decisions.load(tmp_path))
    assert (effect.state, effect.reason) == ("cannot", "DUPLICATE_IMAGE")


@pytest.mark.parametrize("of_cutout", [False, True])
def test_a_caption_counts_while_its_picture_is_the_one_that_it_was_written_about(clips, of_cutout):
    clip = clips[0]
    image, mask = clip.rows["augment"][0], clip.rows["mask"][0]
    target = mask if of_cutout else image
    plain = clip.caption()

    def captions(sha256):
        override = Override(target["item"], "sks person, up, {background}", (), "abcd", sha256)
        return clip.caption(overrides={target["item"]: override})

    written = [row for row in captions(target["sha256"]) if row["decision"]]
    assert [row["item"] for row in written] == (
        [row["item"] for row in clip.rows["augment"][:2]] if of_cutout else [image["item"]]
    )
    assert {(row["caption_source"], row["decision"]) for row in written} == {("override", "abcd")}
    assert "sks person, up, " in written[0]["caption"]
    assert captions("0" * 64) == plain


def test_a_duplicate_crop_goes_while_the_one_it_repeats_is_kept(clip, plain):
    before, kept = files(clip), [row["item"] for row in plain if row["reason"] == "OK"]
    one, other = kept[:2]
    repeat = decided("duplicate_of", other, value=one, target_sha256=digest_of(clip, other))
    rows = {
        row["item"]: row for row in clip.crop(clip.earlier("crop"), review=[repeat], min_side=50)
    }
    assert (rows[other]["reason"], rows[other]["decision"]) == ("DROPPED_BY_REVIEW", repeat.id)
    assert f"as a duplicate of {one} by ana" in rows[other]["detail"]
    assert rows[one]["outcome"] == "kept" and state_of(clip, repeat) == "applied"
    gone = decided("drop", one)
    rows = {
        r["item"]: r for r in clip.crop(clip.earlier("crop"), review=[repeat, gone], min_side=50)
    }
    assert rows[other]["outcome"] == "kept" and rows[one]["decision"] == gone.id
    decision_table.place(clip.dataset).unlink()
    writing.append(clip.dataset, [repeat, gone])
    found = effects.of_dataset(clip.dataset, decisions.load(clip.dataset))
    assert [effect.state for effect in found] == ["cannot", "applied"]
    assert found[0].reason == f"{one} is not kept itself"
    assert clip.crop(clip.earlier("crop"), min_side=50) == plain and files(clip) == before


def test_duplicates_of_each_other_both_stay(clip, plain):
    one, other = [row["item"] for row in plain if row["reason"] == "OK"][:2]
    rows = [decided("duplicate_of", one, value=other), decided("duplicate_of", other, value=one)]
    assert clip.crop(clip.earlier("crop"), review=rows, min_side=50) == plain
    decision_table.place(clip.dataset).unlink(missing_ok=True)
    writing.append(clip.dataset, rows)
    found = effects.of_dataset(clip.dataset, decisions.load(clip.dataset))
    assert {(effect.state, effect.reason) for effect in found} == {
        ("cannot", "it repeats itself in the end")
    }


def test_a_duplicate_cut_out_goes_without_a_network(dataset, segmenter, monkeypatch):
    item, other = dataset.add(test_mask.picture()), dataset.add(test_mask.picture(20))
    plain = dataset.run()
    repeat = decided("duplicate_of", item, "cutout", value=other)
    monkeypatch.setattr(test_mask.stage, "Isolated", None)
    rows = dataset.run(review=[repeat], earlier=dataset.earlier())
    assert rows[item]["decision"] == repeat.id and rows[other] == plain[other]
    assert dataset.run(earlier=dataset.earlier()) == plain


def test_duplicate_images_go_by_the_end_of_their_chain_over_clips(tmp_path, clips):
    plain = final_of(final_set.select(tmp_path, clips))
    first, second = (row["item"] for row in clips[0].rows["augment"][:2])
    third = clips[1].rows["augment"][0]["item"]
    chain = [
        decided("duplicate_of", first, "image", value=second, target_sha256=plain[first]["sha256"]),
        decided("duplicate_of", second, "image", value=third),
    ]
    found = final_of(final_set.select(tmp_path, clips, chain))
    gone = {item for item, row in found.items() if row["outcome"] != "kept"}
    assert gone == {first, second}
    writing.append(tmp_path, chain)
    states = [e.state for e in effects.of_dataset(tmp_path, decisions.load(tmp_path))]
    assert states == ["applied", "applied"]
    last = decided("drop", third, "image")
    found = final_of(final_set.select(tmp_path, clips, [*chain, last]))
    assert {item for item, row in found.items() if row["outcome"] != "kept"} == {third}
    assert final_of(final_set.select(tmp_path, clips)) == plain


def test_a_duplicate_of_what_only_the_budget_left_out_goes_too(tmp_path, clips):
    plain = final_of(final_set.select(tmp_path, clips, max_images=2))
    out = [item for item, row in plain.items() if row["reason"] == "OVER_BUDGET"]
    kept = next(item for item, row in plain.items() if row["outcome"] == "kept")
    repeat = decided("duplicate_of", kept, "image", value=out[0])
    found = final_of(final_set.select(tmp_path, clips, [repeat], max_images=2))
    assert found[kept]["decision"] == repeat.id
    writing.append(tmp_path, [repeat])
    (effect,) = effects.of_dataset(tmp_path, decisions.load(tmp_path))
    assert effect.state == "applied"
