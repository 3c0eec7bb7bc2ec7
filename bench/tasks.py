"""What is measured inside one Python process: our stages, plain rivals, and the floors.

    python -m bench.tasks NAME ARGUMENTS.json

Each task imports and prepares first, then does its work under the clock, and prints one line of
JSON: wall and CPU seconds of the work (children included) and what it found. The stages are called
as the workflow calls them, by keyword, in a process that is prepared as a job's is.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

TASKS: dict[str, Callable] = {}


def task(function: Callable) -> Callable:
    """Register a task: a function that prepares and returns the work to be timed."""
    TASKS[function.__name__] = function
    return function


def cpu_s() -> float:
    """CPU seconds of this process and its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


# --- our stages -----------------------------------------------------------------------------------


def stage(name: str, threads: int = 1) -> ModuleType:
    """The module of a stage, in a process as a job without a fork server has it."""
    import run_stage

    os.environ |= run_stage.ENVIRONMENT  # read when numpy is imported
    from ferrari.jobs import stage_job

    module = importlib.import_module(name)
    stage_job.prepare(threads)
    return module


@task
def probe(raws: list[str], dataset: str, settings: dict) -> Callable:
    """Stage 0 for each clip."""
    from ferrari.ledger.item_ids import video_id

    probe_video = stage("00_probe_video").probe_video

    def work() -> None:
        for raw in map(Path, raws):
            video = video_id(raw.name)
            probe_video(
                raw=str(raw),
                file=raw.name,
                video=video,
                dataset=dataset,
                out_csv=f"{dataset}/videos/{video}.csv",
                settings=settings,
            )

    return work


@task
def extract(raws: list[str], dataset: str, settings: dict, threads: int) -> Callable:
    """Stage 1 for each clip, after `probe`."""
    from ferrari.ledger.item_ids import video_id

    extract_video = stage("01_extract_frames", threads).extract_video

    def work() -> None:
        for raw in map(Path, raws):
            video = video_id(raw.name)
            extract_video(
                raw=str(raw),
                probe_csv=f"{dataset}/videos/{video}.csv",
                video=video,
                dataset=dataset,
                out_csv=f"{dataset}/01_extracted_frames/{video}.csv",
                settings=settings,
                threads=threads,
            )

    return work


def beyond_first(work: Callable[[str], None], one: str, all_of_them: str) -> Callable:
    """Work on all items less work on one: what the items cost, without start and loading."""

    def both() -> dict[str, list[float]]:
        work(one)  # whatever is done once in a process's life
        marks = [(time.perf_counter(), cpu_s())]
        for table in (one, all_of_them):
            work(table)
            marks.append((time.perf_counter(), cpu_s()))
        first, second = (
            [b - a for a, b in zip(marks[k], marks[k + 1], strict=True)] for k in (0, 1)
        )
        return {"clock": [more - less for less, more in zip(first, second, strict=True)]}

    return both


@task
def crop(
    dataset: str, weights: str, settings: dict, cache: str, threads: int, tables: list[str]
) -> Callable:
    """Stage 2 on a table of frames, loading included; of two tables, the second less the first."""
    from ferrari.video import linking_film

    find = stage("02_detect_people", threads).detect_video
    cut = stage("02_yolo_crop", threads).crop_video

    def work(table: str) -> None:
        video = Path(table).stem
        found = f"{dataset}/subject/detections/{video}.csv"
        tracks = f"{dataset}/subject/tracks/{video}.csv"
        people = f"{dataset}/subject/sightings/{video}.npz"
        film = linking_film.path_of(table)
        film.touch()  # the table may be of many clips: their frames alone are searched
        common = {"frames_csv": table, "video": video, "dataset": dataset, "settings": settings}
        means = {"weights": [weights], "mask_settings": {}, "cache": cache, "threads": threads}
        outputs = {"out_csv": found, "out_tracks": tracks, "out_sightings": people}
        find(film=str(film), **outputs, **common, **means)
        out = f"{dataset}/02_yolo_crops/{video}.csv"
        cut(
            detections_csv=found,
            out_csv=out,
            out_identity=f"{dataset}/subject/identity/{video}.csv",
            **common,
        )

    return beyond_first(work, *tables) if len(tables) > 1 else lambda: work(tables[0])


@task
def people(
    dataset: str,
    videos: list[str],
    weights: str,
    settings: dict,
    cache: str,
    who: str,
    faces: dict | None,
    face_weights: list[str],
    judging: dict | None,
) -> Callable:
    """`detect` and `crop` of two clips, the second less the first; one thread.

    With `faces` they are searched, and people are judged by `judging` against the template `who`.
    """
    from ferrari.detection.face_search import FaceNetworks
    from ferrari.video import linking_film

    find, cut = stage("02_detect_people").detect_video, stage("02_yolo_crop").crop_video
    asked = FaceNetworks(faces, face_weights) if faces else None

    def work(video: str) -> None:
        table = f"{dataset}/01_extracted_frames/{video}.csv"
        common = {"frames_csv": table, "video": video, "dataset": dataset, "settings": settings}
        means = {"weights": [weights], "mask_settings": {}, "cache": cache, "threads": 1}
        beside = {kind: f"{dataset}/subject/{kind}/{video}" for kind in ("tracks", "sightings")}
        detections = f"{dataset}/subject/detections/{video}.csv"
        find(
            film=str(linking_film.path_of(table)),
            out_csv=detections,
            out_tracks=f"{beside['tracks']}.csv",
            out_sightings=f"{beside['sightings']}.npz",
            faces=asked,
            second_look=bool(judging),
            **common,
            **means,
        )
        cut(
            detections_csv=detections,
            out_csv=f"{dataset}/02_yolo_crops/{video}.csv",
            out_identity=f"{dataset}/subject/identity/{video}.csv",
            sightings=f"{beside['sightings']}.npz",
            who=who,
            identity=judging,
            **common,
        )

    return beyond_first(work, *videos)


@task
def mask(
    dataset: str,
    out: str,
    weights: str | list[str],
    settings: dict,
    cache: str,
    threads: int,
    tables: list[str],
) -> Callable:
    """Stage 3 on a table of crops, as `crop`; the cut-outs go to `out`."""
    mask_video = stage("03_mask_subject", threads).mask_video

    def work(table: str) -> None:
        mask_video(
            crops_csv=table,
            dataset=dataset,
            out_csv=f"{out}/{Path(table).stem}.csv",
            weights=weights if isinstance(weights, list) else [weights],
            settings=settings,
            subject_class="person",
            cache=cache,
            threads=threads,
        )

    return beyond_first(work, *tables) if len(tables) > 1 else lambda: work(tables[0])


# --- rivals ---------------------------------------------------------------------------------------


@task
def decord_batch(
    raws: list[str], wanted: dict[str, list[int]], out: str, settings: dict, threads: int
) -> Callable:
    """decord's get_batch of the very frames that we keep, sixteen at a time, encoded as ours."""
    import decord

    from ferrari.images.image_files import encode_webp

    folder = Path(out)

    def work() -> None:
        for raw in raws:
            reader = decord.VideoReader(raw, num_threads=threads)
            numbers = wanted[Path(raw).name]
            for start in range(0, len(numbers), 16):
                part = numbers[start : start + 16]
                for number, frame in zip(part, reader.get_batch(part).asnumpy(), strict=True):
                    data = encode_webp(frame, settings["webp_quality"])
                    (folder / f"{Path(raw).stem}-{number:06d}.webp").write_bytes(data)

    return work


@task
def pyav_plain(raws: list[str], out: str, settings: dict, threads: int) -> Callable:
    """PyAV, every frame decoded, the same choice of frames and the same output, one by one."""
    from bench.reference import chosen
    from ferrari.images.image_files import encode_webp

    folder = Path(out)

    def work() -> None:
        for raw in raws:
            for frame in chosen(raw, settings, threads):
                data = encode_webp(frame.to_ndarray(format="rgb24"), settings["webp_quality"])
                (folder / f"{Path(raw).stem}-{frame.pts:09d}.webp").write_bytes(data)

    return work


# --- floors and truths ----------------------------------------------------------------------------


@task
def decode_only(raws: list[str], threads: int) -> Callable:
    """Every frame decoded with PyAV, none looked at."""
    import av

    def work() -> dict[str, int]:
        count = 0
        for raw in raws:
            with av.open(raw) as container:
                stream = container.streams.video[0]
                stream.thread_type, stream.thread_count = "AUTO", threads
                count += sum(1 for _ in container.decode(stream))
        return {"frames": count}

    return work


@task
def reference_frames(raws: list[str], settings: dict) -> Callable:
    """The pts that a plain reading keeps, by file name."""
    from bench.reference import chosen

    return lambda: {
        Path(raw).name: [frame.pts for frame in chosen(raw, settings, threads=1)] for raw in raws
    }


@task
def network_alone(
    graph: str, output: int | None, inputs: int, size: int | list, threads: int
) -> Callable:
    """The network on `inputs` ready tensors through OpenVINO's asynchronous queue."""
    from bench.floors import network

    return network(graph, output, inputs, size, threads)


@task
def yolo_boxes(source: str, weights: str, settings: dict, cache: str) -> Callable:
    """Boxes by picture, as the yolo command finds them in a folder."""
    from ferrari.networks.backends.ultralytics_runtime import ultralytics

    def work() -> dict[str, list]:
        results = (
            ultralytics(cache)
            .YOLO(weights)
            .predict(
                source,
                classes=[0],
                conf=settings["confidence"],
                iou=settings["iou"],
                imgsz=settings["image_size"],
                device="cpu",
                verbose=False,
                stream=True,
            )
        )
        return {Path(r.path).name: r.boxes.xyxy.cpu().numpy().tolist() for r in results}

    return work


@task
def plain_alpha(pictures: list[str], out: str, weights: str, entry: dict, aspect: bool) -> Callable:
    """Alpha by the slow path: one picture at a time, full precision, nothing skipped."""
    from bench.floors import write_plain_alphas

    paths = [Path(picture) for picture in pictures]
    return lambda: write_plain_alphas(paths, Path(out), weights, entry, aspect)


def main() -> None:
    """Prepare, work under the clock, print."""
    work = TASKS[sys.argv[1]](**json.loads(Path(sys.argv[2]).read_text()))
    cpu, start = cpu_s(), time.perf_counter()
    result = work()
    clock = [time.perf_counter() - start, cpu_s() - cpu]
    clock = (result or {}).pop("clock", clock)
    print(json.dumps({"wall_s": clock[0], "cpu_s": clock[1], "result": result}))


if __name__ == "__main__":
    main()
