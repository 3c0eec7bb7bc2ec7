# Stage 2, between its halves: who is the subject? One answer for the whole set.
# Input:   with reference pictures, those (as params) and the weights of the face networks; without,
#          the sightings in the clips that vote
# Output:  <dataset>/subject/who.npz, and beside it references.csv, people.csv and who.json; on the
#          first run <dataset>/subject_pinned.csv, the clips that vote


rule who:
    """Decide who the subject is: the person in the references, or in most of the voting clips."""
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
