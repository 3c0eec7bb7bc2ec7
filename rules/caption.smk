# Stage 5, first half: captions, and a last look at every image.
# Input:   the tables of stages 2 to 4; a person's own captions (caption.overrides), if there are any
# Output:  <dataset>/05_final_training/captions/<video>.csv; final.csv: what goes into the packages


from ferrari.captions import caption_text, overrides

# No input of the rule: it would rerun every clip for one line. Each job gets its lines' digest.
with ending_the_run():
    BY_HAND = overrides.digests(config)
    caption_text.checked_templates(config["caption"], SUBJECT_WORDS)


rule caption:
    """Caption each image from what is known of it; re-open it; refuse it with a row if it fails."""
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
    """The whole set: duplicates go, a budget keeps what covers it, the rest is split; a row each."""
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
