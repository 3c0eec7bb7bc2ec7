# Stage 0: is a raw file a usable video?
# Input:   the raw file (read, never changed)
# Output:  <dataset>/videos/<video>.csv, one row; refused files under bad_videos/<VERDICT>/


rule probe:
    """Examine one raw file without trusting its header; write one row with its verdict."""
    output:
        table=update(f"{DATASET}/videos/{{video}}.csv"),
    log:
        "logs/probe/{video}.log",
    priority: soon("probe")
    conda:
        "../envs/extract.yaml"
    resources:
        **SCRATCH,
    params:
        raw=of_clip(raw_file),
        raw_state=of_clip(raw_state),
        file=of_clip(VIDEOS.get),
        settings=what_matters("probe"),
        limits=limits("probe"),
        code=code_digest("scripts/00_probe_video.py"),
    shell:
        stage_command(
            "00_probe_video",
            [],
            ["raw", "raw_state", "file", "settings", "limits", "code"],
        )


rule videos:
    """All clips in one table, each with its final verdict (duplicates included)."""
    input:
        probes=every(f"{DATASET}/videos/{{video}}.csv"),
        frames=every(f"{FRAMES}/{{video}}.csv"),
    output:
        table=update(f"{DATASET}/videos.csv"),
    log:
        "logs/videos.log",
    benchmark:
        "benchmarks/videos.tsv"
    conda:
        "../envs/extract.yaml"
    params:
        raw=RAW,
        ignore=IGNORE,
        left_out=LEFT_OUT,
        review=REVIEW.digest("videos"),
        code=code_digest("scripts/list_videos.py"),
    script:
        "../scripts/list_videos.py"
