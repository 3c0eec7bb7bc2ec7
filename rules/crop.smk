# Stage 2, second half: which detections show the subject?
# Input:   the tables of frames and detections; the clip's sightings and the subject's template
# Output:  <dataset>/02_yolo_crops/<video>.csv and the crops in <video>/ beside it; the identity of
#          each track, <dataset>/subject/identity/<video>.csv


rule crop:
    """Find the subject by identity, or choose it by policy; cut a padded crop. Runs no network."""
    input:
        frames=rules.extract.output.table,
        detections=rules.detect.output.table,
        judged_by=(
            [rules.detect.output.sightings, rules.who.output.template]
            if JUDGING
            else []
        ),
    output:
        table=update(f"{CROPS}/{{video}}.csv"),
        identity=update(f"{IDENTITY}/{{video}}.csv"),
    log:
        "logs/crop/{video}.log",
    priority: soon("crop")
    conda:
        "../envs/extract.yaml"
    resources:
        **SCRATCH,
    params:
        settings=settled(
            {
                key: config["detect"][key]
                for key in CHOICE
                if key != "policy" or not JUDGING
            }
        ),
        identity=JUDGING,
        review=decided("crop"),
        code=code_digest("scripts/02_yolo_crop.py"),
    shell:
        stage_command(
            "02_yolo_crop",
            ["frames", "detections", "judged_by*"],
            ["settings", "identity", "review", "code"],
            outputs=["table", "identity"],
        )
