# Audit: the record of a run, and the whole dataset in standard formats.
# Input:   the tables of all stages
# Output:  <audit>/ledger.parquet, <dataset>/croissant.json; the Snakefile's handlers write
#          <audit>/runs/<time>/ (RECORD), which no rule reads

from ferrari.provenance.run_record import Recorder

AUDIT = config["audit"]
LEDGER = f"{AUDIT}/ledger.parquet"
CROISSANT = f"{DATASET}/croissant.json"


RECORD = Recorder(
    config,
    workflow,
    {LEDGER: "all tables of all stages", CROISSANT: "the dataset, as Croissant"},
)


rule ledger:
    """All tables of all stages in one Parquet file."""
    input:
        videos=rules.videos.output.table,
        environments=rules.environments.output.table,
        final=rules.select_final.output.table,
        package=expand(f"{FINAL}/{{format}}.csv", format=config["package"]["formats"]),
    output:
        parquet=LEDGER,
    log:
        "logs/ledger.log",
    benchmark:
        "benchmarks/ledger.tsv"
    conda:
        "../envs/report.yaml"
    params:
        **{stage: upstream(table) for stage, table in TABLES.items()},
        code=code_digest("scripts/write_ledger.py"),
    script:
        "../scripts/write_ledger.py"


rule croissant:
    """The dataset's description as MLCommons Croissant 1.1, in the dataset's folder."""
    input:
        final=rules.select_final.output.table,
        package=expand(f"{FINAL}/{{format}}.csv", format=config["package"]["formats"]),
    output:
        table=CROISSANT,
    log:
        "logs/croissant.log",
    benchmark:
        "benchmarks/croissant.tsv"
    conda:
        "../envs/report.yaml"
    params:
        about=settled(config["about"]),
        formats=lookup(dpath="package/formats", within=config),
        review=REVIEW.whole,
        code=code_digest("scripts/describe_dataset.py"),
    script:
        "../scripts/describe_dataset.py"


#: All targets of a run of the whole set: packages, reports, audit files.
WHOLE_SET = [
    LEDGER,
    *rules.ledger.input,
    f"{QC}/index.html",
    *rules.qc_index.input,
    CROISSANT,
]
