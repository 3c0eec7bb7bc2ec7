# Stage 5, second half: folders that trainers read.
# Input:   final.csv, and the reports' checks: with qc.enforce, a FAIL stops packaging
# Output:  <dataset>/05_final_training/<format>/ and its manifest <format>.csv


rule package:
    """Write one package atomically, and compare it with the final table."""
    input:
        final=rules.select_final.output.table,
        gate=[f"{QC}/{name}.csv" for name in REPORTS],
    output:
        table=update(f"{FINAL}/{{format}}.csv"),
    log:
        "logs/package/{format}.log",
    benchmark:
        "benchmarks/package/{format}.tsv"
    conda:
        "../envs/report.yaml"
    params:
        package=what_matters("package", but=["formats"]),
        subject=SUBJECT_WORDS,
        about=settled(config["about"]) if config["package"]["card"] else None,
        review=REVIEW.whole if config["package"]["card"] else "",  # the card mentions it
        enforce=lookup(dpath="qc/enforce", within=config),
        code=code_digest("scripts/05_package_dataset.py"),
    script:
        "../scripts/05_package_dataset.py"
