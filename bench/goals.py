"""The goals, in one place: what each figure has to reach on two cores without a GPU."""

from __future__ import annotations

from dataclasses import dataclass

AT_LEAST, AT_MOST = ">=", "<="


@dataclass(frozen=True)
class Goal:
    """A bound on one figure. `said` is how the goal reads in the table."""

    what: str
    sense: str
    bound: float
    said: str

    def met(self, figure: float) -> bool:
        """True if the figure reaches the bound."""
        return figure >= self.bound if self.sense == AT_LEAST else figure <= self.bound


GOALS = {
    "extraction_ratio": Goal("extraction vs ffmpeg chain", AT_LEAST, 2.5, "2.5x"),
    "extraction_floor": Goal("extraction over decoding alone", AT_MOST, 1.3, "1.3x the floor"),
    "extraction_same": Goal("the frames that a plain decode chooses", AT_LEAST, 1.0, "all"),
    "detection_ratio": Goal("detection vs yolo command", AT_LEAST, 3.0, "3x"),
    "detection_floor": Goal(
        "detection's share of the network's own throughput", AT_LEAST, 0.85, "85 % of the network"
    ),
    "detection_same": Goal("the boxes of the yolo command", AT_LEAST, 1.0, "all"),
    "masks_ratio": Goal("masks vs rembg", AT_LEAST, 3.0, "3x"),
    "masks_error": Goal("matte error over rembg's", AT_MOST, 1.0, "no more than rembg's"),
    "masks_same": Goal("alpha against the slow path, in 1/255", AT_MOST, 2.0, "2/255"),
    "end_to_end_ratio": Goal("end to end vs chained commands", AT_LEAST, 3.0, "3x"),
    "added_video_s": Goal("seconds for one more short video", AT_MOST, 0.6, "0.6 s"),
    "dry_run_s": Goal("dry run at 10,000 videos, seconds", AT_MOST, 60.0, "60 s"),
    "dry_run_gb": Goal("dry run at 10,000 videos, GB", AT_MOST, 1.5, "1.5 GB"),
    "no_op_s": Goal("no-op run at 10,000 videos, seconds", AT_MOST, 60.0, "60 s"),
    "no_op_gb": Goal("no-op run at 10,000 videos, GB", AT_MOST, 1.5, "1.5 GB"),
    "dry_run_over_bare": Goal("dry run over a bare graph's, CPU time", AT_MOST, 1.15, "1.15x"),
    "no_op_over_bare": Goal(
        "no-op run over a finished bare graph's, CPU time", AT_MOST, 1.3, "1.3x"
    ),
    "added_over_alone": Goal(
        "100 clips more in 10,000 over 100 alone, less the graph, CPU time", AT_MOST, 2.0, "2x"
    ),
    "page_mb": Goal("a page of the reports at 10,000 clips, MB", AT_MOST, 5.0, "5 MB"),
    "page_s": Goal("seconds until a browser shows it", AT_MOST, 2.0, "2 s"),
    "schedule_ms": Goal("scheduling one job of 60,000, ms", AT_MOST, 30.0, "30 ms"),
    "device_busy": Goal("busy share of a simulated RTX 3090", AT_LEAST, 0.85, "85 %"),
    "device_slow": Goal("the same of a card ten times slower", AT_LEAST, 0.95, "95 %"),
    "device_fast": Goal("the same of a card ten times faster", AT_MOST, 0.5, "50 % at most"),
    "device_ratio": Goal(
        "stages 2 and 3 on it vs one job at a time that holds the card, as it was",
        *(AT_LEAST, 10.0, "10x"),
    ),
    "slow_thread": Goal("of its share of a core, what a slowed thread gets", AT_MOST, 1.05, "1.05"),
    "slow_all": Goal("of all cores, what slowed threads get together", AT_LEAST, 0.9, "0.9"),
    "memory_flat": Goal("peak on a 2 h clip over a 1 min clip", AT_MOST, 1.1, "1.1x"),
}

#: The number of videos, jobs and seconds that the goals above speak of.
VIDEOS, JOBS, LONG_S, SHORT_S = 10_000, 60_000, 7200, 60
#: So many clips are worked on in shards.
MANY = 100_000
