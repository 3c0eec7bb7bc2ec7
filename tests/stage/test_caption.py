"""Stage 5 up to the final table: every image gets one outcome, whatever happened to its files."""

import json
import os

import numpy as np
import pytest

from ferrari.captions.caption_text import CaptionSettingError
from ferrari.captions.description_cleaning import composite_on_grey
from ferrari.captions.overrides import Override
from ferrari.common.atomic_files import sha256_bytes
from ferrari.images import image_files
from ferrari.ledger import balance as ledger_balance
from ferrari.ledger import tables as ledger_tables
from ferrari.ledger.columns import KEPT, QUARANTINED
from ferrari.provenance import trace_facts
from tests.deadly import ENDS, room
from tests.stage.final_set import Clip, select


@pytest.fixture
def clip(tmp_path):
    return Clip(tmp_path, "walk.mp4")


def replace(clip, line, picture, column="path"):
    """Put another picture in the place of a row's file, and its digest into the row."""
    data = image_files.encode_png(picture)
    (clip.dataset / line[column]).write_bytes(data)
    digest = {"path": "sha256", "mask_path": "mask_sha256"}[column]
    line[digest] = sha256_bytes(data)
    clip.write()


def test_captions_say_what_is_known(clip):
    rows = clip.caption()
    assert [line["caption"] for line in rows[:2]] == [
        "sks person, full body, plain olive background",
        "sks person, full body, empty room with sand walls background",
    ]
    first, given = rows[0], clip.rows["augment"][0]
    assert first["item"] == first["parent"] == given["item"]
    for column in ("path", "sha256", "mask_path", "mask_sha256", "kind"):
        assert first[column] == given[column]
    assert (first["framing"], first["facing"], first["clip_tokens"]) == ("full body", "", "9")


def test_ledger_balances_and_a_rerun_gives_the_same_bytes(clip):
    clip.rows["augment"][1].update(outcome=QUARANTINED, reason="UNREADABLE_CUTOUT")
    clip.write()
    clip.caption()
    before = clip.table("caption").read_bytes()
    clip.caption()
    assert clip.table("caption").read_bytes() == before
    augment = ledger_tables.read_stage(clip.table("augment"), "augment")
    caption = ledger_tables.read_stage(clip.table("caption"), "caption")
    balance = ledger_balance.balance("caption", caption, augment)
    assert balance.balanced
    assert balance.considered == 3


def spoil_missing(clip, line):
    (clip.dataset / line["path"]).unlink()


def spoil_truncated(clip, line):
    path = clip.dataset / line["path"]
    data = path.read_bytes()[:-200]
    path.write_bytes(data)
    line["sha256"] = sha256_bytes(data)
    clip.write()


def spoil_bytes(clip, line):
    path = clip.dataset / line["path"]
    path.write_bytes(path.read_bytes() + b"\0")


def spoil_alpha(clip, line):
    replace(clip, line, np.zeros((40, 24, 4), dtype=np.uint8))


def spoil_size(clip, line):
    replace(clip, line, np.zeros((41, 24, 3), dtype=np.uint8))


def spoil_mask_missing(clip, line):
    (clip.dataset / line["mask_path"]).unlink()


def spoil_mask_bytes(clip, line):
    path = clip.dataset / line["mask_path"]
    path.write_bytes(path.read_bytes() + b"\0")


def spoil_mask_size(clip, line):
    replace(clip, line, np.full((24, 40), 255, dtype=np.uint8), "mask_path")


def spoil_mask_empty(clip, line):
    replace(clip, line, np.zeros((40, 24), dtype=np.uint8), "mask_path")


def spoil_mask_colour(clip, line):
    replace(clip, line, np.full((40, 24, 3), 255, dtype=np.uint8), "mask_path")


@pytest.mark.parametrize(
    ("spoil", "reason", "value"),
    [
        (spoil_missing, "UNREADABLE_IMAGE", "image: FileNotFoundError"),
        (spoil_truncated, "UNREADABLE_IMAGE", "image: "),
        (spoil_bytes, "SHA_MISMATCH", "image"),
        (spoil_alpha, "UNREADABLE_IMAGE", "not RGB"),
        (spoil_size, "UNREADABLE_IMAGE", "the row says"),
        (spoil_mask_missing, "MASK_MISMATCH", "mask: FileNotFoundError"),
        (spoil_mask_bytes, "SHA_MISMATCH", "mask"),
        (spoil_mask_size, "MASK_MISMATCH", "(24, 40)"),
        (spoil_mask_empty, "MASK_MISMATCH", "empty"),
        (spoil_mask_colour, "MASK_MISMATCH", "not grey"),
    ],
)
def test_unsound_file_is_one_quarantined_row(clip, spoil, reason, value):
    spoil(clip, clip.rows["augment"][1])
    rows = clip.caption()
    assert [line["outcome"] for line in rows] == ["kept", "quarantined", "kept", "kept"]
    assert rows[1]["reason"] == reason
    assert value in rows[1]["value"]
    assert str(clip.dataset) not in clip.table("caption").read_text()


def test_caption_that_breaks_the_rules_is_quarantined_with_its_problem(clip):
    rows = clip.caption(subject={"token": "olive", "class": "person"})
    assert [line["reason"] for line in rows[:2]] == ["CAPTION_INVALID", ""]
    assert rows[0]["value"] == "TOKEN_REPEATED"


def test_settings_that_cannot_work_stop_the_job(clip):
    with pytest.raises(CaptionSettingError, match="unknown slot"):
        clip.caption(template="{token} {klass}, {background}")
    clip.rows["crop"].pop()
    clip.write()
    with pytest.raises(ledger_tables.LedgerError, match="parent of an image"):
        clip.caption()


def test_final_is_sorted_and_complete(tmp_path):
    clips = [Clip(tmp_path, name) for name in ("b.mp4", "a.mp4", "c.mp4")]
    rows = select(tmp_path, clips)
    assert [line["item"] for line in rows] == sorted(line["item"] for line in rows)
    assert {line["outcome"] for line in rows} == {"kept"}
    assert len(rows) == 12
    assert {line["video"] for line in rows} == {clip.video for clip in clips}


def test_duplicate_clip_keeps_the_first_id(tmp_path):
    clips = [Clip(tmp_path, name, raw=b"same") for name in ("a.mp4", "copy.mp4")]
    clips.append(Clip(tmp_path, "other.mp4"))
    rows = select(tmp_path, clips)
    first, second = sorted(clip.video for clip in clips[:2])
    dropped = {line["video"] for line in rows if line["outcome"] == "dropped"}
    assert dropped == {second}
    assert {(line["reason"], line["value"]) for line in rows if line["outcome"] == "dropped"} == {
        ("DUPLICATE_VIDEO", first)
    }


def test_refused_copy_does_not_count_as_the_same_clip(tmp_path):
    clips = [Clip(tmp_path, name, raw=b"same") for name in ("a.mp4", "copy.mp4")]
    refused = min(clips, key=lambda clip: clip.video)
    refused.rows["probe"][0].update(outcome=QUARANTINED, reason="CORRUPT_CONTAINER")
    refused.write()
    assert {line["outcome"] for line in select(tmp_path, clips)} == {"kept"}


def test_same_image_bytes_stay_once_and_a_lost_file_is_a_row(tmp_path):
    clip = Clip(tmp_path, "a.mp4")
    one, same = clip.rows["augment"][0], clip.rows["augment"][3]
    (tmp_path / same["path"]).write_bytes((tmp_path / one["path"]).read_bytes())
    same["sha256"] = one["sha256"]
    clip.write()
    clip.caption()
    rows = select(tmp_path, [clip])
    assert (rows[3]["reason"], rows[3]["value"]) == ("DUPLICATE_IMAGE", one["item"])


def test_ids_that_begin_alike_are_still_sorted_by_item(tmp_path):
    from tests.stage.final_set import CURATE, select_final

    tables, masks = [], []
    for video in ("a-0123456789", "a-0123456789-f000001-aaaaaaaaaa", "a-0123456789-b-0123456789"):
        item = f"{video}-f000001-p0-v0"
        picture = {"path": "x.png", "sha256": sha256_bytes(video.encode()), "caption": "sks"}
        path = tmp_path / f"{video}.csv"
        row = ledger_tables.row("caption", item=item, parent=item, outcome=KEPT, **picture)
        later = {**row, "item": f"{video}-f000009-p0-v0", "sha256": sha256_bytes(item.encode())}
        ledger_tables.write_stage(path, "caption", [row, later])
        tables.append(path)
        crops = [line["item"].removesuffix("-v0") for line in (row, later)]
        masks.append(tmp_path / "masks" / f"{video}.csv")
        rows = [ledger_tables.row("mask", item=c, parent=c, outcome=KEPT) for c in crops]
        ledger_tables.write_stage(masks[-1], "mask", rows)
    (tmp_path / "x.png").write_bytes(b"")
    out = tmp_path / "final.csv"
    videos_csv = tmp_path / "videos.csv"
    ledger_tables.write_table(videos_csv, ("item", "duplicate_of"), [])
    select_final(
        caption_csvs=tables,
        mask_csvs=masks,
        videos_csv=videos_csv,
        dataset=tmp_path,
        out_csv=out,
        settings=CURATE,
        seed=1,
    )
    rows = ledger_tables.read_stage(out, "final")
    assert [line["item"] for line in rows] == sorted(line["item"] for line in rows)
    assert len(rows) == 6


# --- the optional captioner -------------------------------------------------------------------

WORDS = ["a", "woman", "in", "living", "room", "with", "couch", "red", "hat", "smiling"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A captioning model with random weights, a vocabulary of ten words, and 32x32 pixels."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("captioner")
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[BOS]", "[EOS]", "[UNK]", *WORDS])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[EOS]"}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", **special
    ).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    torch.manual_seed(1)
    tiny = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    encoder = transformers.ViTConfig(**tiny, intermediate_size=16, image_size=32, patch_size=16)
    decoder = transformers.GPT2Config(
        vocab_size=len(vocabulary), n_embd=16, n_layer=1, n_head=2, n_positions=64
    )
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 1, 0, 2
    model = transformers.VisionEncoderDecoderModel(config)
    model.generation_config.update(decoder_start_token_id=1, pad_token_id=0, eos_token_id=2)
    model.save_pretrained(folder)
    return folder


def test_local_model_folder_describes_a_picture(model_folder):
    from ferrari.networks.backends.captioner import ImageToText

    model = ImageToText(model_folder)
    picture = np.full((40, 24, 3), 128, dtype=np.uint8)
    said = model.describe(picture)
    assert said == model.describe(picture)
    assert set(said.split()) <= {*WORDS, "[UNK]"}


def test_captioner_runs_in_the_stage(clip, model_folder, monkeypatch):
    from ferrari.networks.backends import captioner

    class OneThread(captioner.ImageToText):
        """This test's process has used torch's threads; a job's never has when it forks."""

        def __init__(self, *arguments, **options):
            import torch

            torch.set_num_threads(1)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(captioner, "ImageToText", OneThread)
    rows = clip.caption(backend="transformers", model=str(model_folder))
    assert {line["outcome"] for line in rows} == {"kept"}
    for line in rows:
        assert line["caption"].startswith("sks person, full body, ")
        assert int(line["clip_tokens"]) <= 75


def test_captioner_words_are_cleaned_and_merged(clip, monkeypatch, tmp_path):
    class Fake:
        def __init__(self, folder, device):
            assert folder == "some/folder"
            self.seen = 0

        def describe(self, image_rgb):
            np.save(tmp_path / f"seen{self.seen}.npy", image_rgb)
            self.seen += 1
            return "a woman in a red hat, in a living room with a couch"

    monkeypatch.setattr("ferrari.networks.backends.captioner.ImageToText", Fake)
    rows = clip.caption(backend="transformers", model="some/folder")
    assert rows[0]["caption"] == (
        "sks person, full body, plain olive background, a woman in a red hat"
    )
    assert rows[0]["removed_words"] == "living room; couch"
    assert rows[0]["caption_source"] == "transformers"
    seen = [np.load(path) for path in sorted(tmp_path.glob("seen*.npy"))]
    assert len(seen) == 2  # once a cut-out, not once a variant
    cutout = image_files.read(clip.dataset / clip.rows["mask"][0]["path"])
    clear = cutout[..., 3] == 0
    assert clear.any()
    assert (seen[0][clear] == 128).all()


def test_a_captioner_on_a_card_is_in_the_process_that_has_its_slot(clip, monkeypatch, tmp_path):
    class Fake:
        def __init__(self, folder, device):
            assert device == "cuda:0"

        def describe(self, image_rgb):
            (slot,) = (tmp_path / "locks").glob("cuda-*.lock")
            return "smiling" if slot.read_text() == str(os.getpid()) else "elsewhere"

    monkeypatch.setenv("FERRARI_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr("ferrari.processes.devices.cuda_devices", lambda: 2)
    for name, answer in (("problem", ""), ("start", None), ("take", None)):
        known = f"ferrari.networks.backends.torch_runtime.{name}"
        monkeypatch.setattr(known, lambda *_, answer=answer, **__: answer)
    monkeypatch.setattr("ferrari.networks.backends.captioner.ImageToText", Fake)
    rows = clip.caption(backend="transformers", model="x", device="cuda:1")
    assert {line["outcome"] for line in rows} == {"kept"}
    assert all("smiling" in line["caption"] for line in rows)


def test_words_that_do_not_fit_clip_are_cut_and_recorded(clip, monkeypatch):
    class Fake:
        def __init__(self, folder, device):
            pass

        def describe(self, image_rgb):
            return "smiling " * 90

    monkeypatch.setattr("ferrari.networks.backends.captioner.ImageToText", Fake)
    line = clip.caption(backend="transformers", model="x")[0]
    assert line["outcome"] == "kept"
    assert line["clip_tokens"] == "75"
    assert line["removed_words"].count("smiling") == 90 - line["caption"].count("smiling")


@pytest.mark.parametrize("how", ["segfault", "memory", "hang"])
def test_a_cut_out_that_ends_the_captioner_costs_its_own_images(clip, monkeypatch, how):
    """Quarantined: a caption without the model's words would look like the others and be worse."""
    end, reason, detail = ENDS[how]
    guilty = clip.rows["mask"][1]
    marked = composite_on_grey(image_files.read(clip.dataset / guilty["path"]))

    class Fake:
        def __init__(self, folder, device):
            pass

        def describe(self, image_rgb):
            if np.array_equal(image_rgb, marked):
                end()
            return "smiling"

    monkeypatch.setattr("ferrari.networks.backends.captioner.ImageToText", Fake)
    limits = {"hang": {"timeout_s": 0.7}, "memory": {"memory_mb": room(200)}}.get(how, {})
    rows = clip.caption(backend="transformers", model="x", **limits)
    assert [line["outcome"] for line in rows] == ["kept"] * 2 + ["quarantined"] * 2
    assert {line["caption_source"] for line in rows[:2]} == {"transformers"}
    for line in rows[2:]:
        assert line["reason"] == reason and detail in line["value"] and line["caption"] == ""


def spoil_a_cut_out(clip, monkeypatch):
    """A captioner that says one word, and a first cut-out that it is not shown."""

    class Fake:
        def __init__(self, folder, device):
            pass

        def describe(self, image_rgb):
            return "smiling"

    monkeypatch.setattr("ferrari.networks.backends.captioner.ImageToText", Fake)
    path = clip.dataset / clip.rows["mask"][0]["path"]
    path.write_bytes(path.read_bytes()[:-1])


def test_a_cut_out_that_is_not_what_stage_3_wrote_costs_its_own_images(clip, monkeypatch):
    spoil_a_cut_out(clip, monkeypatch)
    rows = clip.caption(backend="transformers", model="x")
    assert [line["reason"] for line in rows] == ["UNREADABLE_IMAGE"] * 2 + [""] * 2
    assert str(clip.dataset) not in clip.table("caption").read_text()


def test_the_template_needs_no_process(clip, monkeypatch):
    monkeypatch.setattr("ferrari.processes.model_process.os.fork", lambda: pytest.fail("forked"))
    assert {line["outcome"] for line in clip.caption()} == {"kept"}


@pytest.mark.parametrize("model", [None, "no/such/folder"])
def test_missing_model_says_what_to_do(clip, model):
    from ferrari.networks.backends.captioner import CaptionerError

    with pytest.raises(CaptionerError, match=r"caption\.backend: template"):
        clip.caption(backend="transformers", model=model)


def test_missing_transformers_says_what_to_do(model_folder, monkeypatch):
    from ferrari.networks.backends import captioner

    monkeypatch.setattr(captioner.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(captioner.CaptionerError, match="captioner"):
        captioner.ImageToText(model_folder)


def test_folder_that_is_no_model_says_what_to_do(tmp_path):
    from ferrari.networks.backends.captioner import CaptionerError, ImageToText

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nonesuch"}))
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(CaptionerError, match="did not load"):
        ImageToText(tmp_path)


# --- templates, and captions by hand --------------------------------------------------------------

TWO = ["a photo of {token} {class}, {framing}, {background}", "{background}: {token} {class}"]


def test_templates_are_drawn_by_image_and_one_more_moves_only_the_images_that_take_it(tmp_path):
    clip = Clip(tmp_path, "walk.mp4", frames=6, variants=4)
    first = [line["caption"] for line in clip.caption(template=TWO)]
    starts = [text.startswith("a photo") for text in first]
    assert 4 < sum(starts) < 20
    assert first == [line["caption"] for line in clip.caption(template=TWO)]
    more = [*TWO, "{token}, one {class}, {background}"]
    then = [line["caption"] for line in clip.caption(template=more[::-1])]
    moved = [text for old, text in zip(first, then, strict=True) if text != old]
    assert 0 < len(moved) < 24 and all(text.startswith("sks, one person") for text in moved)


def test_each_template_of_a_list_is_checked(clip):
    with pytest.raises(CaptionSettingError, match="kitchen"):
        clip.caption(template=[*TWO, "{token} in a kitchen, {background}"])


def by_hand(clip, **lines):
    """The caption rows with overrides: `v1` stands for the first cut-out's image, `crop` for it."""
    crop = clip.rows["crop"][0]["item"]
    items = {"crop": crop, **{f"v{n}": f"{crop}-v{n}" for n in range(2)}}
    made = [Override(items[name], *line) for name, line in lines.items()]
    return clip.caption(overrides={line.item: line for line in made})


def test_a_persons_caption_stands_in_place_of_what_was_made(clip):
    before = clip.caption()
    text = "sks person, laughing, plain olive background"
    rows = by_hand(clip, v0=(text,))
    assert rows[1:] == before[1:]
    assert rows[0] == before[0] | {
        "caption": text,
        "caption_source": "override",
        "replaced_caption": before[0]["caption"],
        "clip_tokens": "8",
    }


def test_a_cut_outs_line_holds_for_its_images_but_for_those_with_their_own(clip):
    rows = by_hand(
        clip,
        crop=("{token} {class}, waving{facing}, {background}",),
        v1=("sks person, bowing, {background}",),
    )
    assert [line["caption"] for line in rows[:3]] == [
        "sks person, waving, plain olive background",
        "sks person, bowing, empty room with sand walls background",
        "sks person, full body, plain olive background",
    ]
    assert [line["caption_source"] for line in rows] == ["override"] * 2 + ["template"] * 2


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a person, {background}", "TOKEN_MISSING"),
        ("sks person, full body", "RECIPE_CONTRADICTED"),
        ("sks person on a chair, {background}", "CONTEXT_WORD:chair"),
        ("sks person\nwaving, {background}", "MULTI_LINE"),
        ("sks person\u2019s hat, {background}", "NON_ASCII:U+2019"),
        ("sks person, {backgrond}", "UNKNOWN_SLOT:backgrond RECIPE_CONTRADICTED"),
        ("sks person, " + "tall " * 70 + ", {background}", "TOO_LONG:77"),
    ],
)
def test_a_persons_caption_that_breaks_the_rules_is_refused_with_its_image(clip, text, problems):
    rows = by_hand(clip, v0=(text,))
    assert [line["outcome"] for line in rows] == ["quarantined", "kept", "kept", "kept"]
    refused = rows[0]
    assert (refused["reason"], refused["value"]) == ("OVERRIDE_INVALID", problems)
    assert refused["caption"].startswith(text[:8])
    assert refused["replaced_caption"] == "sks person, full body, plain olive background"


def test_what_a_person_allows_is_kept_and_recorded_and_only_that(clip):
    text = "sks person on a chair by a lamp, {background}"
    both = ("CONTEXT_WORD:chair", "CONTEXT_WORD:lamp", "CONTEXT_WORD:sofa")
    rows = by_hand(clip, v0=(text, both), v1=(text, both[:1]))
    assert [line["outcome"] for line in rows[:2]] == ["kept", "quarantined"]
    assert rows[0]["allowed_problems"] == "CONTEXT_WORD:chair CONTEXT_WORD:lamp"
    assert rows[1]["value"] == "CONTEXT_WORD:lamp"


def test_a_persons_caption_saves_an_image_on_which_the_captioner_failed(clip, monkeypatch):
    spoil_a_cut_out(clip, monkeypatch)
    item = clip.rows["augment"][0]["item"]
    line = Override(item, "sks person, {background}")
    rows = clip.caption(overrides={item: line}, backend="transformers", model="x")
    assert [row["outcome"] for row in rows] == ["kept", "quarantined", "kept", "kept"]
    assert rows[0]["caption"] == "sks person, plain olive background"


def test_a_persons_caption_does_not_save_an_image_that_is_not_sound(clip):
    spoil_bytes(clip, clip.rows["augment"][0])
    row = by_hand(clip, v0=("sks person, {background}",))[0]
    assert (row["outcome"], row["reason"]) == ("quarantined", "SHA_MISMATCH")


def test_a_trace_says_what_a_persons_caption_stands_in_place_of(clip):
    row = by_hand(clip, v0=("sks person, {background}",))[0]
    made = {"settings": {"caption": {"template": TWO}}}
    facts = dict(trace_facts._caption_facts(row, made, None))
    assert facts["source"].startswith("override")
    assert facts["in place of"] == row["replaced_caption"] != ""
    assert facts["template"] == "one of: " + " | ".join(TWO)
