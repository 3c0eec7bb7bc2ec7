# Stage 4: cut-outs on other backgrounds.
# Input:   the cut-outs' table, the crops' (where the body meets the frame's edge), the scene bank
# Output:  <dataset>/environments.csv, and per clip <dataset>/04_augmented/<video>.csv, the images in
#          <video>/ and their masks in <video>/mask/


rule environments:
    """The bank of scenes: the user's pictures, or scenes of a pinned set of clips."""
    input:
        probes=[f"{DATASET}/videos/{v}.csv" for v in PINNED] if USES_CLIP_SCENES else [],
        frames=[f"{FRAMES}/{v}.csv" for v in PINNED] if USES_CLIP_SCENES else [],
        detections=[f"{DETECTIONS}/{v}.csv" for v in PINNED] if USES_CLIP_SCENES else [],
        pictures=[] if USES_CLIP_SCENES else user_pictures(),
    output:
        table=update(f"{DATASET}/environments.csv"),
    log:
        "logs/environments.log",
    benchmark:
        "benchmarks/environments.tsv"
    priority: FIRST
    conda:
        "../envs/extract.yaml"
    params:
        folder=lookup(dpath="augment/environment_folder", within=config),
        code=code_digest("scripts/04_draw_environments.py"),
    script:
        "../scripts/04_draw_environments.py"


rule augment:
    """Put each cut-out on k seeded backgrounds; record each recipe."""
    input:
        masks=rules.mask.output.table,
        bank=rules.environments.output.table,
    output:
        table=update(f"{AUGMENTED}/{{video}}.csv"),
    log:
        "logs/augment/{video}.log",
    priority: soon("augment")
    conda:
        "../envs/extract.yaml"
    threads: config["threads"]["augment"]
    resources:
        **SCRATCH,
    params:
        augment=what_matters("augment", but=("environment_folder", "environment_clips")),
        seed=lookup(dpath="seed", within=config),
        code=code_digest("scripts/04_replace_background.py"),
    shell:
        stage_command(
            "04_replace_background",
            ["masks", "bank"],
            ["augment", "seed", "code"],
            upstream={"probe": TABLES["probe"], "crops": TABLES["crop"]},
        )
