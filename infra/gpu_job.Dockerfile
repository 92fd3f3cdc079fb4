# The stitch program as a container: reads a plan, encodes the clips that do not conform, splices, stores the film.
# Two images of one program; build from the repository's root:
#   docker build -f infra/gpu_job.Dockerfile --target cpu -t longreel-stitch .
#   docker build -f infra/gpu_job.Dockerfile --target gpu -t longreel-stitch-gpu .
# In Google's cloud `infra/deploy.sh` has Cloud Build do it (infra/cloudbuild.yaml). It runs there as a Cloud Run job,
# which gets its arguments when it is run:
#   --plan gs://BUCKET/jobs/JOB/stitch/1/plan.json --objects gs://     with GOOGLE_CLOUD_PROJECT in its environment
# On one machine, with a folder of objects laid out bucket/object:
#   docker run --rm -v "$PWD/objects:/objects" longreel-stitch --plan /objects/BUCKET/PLAN.json --objects /objects
#
# The tag says what it is; the digest is what is taken. docs/decisions/0020-images.md says where both come from.
ARG BASE=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

# hadolint ignore=DL3006
FROM ${BASE} AS libraries
WORKDIR /source
COPY constraints.txt ./
# What the program imports and nothing else; constraints.txt pins each, and what it brings along. All are wheels.
RUN python -m venv /opt/longreel \
    && /opt/longreel/bin/pip install --no-cache-dir --only-binary :all: --constraint constraints.txt \
        av google-cloud-storage google-crc32c pydantic

FROM libraries AS libraries-with-ffmpeg
RUN /opt/longreel/bin/pip install --no-cache-dir --only-binary :all: --constraint constraints.txt imageio-ffmpeg

# hadolint ignore=DL3006
FROM ${BASE} AS program
# A user without rights: clips are hostile input, and what breaks out of a decoder should own nothing.
RUN useradd --system --create-home --uid 10001 longreel \
    && install --directory --owner=longreel --mode=0700 /scratch
WORKDIR /app
COPY LICENSE infra/gpu_job.NOTICE ./
COPY events events
COPY pipeline pipeline
COPY media media
COPY adapters adapters
COPY gpu_job gpu_job
# Compiled here once: its own user may not write, and each start would compile anew.
RUN python -m compileall -q .
ENV PATH=/opt/longreel/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# In exec form: SIGTERM must reach the program itself, which then stops FFmpeg and removes its temporary files.
ENTRYPOINT ["python", "-m", "gpu_job", "--work", "/scratch"]

FROM program AS cpu
COPY --from=libraries-with-ffmpeg /opt/longreel /opt/longreel
# By number: a platform that demands "not root" cannot look a name up.
USER 10001

FROM program AS gpu
# The driver of Cloud Run's L4 (535) has NVENC 12.1. Debian 12 builds its FFmpeg with the headers of NVENC 11.1, which
# any driver from 470.57 on takes; one that is built with those of 13.0 needs driver 570 and would always fall back to
# libx264. Both versions are pinned: the build fails where Debian has others, instead of each film being slow.
ARG FFMPEG_VERSION=7:5.1.*
ARG NV_CODEC_HEADERS_VERSION=11.1.*
# The headers are in FFmpeg already; that they are to be had in this version shows which ones this Debian builds with.
RUN apt-get update \
    && apt-get install --simulate --yes --no-install-recommends "libffmpeg-nvenc-dev=$NV_CODEC_HEADERS_VERSION" \
    && apt-get install --yes --no-install-recommends "ffmpeg=$FFMPEG_VERSION" \
    && rm -rf /var/lib/apt/lists/*
COPY --from=libraries /opt/longreel /opt/longreel
USER 10001
# Cloud Run puts the driver's libraries there; `video` is what NVENC belongs to.
ENV LONGREEL_FFMPEG=/usr/bin/ffmpeg \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,video,utility \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib64
