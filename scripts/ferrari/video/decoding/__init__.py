"""Decoders behind one seam: PyAV on the CPU or the GPU, Decord."""
