# Reports: did each stage run correctly? A CSV of checks, a CSV of figures per clip, one HTML page.
# Input:   the tables of a stage and of the one before; the images are opened again
# Output:  <qc_reports>/<report>.csv, <report>_videos.csv, <report>.html, and index.html;
#          <qc_reports>/review.html and its pictures in review/, only on request
# Outputs are flagged `update`: a report that would not change is left as it is (report_stamps).
# A FAIL never fails the report's job; with qc.enforce it stops `package`.


from ferrari.provenance import older_packages


report: "../report/workflow.rst"


rule qc0:
    """QC0, figures: what happened to every raw file."""
    input:
        videos=rules.videos.output.table,
    output:
        csv=update(f"{QC}/qc0_failed_video_diagnostics.csv"),
        videos_csv=update(f"{QC}/qc0_failed_video_diagnostics_videos.csv"),
    log:
        "logs/qc/qc0_failed_video_diagnostics.log",
    benchmark:
        "benchmarks/qc0.tsv"
    conda:
        "../envs/report.yaml"
    params:
        probe=upstream(f"{DATASET}/videos/{{video}}.csv"),
        extract=upstream(f"{FRAMES}/{{video}}.csv"),
        raw_folder=RAW,
        ignore=IGNORE,
        gone=GONE,
        made_by="analyze_failed_videos",
        code=code_digest("scripts/analyze_failed_videos.py"),
    script:
        "../scripts/make_report.py"


rule qc0_page:
    """QC0, page."""
    input:
        csv=rules.qc0.output.csv,
        videos_csv=rules.qc0.output.videos_csv,
    output:
        html=report(
            update(f"{QC}/qc0_failed_video_diagnostics.html"),
            caption="../report/qc0_failed_video_diagnostics.rst",
            category="Quality control",
            subcategory="Stages",
            labels={"report": "QC0", "of": "Raw videos"},
        ),
    log:
        "logs/qc/qc0_page.log",
    benchmark:
        "benchmarks/qc0_page.tsv"
    conda:
        "../envs/report.yaml"
    params:
        made_by="build_qc0_failed_videos_html",
        code=code_digest("scripts/build_qc0_failed_videos_html.py"),
    script:
        "../scripts/make_report.py"


rule qc3:
    """QC3: the extracted frames."""
    input:
        tables=every(f"{FRAMES}/{{video}}.csv"),
    output:
        csv=update(f"{QC}/qc3_extraction_summary.csv"),
        videos_csv=update(f"{QC}/qc3_extraction_summary_videos.csv"),
        html=report(
            update(f"{QC}/qc3_extraction_summary.html"),
            caption="../report/qc3_extraction_summary.rst",
            category="Quality control",
            subcategory="Stages",
            labels={"report": "QC3", "of": "Extracted frames"},
        ),
    log:
        "logs/qc/qc3_extraction_summary.log",
    benchmark:
        "benchmarks/qc3.tsv"
    conda:
        "../envs/report.yaml"
    params:
        previous=upstream(f"{DATASET}/videos/{{video}}.csv"),
        qc_settings=what_matters("qc", but=["enforce"]),
        extract_settings=settled(config["extract"]),
        made_by="qc_extracted_frames",
        code=code_digest("scripts/qc_extracted_frames.py"),
    script:
        "../scripts/make_report.py"


rule qc_identity:
    """Who the subject is. Comes before QC4, because it is decided before anybody is cropped."""
    input:
        tables=every(f"{CROPS}/{{video}}.csv"),
        references=rules.who.output.table,
        people=rules.who.output.people,
        said=rules.who.output.said,
    output:
        csv=update(f"{QC}/qc_identity.csv"),
        videos_csv=update(f"{QC}/qc_identity_videos.csv"),
        html=report(
            update(f"{QC}/qc_identity.html"),
            caption="../report/qc_identity.rst",
            category="Quality control",
            subcategory="Stages",
            labels={"report": "Identity", "of": "Who the subject is"},
        ),
    log:
        "logs/qc/qc_identity.log",
    benchmark:
        "benchmarks/qc_identity.tsv"
    conda:
        "../envs/report.yaml"
    params:
        identities=upstream(f"{IDENTITY}/{{video}}.csv"),
        detections=upstream(f"{DETECTIONS}/{{video}}.csv"),
        tracks=upstream(f"{TRACKS}/{{video}}.csv"),
        previous=upstream(f"{FRAMES}/{{video}}.csv"),
        references_folder=getattr(SUBJECT.references, "path", None),
        qc_settings=what_matters("qc", but=["enforce"]),
        made_by="qc_identity",
        code=code_digest("scripts/qc_identity.py"),
    script:
        "../scripts/make_report.py"


rule qc4:
    """QC4: the crops."""
    input:
        tables=every(f"{CROPS}/{{video}}.csv"),
    output:
        csv=update(f"{QC}/qc4_yolo_crops_summary.csv"),
        videos_csv=update(f"{QC}/qc4_yolo_crops_summary_videos.csv"),
        html=report(
            update(f"{QC}/qc4_yolo_crops_summary.html"),
            caption="../report/qc4_yolo_crops_summary.rst",
            category="Quality control",
            subcategory="Stages",
            labels={"report": "QC4", "of": "Crops"},
        ),
    log:
        "logs/qc/qc4_yolo_crops_summary.log",
    benchmark:
        "benchmarks/qc4.tsv"
    conda:
        "../envs/report.yaml"
    params:
        detections=upstream(f"{DETECTIONS}/{{video}}.csv"),
        tracks=upstream(f"{TRACKS}/{{video}}.csv"),
        previous=upstream(f"{FRAMES}/{{video}}.csv"),
        qc_settings=what_matters("qc", but=["enforce"]),
        detect_settings=settled(config["detect"]),
        made_by="qc_yolo_crops",
        code=code_digest("scripts/qc_yolo_crops.py"),
    script:
        "../scripts/make_report.py"


rule qc5:
    """QC5: the cut-outs."""
    input:
        tables=every(f"{MASKS}/{{video}}.csv"),
    output:
        csv=update(f"{QC}/qc5_masks_summary.csv"),
        videos_csv=update(f"{QC}/qc5_masks_summary_videos.csv"),
        html=report(
            update(f"{QC}/qc5_masks_summary.html"),
            caption="../report/qc5_masks_summary.rst",
            category="Quality control",
            subcategory="Stages",
            labels={"report": "QC5", "of": "Cut-outs"},
        ),
    log:
        "logs/qc/qc5_masks_summary.log",
    benchmark:
        "benchmarks/qc5.tsv"
    conda:
        "../envs/report.yaml"
    params:
        previous=upstream(f"{CROPS}/{{video}}.csv"),
        qc_settings=what_matters("qc", but=["enforce"]),
        mask_settings=settled(config["mask"]),
        made_by="qc_masked_subjects",
        code=code_digest("scripts/qc_masked_subjects.py"),
    script:
        "../scripts/make_report.py"


rule qc6:
    """QC6: the augmented images."""
    input:
        tables=every(f"{AUGMENTED}/{{video}}.csv"),
        bank=rules.environments.output.table,
    output:
        csv=update(f"{QC}/qc6_augmentation_summary.csv"),
        videos_csv=update(f"{QC}/qc6_augmentation_summary_videos.csv"),
        html=report(
            update(f"{QC}/qc6_augmentation_summary.html"),
            caption="../report/qc6_augmentation_summary.rst",
            category="Quality control",
            subcategory="Stages",
            labels={"report": "QC6", "of": "Augmented images"},
        ),
    log:
        "logs/qc/qc6_augmentation_summary.log",
    benchmark:
        "benchmarks/qc6.tsv"
    conda:
        "../envs/report.yaml"
    params:
        previous=upstream(f"{MASKS}/{{video}}.csv"),
        qc_settings=what_matters("qc", but=["enforce"]),
        augment_settings=settled(config["augment"]),
        made_by="qc_augmented",
        code=code_digest("scripts/qc_augmented.py"),
    script:
        "../scripts/make_report.py"


rule qc7:
    """QC7: the final images and their captions, before they are packaged."""
    input:
        tables=every(f"{FINAL}/captions/{{video}}.csv"),
        final=rules.select_final.output.table,
    output:
        csv=update(f"{QC}/qc7_final_summary.csv"),
        videos_csv=update(f"{QC}/qc7_final_summary_videos.csv"),
        html=report(
            update(f"{QC}/qc7_final_summary.html"),
            caption="../report/qc7_final_summary.rst",
            category="Quality control",
            subcategory="Final dataset",
            labels={"report": "QC7", "of": "Final dataset"},
        ),
    log:
        "logs/qc/qc7_final_summary.log",
    benchmark:
        "benchmarks/qc7.tsv"
    conda:
        "../envs/report.yaml"
    params:
        previous=upstream(f"{AUGMENTED}/{{video}}.csv"),
        qc_settings=what_matters("qc", but=["enforce"]),
        subject_settings=SUBJECT_WORDS,
        caption_settings=what_matters("caption", but=("overrides",)),
        overrides=BY_HAND.whole,
        review=REVIEW.whole,
        resolution=lookup(dpath="package/resolution", within=config),
        made_by="qc_final_training",
        code=code_digest("scripts/qc_final_training.py"),
    script:
        "../scripts/make_report.py"


rule qc8:
    """QC8: how similar the final images are, and whether selection and split did what they should."""
    input:
        final=rules.select_final.output.table,
    output:
        csv=update(f"{QC}/qc8_similarity.csv"),
        videos_csv=update(f"{QC}/qc8_similarity_videos.csv"),
        html=report(
            update(f"{QC}/qc8_similarity.html"),
            caption="../report/qc8_similarity.rst",
            category="Quality control",
            subcategory="Final dataset",
            labels={"report": "QC8", "of": "Similarity"},
        ),
    log:
        "logs/qc/qc8_similarity.log",
    benchmark:
        "benchmarks/qc8.tsv"
    conda:
        "../envs/report.yaml"
    params:
        masks=upstream(f"{MASKS}/{{video}}.csv"),
        # Only where nobody was judged by face is it checked whether the set shows two people.
        qc_settings=what_matters("qc", but=["enforce"])
        | ({"two_people": 0} if JUDGING else {}),
        curate_settings=settled(config["curate"]),
        made_by="qc_similarity",
        code=code_digest("scripts/qc_similarity.py"),
    script:
        "../scripts/make_report.py"


rule qc_index:
    """The page that links all reports, with the counts from stage to stage."""
    input:
        csv=[f"{QC}/{name}.csv" for name in REPORTS],
        videos_csv=[f"{QC}/{name}_videos.csv" for name in REPORTS],
        pages=[f"{QC}/{name}.html" for name in REPORTS],
    output:
        html=update(f"{QC}/index.html"),  # not in --report, where its links would be dead
    log:
        "logs/qc/index.log",
    benchmark:
        "benchmarks/qc_index.tsv"
    conda:
        "../envs/report.yaml"
    params:
        older_packages=older_packages.not_asked_for(DATASET, config),
        made_by="build_qc_index",
        code=code_digest("scripts/build_qc_index.py"),
    script:
        "../scripts/make_report.py"


rule review_page:
    """The page on which a person reviews everything kept and refused. Not made by default: it opens
    every image of the set, and no other rule needs it.
    """
    input:
        # By path: with --allowed-rules, `make review` runs this rule alone.
        final=f"{DATASET}/{stages.FINAL_CSV}",
        reports=[f"{QC}/{name}.csv" for name in REPORTS],
    output:
        html=update(f"{QC}/review.html"),
        files=update(f"{QC}/review_files.csv"),
    log:
        "logs/qc/review_page.log",
    benchmark:
        "benchmarks/review_page.tsv"
    conda:
        "../envs/report.yaml"
    threads: 4
    params:
        picture_folders={name: folder.path for name, folder in PICTURES.items()},
        subject=SUBJECT_WORDS,
        rows=decided_so_far,
        code=code_digest("scripts/build_review_page.py"),
    script:
        "../scripts/build_review_page.py"
