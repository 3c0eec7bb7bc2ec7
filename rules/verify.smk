# Verification: is the dataset what the pipeline wrote, to the last bit, and nothing else?
# Input:   none, on purpose: Snakemake would remake a missing file before it could be reported
# Output:  <qc_reports>/verify_dataset.csv, verify_dataset_videos.csv, verify_dataset.html
# No other rule needs these; `make verify` requests `verified` and forces `verify`.


rule verify:
    """Read tables, stamps, files and raw clips again; a FAIL does not fail this job."""
    output:
        csv=f"{QC}/verify_dataset.csv",
        videos_csv=f"{QC}/verify_dataset_videos.csv",
        html=f"{QC}/verify_dataset.html",
    log:
        "logs/verify_dataset.log",
    benchmark:
        "benchmarks/verify.tsv"
    conda:
        "../envs/report.yaml"
    threads: 4
    params:
        raw_folder=RAW,
        ignore=IGNORE,
        not_ours=[
            folder
            for folder in (
                RAW if os.path.isdir(RAW) else None,
                QC,
                config["cache"],
                config["audit"],
                config["augment"]["environment_folder"],
                config["caption"]["overrides"],
            )
            if folder
        ],
        formats=config["package"]["formats"],
        clip_scenes=USES_CLIP_SCENES,
        code=code_digest("scripts/verify_dataset.py"),
    script:
        "../scripts/verify_dataset.py"


rule verified:
    """Fail and name each fault, unless the report found the dataset sound."""
    input:
        csv=rules.verify.output.csv,
    log:
        "logs/verified.log",
    benchmark:
        "benchmarks/verified.tsv"
    conda:
        "../envs/report.yaml"
    script:
        "../scripts/require_verified.py"
