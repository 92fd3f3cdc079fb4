# The stitch program as a container: reads a plan, encodes the clips that do not conform, splices, stores the film.
# Two images of one program; build from the repository's root:
#   docker build -f infra/gpu_job.Dockerfile --target cpu -t longreel-stitch .
#   docker build -f infra/gpu_job.Dockerfile --target gpu -t longreel-stitch-gpu .
# On Google Cloud, as a Cloud Run job that gets its arguments when it is run:
#   --plan gs://BUCKET/jobs/JOB/stitch/1/plan.json --objects gs://     with GOOGLE_CLOUD_PROJECT in its environment
# On one machine, with a folder of objects laid out bucket/object:
#   docker run --rm -v "$PWD/objects:/objects" longreel-stitch --plan /objects/BUCKET/PLAN.json --objects /objects
FROM python:3.11-slim-bookworm AS build

WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY events events
COPY pipeline pipeline
COPY media media
COPY functions functions
COPY adapters adapters
COPY embedded embedded
COPY doors doors
COPY gpu_job gpu_job
COPY cli.py main.py ./
# Every version is pinned in constraints.txt; the extra `local` brings FFmpeg and PyAV as wheels, so that nothing is
# compiled. Of Google's libraries the program needs only the one for Cloud Storage.
RUN python -m venv /opt/longreel \
    && /opt/longreel/bin/pip install --no-cache-dir -c constraints.txt ".[local]" google-cloud-storage

FROM python:3.11-slim-bookworm AS cpu

# A user without rights: clips are hostile input, and what breaks out of a decoder should own nothing.
RUN useradd --system --create-home --uid 10001 longreel \
    && install --directory --owner=longreel --mode=0700 /scratch
COPY --from=build /opt/longreel /opt/longreel
USER longreel
ENV PATH=/opt/longreel/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# In exec form: SIGTERM must reach the program itself, which then stops FFmpeg and removes its temporary files.
ENTRYPOINT ["python", "-m", "gpu_job", "--work", "/scratch"]

FROM cpu AS gpu

# The driver of Cloud Run's L4 (535) has NVENC 12.1. Debian 12 builds its FFmpeg with the headers of NVENC 11.1, which
# any driver from 470.57 on takes; one that is built with those of 13.0 needs driver 570 and would always fall back to
# libx264. Both versions are pinned: the build fails where Debian has others, instead of each film being slow.
ARG FFMPEG_VERSION=7:5.1.*
ARG NV_CODEC_HEADERS_VERSION=11.1.*
USER root
# The headers are in FFmpeg already; that they are to be had in this version shows which ones this Debian builds with.
RUN apt-get update \
    && apt-get install --simulate "libffmpeg-nvenc-dev=$NV_CODEC_HEADERS_VERSION" \
    && apt-get install --yes --no-install-recommends "ffmpeg=$FFMPEG_VERSION" \
    && rm -rf /var/lib/apt/lists/*
USER longreel
# Cloud Run puts the driver's libraries there; `video` is what NVENC belongs to.
ENV LONGREEL_FFMPEG=/usr/bin/ffmpeg \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,video,utility \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib64
