# Images from one file: `control` (Dagster UI, daemon and MLflow), `worker` (code location: its runs embed and train),
# `serving` (API and chat page) and `engine` (a node of Ray that starts SGLang, for Ray Serve alone). Nothing but what
# the packages ship is baked in; models are read from the volume at /state or the Hugging Face cache.
#
#   docker build --target serving -t twin-serving .
#
# INDEX_URL chooses another package index, e.g. one with CPU-only builds of PyTorch.

FROM python:3.11-slim-bookworm AS build
ARG INDEX_URL=""
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --upgrade pip
ENV PATH=/venv/bin:$PATH
WORKDIR /app
COPY pyproject.toml hatch_build.py constraints.txt README.md ./
# The packages first: this layer stays while only our code changes.
RUN mkdir twin_assets twin_resources twin_serving \
    && touch twin_assets/__init__.py twin_resources/__init__.py twin_serving/__init__.py \
    && pip install --no-cache-dir ${INDEX_URL:+--extra-index-url "$INDEX_URL"} -c constraints.txt -e ".[aws,kubernetes,ray,s3]"
COPY . .
RUN pip install --no-cache-dir --no-deps -e . && python -m compileall -q twin_assets twin_resources twin_serving

FROM python:3.11-slim-bookworm AS base
# git: the GitHub source clones repositories.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 twin \
    && install -d -o twin -g twin /state /config
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE \
    MALLOC_ARENA_MAX=2 \
    TWIN_HOME=/state \
    TWIN_CONFIG=/config/twin.yaml \
    DAGSTER_HOME=/state/dagster \
    HF_HOME=/state/huggingface
WORKDIR /app
USER twin
VOLUME /state
STOPSIGNAL SIGTERM

FROM base AS control
EXPOSE 3000 5000
# One process a container: compose.yaml starts this image three times, as dagster, daemon and mlflow.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:3000/server_info', timeout=4)"]
CMD ["twin", "serve", "dagster", "--host", "0.0.0.0"]

FROM base AS worker
EXPOSE 4000
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s \
    CMD ["dagster", "api", "grpc-health-check", "-p", "4000"]
CMD ["twin", "serve", "worker", "--host", "0.0.0.0"]

FROM base AS serving
ENV TWIN_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["twin", "serve", "api"]

FROM base AS engine
USER root
# An environment of its own, since SGLang's pins are not ours. A compiler: some of its kernels are built when first used.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libnuma1 \
    && rm -rf /var/lib/apt/lists/* \
    && /usr/local/bin/python -m venv /sglang \
    && /sglang/bin/pip install --no-cache-dir sglang==0.5.23
ENV TWIN_RAY__SERVE__ENGINES__PYTHON=/sglang/bin/python
USER twin
