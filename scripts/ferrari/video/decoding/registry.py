"""Which decoders to try for a clip, in order, and why each of the others is left out."""

from __future__ import annotations

from ferrari.processes.devices import nvdec_problem
from ferrari.video.decoding.base import Decoder, DecoderUnavailableError


def candidates(choice: str) -> tuple[list[Decoder], str]:
    """Decoders to try in order for the setting auto | nvdec | cpu, and why others are left out.

    Raises DecoderUnavailableError for `nvdec` where no GPU decoder can work.
    """
    from ferrari.video.decoding import decord_decoder, pyav_decoder

    if choice == "cpu":
        return [pyav_decoder.cpu()], "decoder: cpu was asked for"
    reason = nvdec_problem() or pyav_decoder.cuda_problem()
    gpu = [] if reason else [pyav_decoder.cuda()]
    if choice == "nvdec":
        if not gpu and not nvdec_problem():
            problem = decord_decoder.problem()
            reason = "; ".join(filter(None, (reason, problem)))
            gpu = [] if problem else [decord_decoder.cuda()]
        if not gpu:
            raise DecoderUnavailableError(
                f"extract.decoder is nvdec, but {reason}; set extract.decoder: auto or cpu"
            )
        return gpu, "decoder: nvdec was asked for"
    return [*gpu, pyav_decoder.cpu()], f"no NVDEC: {reason}" if reason else ""
