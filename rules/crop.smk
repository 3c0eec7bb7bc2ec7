# Stage 2, second half: who of them is the subject?
# Input:   the tables of the frames and of the detections in them
# Output:  <dataset>/02_yolo_crops/<video>.csv and the crops beside it in <video>/


rule crop:
    """Choose the subject by policy, and cut a padded crop; no network is asked."""
    input:
        frames=rules.extract.output.table,
        detections=rules.detect.output.table,
    output:
        table=update(f"{CROPS}/{{video}}.csv"),
    log:
        log="logs/crop/{video}.log",
        cost="benchmarks/crop/{video}.tsv",
    conda:
        "../envs/extract.yaml"
    params:
        settings=settled({key: config["detect"][key] for key in CHOICE}),
        review=lambda wildcards: REVIEW.digest("crop", wildcards.video),
        code=code_digest("scripts/02_yolo_crop.py"),
    shell:
        stage_command(
            "02_yolo_crop",
            ["frames", "detections"],
            ["settings", "review", "code"],
        )
