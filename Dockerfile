# syntax=docker/dockerfile:1
# Ferrari Pipeline on an NVIDIA GPU: CUDA 12.4, cuDNN 9, torch for CUDA 12.4, and Decord compiled
# with NVDEC. On a machine without a GPU the same image runs on the CPU.
#
#   docker build -t ferrari-pipeline .
#   docker run --rm --gpus all -v "$PWD/dataset:/srv/ferrari/dataset" -v "$PWD/qc_reports:/srv/ferrari/qc_reports" \
#     -v "$PWD/cache:/srv/ferrari/cache" ferrari-pipeline --cores 24 --resources gpu=1
#
# NOT BUILT YET: no container engine was at hand when this was written. What could be checked
# without one is held by tests/conventions/test_versions.py: both locks resolve together for Python
# 3.11 on Linux, every COPY source exists, versions agree. The two checks at the end of each stage
# (library versions, unresolved libraries) are there to fail the build rather than a run.

ARG CUDA=12.4.1

# --- build: Python, the packages, Decord ----------------------------------------------------------
FROM nvidia/cuda:${CUDA}-cudnn-devel-ubuntu22.04 AS build

ARG PYTHON=3.11.18
ARG UV=0.13.9
ENV DEBIAN_FRONTEND=noninteractive \
    UV_PYTHON_INSTALL_DIR=/opt/python \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1

# Ubuntu 22.04 has FFmpeg 4.4, the newest series whose interfaces Decord 0.6.0 is written for.
RUN apt-get update && apt-get install -y --no-install-recommends \
        build-essential ca-certificates cmake git pkg-config python3-pip \
        libavcodec-dev libavdevice-dev libavfilter-dev libavformat-dev libavutil-dev \
        libswresample-dev \
    && rm -rf /var/lib/apt/lists/* \
    && pip3 install --no-cache-dir "uv==${UV}"

# Ubuntu's own 3.11 is a release candidate, hence uv's build of Python.
RUN uv venv --python "${PYTHON}" --managed-python /opt/venv
ENV PATH=/opt/venv/bin:$PATH

# The lock, with the torch family replaced by its builds for CUDA 12.4. Hashes are checked.
COPY envs/requirements.lock envs/cuda124.lock envs/derive_docker_lock.py /build/envs/
RUN python /build/envs/derive_docker_lock.py > /build/docker.lock \
    && uv pip sync --require-hashes --python /opt/venv/bin/python \
        /build/docker.lock /build/envs/cuda124.lock

# Decord with NVDEC. The driver's libnvcuvid is not in the image (the container toolkit mounts the
# host's at run time), so it is linked against a stub: the functions that Decord's own copy of
# NVIDIA's headers declares, empty, under the driver's soname.
ARG DECORD_TAG=v0.6.0
ARG DECORD_COMMIT=6a3617cef035535193f390f86399dde139fa2a53
ARG CUDA_ARCHITECTURES="70;75;80;86;89;90"
RUN git clone --quiet --branch "${DECORD_TAG}" --depth 1 --recurse-submodules \
        https://github.com/dmlc/decord /build/decord \
    && test "$(git -C /build/decord rev-parse HEAD)" = "${DECORD_COMMIT}"
RUN cd /build/decord \
    && sed -nE 's/.*CUDAAPI *(cuvid[A-Za-z0-9]+)\(.*/void \1(void) {}/p' \
        src/video/nvcodec/nvcuvid/*.h | sort -u > stub.c \
    && gcc -shared -fPIC -Wl,-soname,libnvcuvid.so.1 \
        -o /usr/local/cuda/lib64/stubs/libnvcuvid.so stub.c \
    && cmake -S . -B build -DUSE_CUDA=ON -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_CUDA_ARCHITECTURES="${CUDA_ARCHITECTURES}" \
    && cmake --build build --parallel "$(nproc)" \
    && cd python \
    && python setup.py --quiet bdist_wheel \
    && uv pip install --no-deps --python /opt/venv/bin/python dist/*.whl

RUN python -c "import torch; assert torch.version.cuda == '12.4', torch.version.cuda" \
    && python -c "import onnxruntime as o; assert 'CUDAExecutionProvider' in o.get_available_providers()"

# --- what runs --------------------------------------------------------------------------------------
FROM nvidia/cuda:${CUDA}-cudnn-runtime-ubuntu22.04

ENV DEBIAN_FRONTEND=noninteractive
# FFmpeg 4.4's libraries are Decord's; PyAV and OpenCV bring their own.
RUN apt-get update && apt-get install -y --no-install-recommends \
        ca-certificates libavcodec58 libavdevice58 libavfilter7 libavformat58 libavutil56 \
        libswresample3 \
    && rm -rf /var/lib/apt/lists/*

COPY --from=build /opt/python /opt/python
COPY --from=build /opt/venv /opt/venv

# compute: CUDA; video: NVDEC (libnvcuvid); utility: nvidia-smi and NVML, which Decord asks.
ENV PATH=/opt/venv/bin:$PATH \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,video,utility \
    HOME=/home/ferrari \
    USER=ferrari \
    PYTHONDONTWRITEBYTECODE=1

# Only the driver's own libraries may be missing; they come from the host.
RUN ldd "$(find /opt/venv -name libdecord.so)" > /tmp/needed \
    && ! grep 'not found' /tmp/needed | grep -vE 'lib(cuda|nvcuvid|nvidia-ml)\.so\.1' \
    && YOLO_CONFIG_DIR=/tmp python -c "import av, cv2, numba, openvino, snakemake, ultralytics" \
    && rm -rf /tmp/*

COPY Snakefile pyproject.toml /opt/ferrari/
COPY config /opt/ferrari/config
COPY models /opt/ferrari/models
COPY profiles /opt/ferrari/profiles
COPY report /opt/ferrari/report
COPY rules /opt/ferrari/rules
COPY scripts /opt/ferrari/scripts
COPY tests /opt/ferrari/tests

# Any user may run it (docker run --user, compose: FERRARI_UID), so that files belong to the caller.
RUN groupadd --gid 1000 ferrari \
    && useradd --uid 1000 --gid ferrari --create-home ferrari \
    && mkdir -p /srv/ferrari/dataset/00_raw_videos /srv/ferrari/qc_reports /srv/ferrari/cache /srv/ferrari/.snakemake \
    && chown -R ferrari:ferrari /srv/ferrari \
    && chmod -R 0777 /srv/ferrari /home/ferrari
USER ferrari
WORKDIR /srv/ferrari
# One volume: declared below it, volumes of their own would hide those of a claim mounted at /srv/ferrari.
VOLUME ["/srv/ferrari"]

ENTRYPOINT ["snakemake", "--snakefile", "/opt/ferrari/Snakefile"]
CMD ["--cores", "all"]
