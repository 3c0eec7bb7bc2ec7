# Stage 2: where is the subject?
# Input:   the frames' table; the detector's weights
# Output:  <dataset>/02_yolo_crops/<video>.csv and the crops beside it in <video>/


rule crop:
    """Detect the subject in each frame, choose by policy, cut a padded crop."""
    input:
        table=rules.extract.output.table,
        weights=weights_files("detect"),
    output:
        table=update(f"{CROPS}/{{video}}.csv"),
    log:
        log="logs/crop/{video}.log",
        cost="benchmarks/crop/{video}.tsv",
    conda:
        "../envs/detect.yaml"
    threads: config["threads"]["crop"]
    resources:
        gpu=on_gpu("detect"),
        batch=config["detect"]["batch"],
        device=device("detect"),
    params:
        settings=what_matters("detect"),
        mask=what_matters("mask") if config["detect"]["backend"] == "mask" else None,
        limits=limits("detect"),
        weights=weights_entries("detect"),
        code=code_digest("scripts/02_yolo_crop.py"),
    shell:
        stage_command(
            "02_yolo_crop",
            ["table", "weights"],
            ["settings", "mask", "limits", "weights", "code"],
            ["batch", "device"],
        )
