"""FFmpeg's lines are read where they matter, and nobody else's output is lost."""

import logging
import os
import subprocess
import sys

import pytest

from ferrari.video.decoding.ffmpeg_log import Complaints
from tests.settings import ENVIRONMENT


def said(*lines):
    with Complaints() as complaints:
        for line in lines:
            os.write(2, line.encode() + b"\n")
        return complaints.fresh(), complaints.fresh()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("[h264 @ 0x55d0] error while decoding MB 3 4, bytestream 12", "picture"),
        ("[h264 @ 0x55d0] concealing 23 DC, 23 AC, 23 MV errors in P frame", "picture"),
        ("[gif @ 0x55d0] LZW decode failed", "picture"),
        ("[hevc @ 0x55d0] Could not find ref with POC 6", "picture"),
        ("[matroska,webm @ 0x1] Element at 0x8 ending at 0x9 exceeds containing master element",
         "container"),
        ("[mov @ 0x1] stream 0, offset 0x14b84: partial file", "container"),
        ("[h264 @ 0x55d0] mmco: unref short failure", ""),
        ("[mjpeg @ 0x55d0] overread 8", ""),
        ("[mp4 @ 0x1] Application provided duration: 5 is invalid", ""),
    ],
)  # fmt: skip
def test_only_what_means_lost_data_counts(line, kind):
    (picture, container), again = said(line)
    assert bool(picture) is (kind == "picture") and bool(container) is (kind == "container")
    assert again == ("", "") and "0x55d0" not in picture


def test_the_first_lines_and_all_of_pythons_go_on_to_the_log(tmp_path):
    code = (
        "import logging, os, sys\n"
        "from ferrari.video.decoding.ffmpeg_log import Complaints\n"
        "logging.basicConfig(format='%(message)s')\n"
        "with Complaints() as complaints:\n"
        "    for number in range(500):\n"
        "        os.write(2, b'[h264 @ 0x1] line %d\\n' % number)\n"
        "        complaints.fresh()\n"
        "    logging.warning('from Python')\n"
        "os.write(2, b'after\\n')\n"
        "logging.warning('Python after')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    assert lines[0] == "from Python" and lines[-2:] == ["after", "Python after"]
    assert lines[1:-2] == [f"[h264 @ 0x1] line {number}" for number in range(20)]


def test_room_is_made_for_a_clip_that_complains_for_hours():
    with Complaints() as complaints:
        for _ in range(40):
            os.write(2, b"error while decoding MB\n" * 5000)
            assert complaints.fresh()[0]
            assert os.fstat(complaints._lines).st_size < 2 << 20
        os.write(2, b"LZW decode failed\n")
        assert complaints.fresh()[0] == "LZW decode failed"
    assert logging.getLogger().handlers is not None
