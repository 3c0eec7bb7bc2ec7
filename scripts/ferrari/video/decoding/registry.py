"""Which decoders to try for a clip, in order, and why the others are left out."""

from __future__ import annotations

import zlib

from ferrari.processes import device_slots
from ferrari.processes.devices import cuda_devices, nvdec_problem
from ferrari.video.decoding import card_pays
from ferrari.video.decoding.base import Decoder, DecoderUnavailableError


def candidates(
    choice: str, clip: card_pays.CodedClip, pictures_fps: float, video: str = ""
) -> tuple[list[Decoder], str]:
    """Decoders to try in order for the setting `extract.decoder`, and why others are left out.

    `auto` asks the card for clips with which that pays, `nvdec_first` for any; the CPU takes what
    it does not. `decord` comes before the CPU, `nvdec` alone. Raises DecoderUnavailableError where
    a decoder that was named cannot work here.
    """
    from ferrari.video.decoding import decord_decoder, pyav_decoder

    cpu = pyav_decoder.cpu()
    if choice == "cpu":
        return [cpu], "decoder: cpu was asked for"
    if choice == "decord":
        return [_decord(), cpu], "decoder: decord was asked for"
    withheld = _withheld() or nvdec_problem()
    reason = withheld or pyav_decoder.cuda_problem()
    gpu = [] if reason else [pyav_decoder.cuda(device_of(video))]
    if choice == "nvdec":
        if not gpu and not withheld:
            problem = decord_decoder.cuda_problem()
            reason = "; ".join(filter(None, (reason, problem)))
            gpu = [] if problem else [decord_decoder.cuda(device_of(video))]
        if not gpu:
            raise DecoderUnavailableError(
                f"extract.decoder is nvdec, but {reason}; set extract.decoder: auto or cpu"
            )
        return gpu, "decoder: nvdec was asked for"
    if reason:
        return [cpu], f"no NVDEC: {reason}"
    why_not = card_pays.why_not(clip, pictures_fps) if choice == "auto" else ""
    return ([cpu], f"not NVDEC: {why_not}") if why_not else ([*gpu, cpu], "")


def require(choice: str) -> None:
    """Raise DecoderUnavailableError where `nvdec` or `decord` cannot work here for any clip."""
    candidates(choice, card_pays.CodedClip("", "", 0.0, 0, 1.0, 25.0), 1.0)


def _withheld() -> str:
    """Why the run may not decode on a card though there is one, or "": its tokens say so."""
    nvdec, gpu = (device_slots.given(kind) for kind in (device_slots.NVDEC, device_slots.CUDA))
    if nvdec == 0 or (nvdec is None and gpu == 0):
        return f"the run is given none ({'gpu' if nvdec is None else 'nvdec'}=0)"
    return ""


def device_of(video: str) -> int:
    """The device that decodes a clip: of several each gets its share, the same clips every run."""
    return zlib.crc32(video.encode()) % max(1, cuda_devices())


def _decord() -> Decoder:
    from ferrari.video.decoding import decord_decoder

    problem = decord_decoder.problem()
    if problem:
        raise DecoderUnavailableError(
            f"extract.decoder is decord, but {problem}; set extract.decoder: auto or cpu"
        )
    if _withheld() or decord_decoder.cuda_problem():
        return decord_decoder.cpu()
    return decord_decoder.cuda()
