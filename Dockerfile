# syntax=docker/dockerfile:1
# hadolint global ignore=DL3008
# (DL3008: Ubuntu's archive keeps the newest build of a package only; those pinned would be gone.)
#
# Ferrari Pipeline on an NVIDIA GPU: Ubuntu 22.04, the locked packages with their own CUDA 12.4 and
# cuDNN 9, and Decord compiled with NVDEC. On a machine without a GPU the same image runs on the CPU.
#
#   make image                       the image of this commit; TARGET=dev: with tests, nano and tmux;
#                                    WEIGHTS=1: with the weights of the default networks in it
#   docker compose up                the reports and the review page on port 8000
#   docker compose run --rm gpu      a run
#
# NOT BUILT YET: no container engine was at hand when this was written. What was checked without one
# is in docs/gpu.md; tests/conventions/test_image.py holds it. The checks at the end of each stage
# (library versions, unresolved libraries) are there to fail the build rather than a run.

ARG CUDA=12.4.1
ARG UBUNTU=22.04
ARG PYTHON=3.11.18
ARG UV=0.13.9
ARG WEIGHTS=0

# --- uv, and a Python of its making ------------------------------------------------------------------
FROM ubuntu:${UBUNTU} AS tools
ARG PYTHON
ARG UV
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_INSTALL_DIR=/opt/python
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3-pip \
    && rm -rf /var/lib/apt/lists/* \
    && pip3 install --no-cache-dir "uv==${UV}" \
    && uv python install "${PYTHON}"

# --- the packages that a run needs, and the lock of all for `dev` -------------------------------------
# The lock, with the torch family replaced by its builds for CUDA 12.4. Hashes are checked.
FROM tools AS locks
COPY pyproject.toml /build/
COPY envs/requirements.lock envs/cuda124.lock envs/derive_cuda_lock.py /build/envs/
WORKDIR /build
RUN python3 envs/derive_cuda_lock.py --without decord > dev.lock \
    && uv run --no-project --python "${PYTHON}" envs/derive_cuda_lock.py --lean --without decord > lean.lock

FROM locks AS lean-packages
RUN uv venv --python "${PYTHON}" --managed-python /opt/venv \
    && uv pip sync --require-hashes --python /opt/venv/bin/python lean.lock envs/cuda124.lock

# --- Decord with NVDEC ------------------------------------------------------------------------------
# Ubuntu 22.04 has FFmpeg 4.4, the newest series whose interfaces Decord 0.6.0 is written for. The
# driver's libnvcuvid is in no image (the container toolkit mounts the host's at run time), so Decord is
# linked against a stub: the functions that its own copy of NVIDIA's headers declares, empty, under
# the driver's soname.
FROM nvidia/cuda:${CUDA}-devel-ubuntu${UBUNTU} AS decord
ARG PYTHON
ARG UV
ARG DECORD_TAG=v0.6.0
ARG DECORD_COMMIT=6a3617cef035335193f390f86399dde139fa2a53
ARG CUDA_ARCHITECTURES="70;75;80;86;89;90"
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends \
        build-essential ca-certificates cmake git pkg-config python3-pip \
        libavcodec-dev libavdevice-dev libavfilter-dev libavformat-dev libavutil-dev \
        libswresample-dev \
    && rm -rf /var/lib/apt/lists/* \
    && pip3 install --no-cache-dir "uv==${UV}" \
    && git clone --quiet --branch "${DECORD_TAG}" --depth 1 --recurse-submodules \
        https://github.com/dmlc/decord /build/decord \
    && test "$(git -C /build/decord rev-parse HEAD)" = "${DECORD_COMMIT}"
WORKDIR /build/decord
RUN sed -nE 's/.*CUDAAPI *(cuvid[A-Za-z0-9]+)\(.*/void \1(void) {}/p' \
        src/video/nvcodec/nvcuvid/*.h | sort -u > stub.c \
    && gcc -shared -fPIC -Wl,-soname,libnvcuvid.so.1 \
        -o /usr/local/cuda/lib64/stubs/libnvcuvid.so stub.c \
    && cmake -S . -B build -DUSE_CUDA=ON -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_CUDA_ARCHITECTURES="${CUDA_ARCHITECTURES}" \
    && cmake --build build --parallel "$(nproc)"
WORKDIR /build/decord/python
RUN uv run --no-project --managed-python --python "${PYTHON}" \
        --with setuptools==80.9.0 --with wheel==0.45.1 \
        python setup.py --quiet bdist_wheel --dist-dir /build/wheels

# --- what runs, without its packages ----------------------------------------------------------------
FROM ubuntu:${UBUNTU} AS base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive
# FFmpeg 4.4's libraries are Decord's; PyAV and OpenCV bring their own.
RUN apt-get update && apt-get install -y --no-install-recommends \
        ca-certificates libavcodec58 libavdevice58 libavfilter7 libavformat58 libavutil56 \
        libswresample3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=tools /opt/python /opt/python

# compute: CUDA; video: NVDEC (libnvcuvid); utility: nvidia-smi and NVML, which Decord asks.
# What numba compiles is for the CPU at hand: it is kept with the rest of the cache, not in the image.
ENV PATH=/opt/venv/bin:$PATH \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,video,utility \
    NUMBA_CACHE_DIR=/srv/ferrari/cache/numba \
    HOME=/home/ferrari \
    USER=ferrari \
    PYTHONDONTWRITEBYTECODE=1

COPY Snakefile pyproject.toml /opt/ferrari/
COPY config /opt/ferrari/config
COPY envs /opt/ferrari/envs
COPY models /opt/ferrari/models
COPY profiles /opt/ferrari/profiles
COPY report /opt/ferrari/report
COPY rules /opt/ferrari/rules
COPY scripts /opt/ferrari/scripts

# Any user may run it (docker run --user, compose: FERRARI_UID), so that files belong to the caller.
RUN groupadd --gid 1000 ferrari \
    && useradd --uid 1000 --gid ferrari --create-home ferrari \
    && mkdir -p /srv/ferrari/dataset/00_raw_videos /srv/ferrari/qc_reports /srv/ferrari/audit \
        /srv/ferrari/cache /srv/ferrari/logs /srv/ferrari/benchmarks /srv/ferrari/.snakemake \
    && chown -R ferrari:ferrari /srv/ferrari \
    && chmod -R 0777 /srv/ferrari /home/ferrari
WORKDIR /srv/ferrari
# One volume: declared below it, volumes of their own would hide those of a claim mounted at /srv/ferrari.
VOLUME ["/srv/ferrari"]
# The commit goes into the record of each run.
ARG COMMIT=
ENV FERRARI_COMMIT=${COMMIT}
LABEL org.opencontainers.image.title="Ferrari Pipeline" \
      org.opencontainers.image.revision=${COMMIT}
ENTRYPOINT ["snakemake", "--snakefile", "/opt/ferrari/Snakefile"]
CMD ["--cores", "all"]

# --- the packages in their place ---------------------------------------------------------------------
# Decord is linked against the CUDA runtime, and finds it among the packages' own libraries, as does
# whatever asks for one of them. Only the driver's libraries may be missing: they come from the host.
FROM base AS lean-0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY --from=lean-packages /opt/venv /opt/venv
RUN --mount=from=tools,source=/usr/local/bin/uv,target=/usr/local/bin/uv \
    --mount=from=decord,source=/build/wheels,target=/build/wheels \
    uv pip install --no-cache --no-deps --python /opt/venv/bin/python /build/wheels/*.whl \
    && find /opt/venv -path '*/nvidia/*/lib' -type d > /etc/ld.so.conf.d/python-packages.conf \
    && ldconfig \
    && ldd "$(find /opt/venv -name libdecord.so)" > /tmp/needed \
    && ! grep 'not found' /tmp/needed | grep -vE 'lib(cuda|nvcuvid|nvidia-ml)\.so\.1' \
    && python /opt/ferrari/envs/check_cuda.py \
    && YOLO_CONFIG_DIR=/tmp python -c "import av, cv2, numba, openvino, pymatting, snakemake, ultralytics" \
    && python -m compileall -q /opt/ferrari/scripts \
    && rm -rf /tmp/* /srv/ferrari/cache/*

# With the default networks' weights, where the pipeline looks for them before the cache.
FROM lean-0 AS lean-1
ENV FERRARI_WEIGHTS=/opt/ferrari/weights
RUN python /opt/ferrari/scripts/tools/get_weights.py /opt/ferrari/weights

# hadolint ignore=DL3006
FROM lean-${WEIGHTS} AS dev
COPY tests /opt/ferrari/tests
COPY bench /opt/ferrari/bench
COPY docs /opt/ferrari/docs
COPY Makefile README.md CHANGELOG.md CONTRIBUTING.md Dockerfile docker-compose.yml .dockerignore /opt/ferrari/
RUN --mount=from=tools,source=/usr/local/bin/uv,target=/usr/local/bin/uv \
    --mount=from=locks,source=/build/dev.lock,target=/build/dev.lock \
    uv pip install --no-cache --no-deps --require-hashes --compile-bytecode \
        --python /opt/venv/bin/python --requirement /build/dev.lock \
    && apt-get update && apt-get install -y --no-install-recommends gcc git libc6-dev make nano tmux \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /opt/venv /opt/ferrari/.venv && touch /opt/venv/.ready
USER 1000:1000

# hadolint ignore=DL3006
FROM lean-${WEIGHTS} AS lean
USER 1000:1000
