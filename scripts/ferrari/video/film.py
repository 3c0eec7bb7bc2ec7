"""Is a file a video at all? Decided by its container, its brand, and the times of its pictures.

Photos, animations, texts and archives lie in folders of clips, often under a clip's name, and
FFmpeg opens many of them as a video of one picture, or of letters.
"""

from __future__ import annotations

import os

from av.container import InputContainer

from ferrari.common import first_bytes
from ferrari.video.streams import decodes

#: Demuxers that name other files or addresses; none of them is ever opened.
PLAYLISTS = frozenset({"hls", "concat", "dash", "applehttp", "imf", "sdp", "rtsp", "lavfi"})
_FILM = """
    mov mp4 m4a 3gp 3g2 mj2 matroska webm avi mpegts mpeg mpegvideo m4v h261 h263 h264 hevc vvc
    evc av1 obu ivf flv live_flv kux asf asf_o ogg mxf mxf_d10 gxf nut nuv rm rmvb dv lxf wtv ty
    nsv vc1 vc1test dirac dnxhd mjpeg mjpeg_2000 smjpeg mpjpeg rawvideo yuv4mpegpipe v210 v210x
    cavsvideo avs2 avs3 apv r3d mlv cine ser dhav pmp amv bink smk roq swf flic film_cpk 4xm ea
    vivo viv mtv moflex psxstr thp usm xmv wc3movie rpl ipmovie frm ifv lmlm4 iv8 ingenient mvi mv
    bethsoftvid vmd cdxl dfa dxa hnm jv rl2 tmv yop c93 bfi avs argo_asf argo_brp siff vividas pva
    msnwctcp simbiosis_imx bitpacked filmstrip pdv anm dsicin idcin gdv paf sga smush tiertexseq
"""
#: Demuxers of containers and raw streams that hold film.
FILM = frozenset(_FILM.split())
#: Demuxers of pictures that may move, and what people call those.
ANIMATIONS = {"gif": "GIF", "apng": "PNG", "jpegxl_anim": "JPEG XL"}
#: Brands of ISO files (MIAF, HEIF: ISO/IEC 23008-12, 23000-22) that hold pictures, not film.
_PICTURE_BRANDS = {
    **dict.fromkeys(("avif", "avis"), "AVIF"),
    **dict.fromkeys(("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"), "HEIC"),
    **dict.fromkeys(("mif1", "mif2", "msf1", "miaf"), "HEIF"),
    **dict.fromkeys(("jpeg", "jpgs", "j2ki", "j2is"), "JPEG in HEIF"),
    "crx": "Canon raw",
}
#: Codecs of pictures: a single one of theirs is a photo, whatever it is wrapped in.
PICTURE_CODECS = frozenset(
    (
        *("mjpeg", "png", "apng", "gif", "bmp", "tiff", "webp", "jpegls", "jpegxl", "ljpeg"),
        *("targa", "pcx", "ppm", "pgm", "pam", "psd", "exr", "dpx"),
    )
)


def picture_brand(container: InputContainer) -> str:
    """The kind of picture that an ISO file is by its brand, such as AVIF; "" for film."""
    brand = container.metadata.get("major_brand", "").strip()
    return _PICTURE_BRANDS.get(brand, "")


def animation(container: InputContainer) -> str:
    """The kind of picture that moves here if anything does, such as GIF; "" for film."""
    return ANIMATIONS.get(container.format.name, "") or picture_brand(container)


def refusal(container: InputContainer, path: str | os.PathLike) -> str:
    """What an opened file is that cannot be film; "" for film, animations, and what has sound."""
    names = set(container.format.name.split(","))
    if names & PLAYLISTS:
        return f"a playlist ({container.format.name})"
    if names & FILM or names & ANIMATIONS.keys() or container.streams.audio:
        return ""
    if container.format.name == "tty" or not container.streams.video:
        return first_bytes.text(first_bytes.read(path)) or f"{container.format.long_name}: no film"
    kind = container.format.name.removesuffix("_pipe")
    if decodes(container.streams.video[0]):
        kind = container.streams.video[0].codec_context.name
    moves = " that moves, which FFmpeg cannot decode" if _is_animated_webp(path) else ""
    return f"a picture ({kind}){moves}"


def _is_animated_webp(path: str | os.PathLike) -> bool:
    """The flag ANIM of the extended header (RFC 9649, 2.7.1)."""
    head = first_bytes.read(path)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
