# Stage 3: the subject, cut out.
# Input:   the table of crops; the segmenter's weights
# Output:  <dataset>/03_masked_subjects/<video>.csv and the RGBA cut-outs in <video>/ beside it


rule mask:
    """Segment each crop, refine its alpha, estimate the subject's own colours at the edge."""
    input:
        crops=rules.crop.output.table,
        weights=weights_files("mask"),
    output:
        table=update(f"{MASKS}/{{video}}.csv"),
    log:
        "logs/mask/{video}.log",
    priority: soon("mask")
    conda:
        "../envs/mask.yaml"
    threads: config["threads"]["mask"]
    resources:
        **SCRATCH,
        gpu=on_gpu("mask"),
        batch=config["mask"]["batch"],
        device=device("mask"),
    params:
        settings=what_matters("mask"),
        subject_class=lookup(dpath="detect/class", within=config),
        limits=limits("mask"),
        weights=weights_entries("mask"),
        review=decided("mask"),
        code=code_digest("scripts/03_mask_subject.py"),
    shell:
        stage_command(
            "03_mask_subject",
            ["crops", "weights*"],
            ["settings", "subject_class", "limits", "weights", "review", "code"],
            ["batch", "device"],
        )
