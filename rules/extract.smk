# Stage 1: frames of one clip.
# Input:   the probe table (the raw file is read, see raw_state in common.smk); of a clip that is
#          named as a camera's small copy, the tables of the clip that it may be a copy of
# Output:  <dataset>/01_extracted_frames/<video>.csv and the images beside it in <video>/; the film of
#          small pictures by which people are followed, <video>.linking.mkv (empty if there are none)


rule extract:
    """Sample a clip on its own clock; drop repeats; quarantine what is built on lost data."""
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
        # Of the other decoders only a few clips need the card: those jobs take their turns at it.
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
