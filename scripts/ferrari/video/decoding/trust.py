"""The reference decoder, and how close to it the others have to come."""

#: PyAV on the CPU, with FFmpeg's own decoders: it reports what it cannot decode.
JUDGE = "pyav-cpu"
#: Levels of 255 by which a value of a pixel may differ from the judge's: codecs whose standards
#: leave the last bit to the decoder (MPEG-2, MPEG-4, JPEG) differ by one or two.
MOST_LEVELS = 2.0
