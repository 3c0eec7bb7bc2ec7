"""Which decoders a clip is offered: what the run is given of the cards decides first."""

import pytest

from ferrari.video.decoding import decord_decoder, pyav_decoder, registry
from ferrari.video.decoding.base import DecoderUnavailableError
from ferrari.video.decoding.card_pays import CodedClip

LARGE = CodedClip("hevc", "yuv420p10le", 8.29, frames=1800, group=30, fps=30)


@pytest.fixture(autouse=True)
def a_card_that_decodes(monkeypatch):
    for module in (registry, pyav_decoder):
        monkeypatch.setattr(module, "cuda_devices", lambda: 1, raising=False)
    monkeypatch.setattr(registry, "nvdec_problem", lambda: "")
    for decoder in (pyav_decoder, decord_decoder):
        monkeypatch.setattr(decoder, "cuda_problem", lambda: "")
    monkeypatch.setattr(decord_decoder, "problem", lambda: "")
    for kind in ("FERRARI_GPU", "FERRARI_NVDEC"):
        monkeypatch.delenv(kind, raising=False)


def names(choice: str) -> tuple[list[str], str]:
    found, reason = registry.candidates(choice, LARGE, 2.0, "clip")
    return [decoder.name for decoder in found], reason


@pytest.mark.parametrize(
    "tokens, withheld",
    [({}, ""), ({"GPU": "1"}, ""), ({"GPU": "0", "NVDEC": "1"}, ""), ({"NVDEC": "2"}, ""),
     ({"GPU": "0"}, "gpu=0"), ({"NVDEC": "0"}, "nvdec=0"), ({"GPU": "1", "NVDEC": "0"}, "nvdec=0")],
)  # fmt: skip
def test_a_run_that_is_given_no_card_decodes_on_none(monkeypatch, tokens, withheld):
    for kind, count in tokens.items():
        monkeypatch.setenv(f"FERRARI_{kind}", count)
    for choice in ("auto", "nvdec_first"):
        on_card, reason = names(choice)
        assert (on_card[0] == "pyav-cpu") is bool(withheld) and withheld in reason
    by_name = names("decord")[0][0]
    assert by_name == (decord_decoder.cpu() if withheld else decord_decoder.cuda()).name
    if withheld:
        with pytest.raises(DecoderUnavailableError, match=f"nvdec, but .*{withheld}.*auto or cpu"):
            registry.require("nvdec")
    else:
        registry.require("nvdec")
