# Stage 1: the frames of one clip.
# Input:   the probe table, and the raw file as a param (see raw_state in common.smk). For a clip named
#          like a camera's low-resolution copy, also the tables of the clip that it may be a copy of
# Output:  <dataset>/01_extracted_frames/<video>.csv and the images in <video>/ beside it; the linking
#          film, a small video by which people are tracked, <video>.linking.mkv (may be empty)


rule extract:
    """Sample a clip by its timestamps; drop repeats; quarantine frames decoded from damaged data."""
    input:
        probe=rules.probe.output.table,
        named_after=of_named_twins(TABLES["probe"], TABLES["extract"]),
    output:
        table=update(f"{FRAMES}/{{video}}.csv"),
        film=update(f"{FRAMES}/{{video}}.linking.mkv"),
    log:
        "logs/extract/{video}.log",
    priority: soon("extract")
    conda:
        "../envs/extract.yaml"
    threads: config["threads"]["extract"]
    resources:
        **SCRATCH,
        # With other settings only a few clips use the card; their jobs take turns by a lock.
        nvdec=int(
            config["extract"]["decoder"] in ("nvdec", "nvdec_first")
            and not nvdec_problem()
        ),
    params:
        raw=of_clip(raw_file),
        max_megapixels=config["probe"]["max_megapixels"],
        settings=what_matters("extract"),
        limits=limits("extract"),
        code=code_digest("scripts/01_extract_frames.py"),
    shell:
        stage_command(
            "01_extract_frames",
            ["probe", "named_after*"],
            ["raw", "max_megapixels", "settings", "limits", "code"],
            outputs=["table", "film"],
        )
