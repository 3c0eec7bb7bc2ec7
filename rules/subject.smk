# Stage 2, between its halves: who is the subject? One answer for the whole set.
# Input:   with references their pictures alone, which are params; else what is seen in the clips
#          that vote. The weights of the networks for faces where there are pictures
# Output:  <dataset>/subject/who.npz, references.csv, people.csv and who.json beside it, and once
#          <dataset>/subject_pinned.csv


rule who:
    """Name the subject: whom the references show, or most of a pinned set of clips."""
    input:
        sightings=[SEEN.replace("{video}", video) for video in VOTERS.clips],
        weights=weights_files("subject") if PICTURES else [],
    output:
        table=update(f"{DATASET}/{stages.REFERENCES_CSV}"),
        people=update(f"{DATASET}/{stages.PEOPLE_CSV}"),
        template=update(f"{DATASET}/{stages.WHO_NPZ}"),
        said=update(f"{DATASET}/{stages.WHO_JSON}"),
    log:
        "logs/who.log",
    benchmark:
        "benchmarks/who.tsv"
    priority: FIRST
    conda:
        "../envs/detect.yaml"
    params:
        mode=SUBJECT.mode,
        voters=list(VOTERS.clips),
        gone=list(VOTERS.gone),
        folders={name: folder.path for name, folder in PICTURES.items()},
        pictures={name: list(folder.files) for name, folder in PICTURES.items()},
        raw_state=picture_states,
        weights=weights_entries("subject") if PICTURES else [],
        embedding={key: FACES[1].entry[key] for key in ("above", "below", "dimensions")},
        limits=limits("detect"),
        review=REVIEW.digest("who"),
        code=code_digest("scripts/02_name_subject.py"),
    script:
        "../scripts/02_name_subject.py"
