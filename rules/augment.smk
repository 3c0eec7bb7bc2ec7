# Stage 4: cut-outs on other backgrounds.
# Input:   the tables of cut-outs and of crops (these say where the body meets the frame's edge), and
#          the bank of scenes
# Output:  <dataset>/environments.csv; for each clip <dataset>/04_augmented/<video>.csv, the images in
#          <video>/ and their masks in <video>/mask/

from ferrari.provenance import bank_stays

DRAWING = code_digest("scripts/04_draw_environments.py")
#: The tables of the clips that may lend a scene, by the name of the input.
DRAWN_FROM = {
    name: [f"{folder}/{video}.csv" for video in PINNED if USES_CLIP_SCENES]
    for name, folder in (
        ("probes", f"{DATASET}/videos"),
        ("frames", FRAMES),
        ("detections", DETECTIONS),
    )
}
SCENES = f"{DATASET}/environments.csv"
#: True if the only change to the bank is that clips which lent no scene are gone. Its job then runs
#: and writes the same bytes; `ancient` keeps Snakemake from rerunning every clip for that.
BANK_STAYS = USES_CLIP_SCENES and bank_stays.stays(
    DATASET,
    DRAWING,
    [table for tables in DRAWN_FROM.values() for table in tables],
    [raw_file(video) for video in PINNED],
)


rule environments:
    """The bank of scenes: the user's pictures, or scenes of a pinned set of clips."""
    input:
        **DRAWN_FROM,
        pictures=[] if USES_CLIP_SCENES else user_pictures(),
    output:
        table=update(SCENES),
    log:
        "logs/environments.log",
    benchmark:
        "benchmarks/environments.tsv"
    priority: FIRST
    conda:
        "../envs/extract.yaml"
    params:
        folder=lookup(dpath="augment/environment_folder", within=config),
        code=DRAWING,
    script:
        "../scripts/04_draw_environments.py"


rule augment:
    """Put each cut-out on k backgrounds, drawn by seed; record each recipe."""
    input:
        probe=rules.probe.output.table,
        masks=rules.mask.output.table,
        crops=rules.crop.output.table,
        bank=ancient(SCENES) if BANK_STAYS else SCENES,
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
            ["probe", "masks", "crops", "bank"],
            ["augment", "seed", "code"],
        )
