# The stitch program as a container: reads a plan, encodes the clips that do not conform, splices, stores the film.
# A CPU image: libx264 does the encoding. Build from the repository's root:
#   docker build -f infra/gpu_job.Dockerfile -t longreel-stitch .
# Run, with a folder of objects laid out bucket/object:
#   docker run --rm -v "$PWD/objects:/objects" longreel-stitch --plan /objects/BUCKET/PLAN.json --objects /objects
FROM python:3.11-slim AS build

WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY events events
COPY pipeline pipeline
COPY media media
COPY functions functions
COPY adapters adapters
COPY embedded embedded
COPY gpu_job gpu_job
COPY cli.py main.py ./
# Every version is pinned in constraints.txt; the extra `local` brings FFmpeg and PyAV as wheels, so that nothing is compiled.
RUN python -m venv /opt/longreel && /opt/longreel/bin/pip install --no-cache-dir -c constraints.txt ".[local]"

FROM python:3.11-slim

# A user without rights: clips are hostile input, and what breaks out of a decoder should own nothing.
RUN useradd --system --create-home --uid 10001 longreel \
    && install --directory --owner=longreel --mode=0700 /scratch
COPY --from=build /opt/longreel /opt/longreel
USER longreel
ENV PATH=/opt/longreel/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# In exec form: SIGTERM must reach the program itself, which then stops FFmpeg and removes its temporary files.
ENTRYPOINT ["python", "-m", "gpu_job", "--work", "/scratch"]
