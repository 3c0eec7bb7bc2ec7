"""Ferrari Pipeline: raw clips of a person in, a subject-only captioned image dataset out.

    00_raw_videos > probe > 01_extracted_frames > detect > 02_yolo_crops > 03_masked_subjects
                  > 04_augmented > 05_final_training           QC0, QC3 ... QC8 on the way

Every stage writes one table for each clip; every row is kept, dropped or quarantined, with a reason.
The graph is static: `snakemake -n` shows all of it, and a bad clip is a row, not a failed job.
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


include: "rules/common.smk"
include: "rules/models.smk"
include: "rules/probe.smk"
include: "rules/extract.smk"
include: "rules/detect.smk"
include: "rules/subject.smk"
include: "rules/crop.smk"
include: "rules/mask.smk"
include: "rules/augment.smk"
include: "rules/caption.smk"
include: "rules/package.smk"
include: "rules/qc.smk"
include: "rules/audit.smk"
include: "rules/verify.smk"
include: "rules/handlers.smk"


wildcard_constraints:
    video=VIDEO_ID,
    format="[a-z]+",


rule pins:
    """What every clip depends on: make it once, before several machines share a set (`shard`)."""
    input:
        rules.environments.output,
        rules.who.output,
        ALL_WEIGHTS,


rule all:
    """The packaged dataset, all reports and the audit files; for a shard, its clips' tables only."""
    default_target: True
    input:
        of_shard if SHARD else WHOLE_SET,
        lost,  # by name, or Snakemake considers them not needed


onstart:
    begin(log)


onsuccess:
    end_well(log)


onerror:
    end_failed(log)
