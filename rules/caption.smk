# Stage 5, first half: captions, a final check of every image, and the selection.
# Input:   the tables of stages 2 to 4; captions written by hand (caption.overrides), if there are any
# Output:  <dataset>/05_final_training/captions/<video>.csv; final.csv, the images to be packaged


from ferrari.captions import caption_text, overrides
from ferrari.networks import caption_model

# Not an input: one new line would rerun every clip. Instead, each job has its lines' digest as a param.
with ending_the_run():
    BY_HAND = overrides.digests(config)
    caption_text.checked_templates(config["caption"], SUBJECT_WORDS)
    caption_model.require(config["caption"])


rule caption:
    """Re-open each image and caption it from its row; one that fails a check is refused with a row."""
    input:
        augment=rules.augment.output.table,
        masks=rules.mask.output.table,
        crops=rules.crop.output.table,
    output:
        table=update(f"{FINAL}/captions/{{video}}.csv"),
    log:
        "logs/caption/{video}.log",
    priority: soon("caption")
    conda:
        "../envs/captioner.yaml"
    resources:
        **SCRATCH,
        gpu=on_gpu("caption") if config["caption"]["backend"] == "transformers" else 0,
        device=device("caption"),
    params:
        caption=what_matters("caption", but=("overrides",)),
        limits=limits("caption"),
        subject=SUBJECT_WORDS,
        seed=config["seed"],
        overrides=of_clip(BY_HAND.of) if BY_HAND.by_video else "",
        code=code_digest("scripts/05_caption_images.py"),
    shell:
        stage_command(
            "05_caption_images",
            ["augment", "masks", "crops"],
            ["caption", "limits", "subject", "seed", "overrides", "code"],
            ["device"],
        )


rule select_final:
    """Select over the whole set: drop duplicates, apply the budget, split; a row for each image."""
    input:
        captions=every(f"{FINAL}/captions/{{video}}.csv"),
        videos=rules.videos.output.table,
    output:
        table=update(f"{FINAL}/final.csv"),
    log:
        "logs/select_final.log",
    benchmark:
        "benchmarks/select_final.tsv"
    conda:
        "../envs/report.yaml"
    params:
        masks=upstream(f"{MASKS}/{{video}}.csv"),
        curate=settled(config["curate"]),
        seed=config["seed"],
        review=REVIEW.digest("final"),
        code=code_digest("scripts/05_select_final.py"),
    script:
        "../scripts/05_select_final.py"
