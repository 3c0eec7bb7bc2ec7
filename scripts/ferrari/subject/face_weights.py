"""How much a face says about who somebody is: by its size, the detector's score, its turn, and how
clear it is to the network that tells whose it is.

Size is the short side of the face's box in pixels, never a share of the picture: what an embedding
sees is pixels.
"""

from __future__ import annotations

#: px, short side: nothing can be told below LEAST; from GOOD on more pixels say little more. SFace
#: on real faces made smaller: the likeness to the same person (median 0.83 at 80 px) is 0.82 at 40,
#: 0.78 at 32 and 0.73 at 24, and that to strangers is 0.42 at most.
LEAST, GOOD = 20.0, 40.0
#: Score of the detector: a face is doubtful below UNSEEN, certain from CERTAIN on.
UNSEEN, CERTAIN = 0.5, 0.8
#: Degrees to either side: as good as from the front up to FRONTAL, useless from PROFILE on.
FRONTAL, PROFILE = 30.0, 80.0
#: The least weight of a face that may decide: 30 px, seen from the front, clear and certainly a
#: face; or a large one that is half clear.
USABLE = 0.5
#: The least weight of the best face of a track that is somebody else's by its faces: 35 px. A poor
#: picture of a face is less like the same person, never more like a stranger; so it may name the
#: subject before it may rule the subject out.
REFUSING = 0.75


def face_weight(
    short_side_px: float, detector_score: float = 1.0, yaw_deg: float = 0.0, clarity: float = 1.0
) -> float:
    """0 to 1: the product of size, detector's score, turn (either way) and clarity, each 0 to 1."""
    size = _ramp(short_side_px, LEAST, GOOD)
    turn = 1 - _ramp(abs(yaw_deg), FRONTAL, PROFILE)
    return round(size * _ramp(detector_score, UNSEEN, CERTAIN) * turn * clarity, 6)


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
