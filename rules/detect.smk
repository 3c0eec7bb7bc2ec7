# Stage 2, first half: where are people, and which detections are the same person?
# Input:   the table of frames and the linking film; the weights of the detector and the face networks
# Output:  detections, <dataset>/subject/detections/<video>.csv; their tracks,
#          <dataset>/subject/tracks/<video>.csv; and sightings (boxes with tracks and face embeddings),
#          <dataset>/subject/sightings/<video>.npz


rule detect:
    """Detect people (or the class detect.class) in each frame, and track them; a row for each."""
    input:
        table=rules.extract.output.table,
        film=rules.extract.output.film,
        weights=DETECT_WEIGHTS,
    output:
        table=update(f"{DETECTIONS}/{{video}}.csv"),
        tracks=update(f"{TRACKS}/{{video}}.csv"),
        sightings=update(SEEN),
    log:
        "logs/detect/{video}.log",
    priority: soon("detect")
    conda:
        "../envs/detect.yaml"
    threads: config["threads"]["detect"]
    resources:
        **SCRATCH,
        gpu=on_gpu("detect"),
        batch=config["detect"]["batch"],
        device=device("detect"),
    params:
        settings=what_matters("detect", but=(*CHOICE, "second_look")),
        mask=what_matters("mask") if config["detect"]["backend"] == "mask" else None,
        limits=limits("detect"),
        weights=weights_entries("detect"),
        faces=where_faces_are_searched(FACE_NETWORKS, None),
        second_look=bool(JUDGING) and config["detect"]["second_look"],
        code=code_digest("scripts/02_detect_people.py"),
    shell:
        stage_command(
            "02_detect_people",
            ["table", "film", "weights*"],
            ["settings", "mask", "limits", "weights", "faces", "second_look", "code"],
            ["batch", "device"],
            outputs=["table", "tracks", "sightings"],
        )
