# The image that the workflow starts with a batch ID as its only argument:
#
#   docker build --build-arg GATA_REVISION="$(git rev-parse --short HEAD)" --tag gata-assets .
#   docker run --rm --read-only --tmpfs /tmp --env-file my.env gata-assets 2026010203
#   docker run --rm --read-only --tmpfs /tmp --env-file my.env --entrypoint gata gata-assets doctor
#
# The same image is all other parts with another entry point: those of Dagster, with a DAGSTER_HOME, and the service, the
# consumer and the relay. deploy/compose.yaml has them for one machine, deploy/aws for AWS, deploy/kubernetes for
# Kubernetes.

# The whole tag, so that a build of tomorrow is today's. Both stages have it: the environment links to its Python.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# NUMBA_CPU_NAME, here and below: loops are compiled for any CPU of the architecture. What is compiled for the one that
# builds the image would be compiled again on any other.
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore NUMBA_CPU_NAME=generic
WORKDIR /build
# The dependencies are a layer of their own, which stays as it is until the lock file changes.
COPY deploy/install.sh deploy/
COPY requirements.lock ./
RUN deploy/install.sh dependencies requirements.lock /opt/gata
COPY . ./
RUN deploy/install.sh project . /opt/gata

FROM ${PYTHON_IMAGE}
# A number, because ECS and Kubernetes cannot tell by a name that it is not root. There is no home directory:
# nothing that runs here reads or writes one.
RUN groupadd --gid 10001 gata \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gata
# The base image comes without bytecode of the standard library, which would cost each start about a second.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/gata /opt/gata
WORKDIR /srv/gata
COPY workspace.yaml dagster.yaml ./
# The DAGSTER_HOME of the parts on AWS, and of those whose runs are processes of the code location (Kubernetes).
COPY deploy/aws/dagster.yaml deploy/workspace.yaml aws/
COPY deploy/compose/dagster.yaml deploy/workspace.yaml compose/

# ARROW_DEFAULT_MEMORY_POOL: a batch of a million interactions needs 50 MB less than with Arrow's own choice, mimalloc,
# their curation 40 MB less (20 MB less than with jemalloc), and neither more time. MALLOC_ARENA_MAX, _RJEM_MALLOC_CONF
# (the allocator of Polars): the curation of ten million orders needs 480 MB less, and no more time.
# POLARS_MAX_THREADS: with two cores, features take a fifth less, tickets of the lake a tenth, the curation of
# interactions neither more nor less: the project has threads of its own. GATA_REVISION comes after everything that
# takes time, since it changes with every commit.
ARG GATA_REVISION=""
ENV GATA_REVISION=${GATA_REVISION} \
    PATH=/opt/gata/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CPU_NAME=generic \
    ARROW_DEFAULT_MEMORY_POOL=system \
    MALLOC_ARENA_MAX=1 \
    _RJEM_MALLOC_CONF=dirty_decay_ms:500,muzzy_decay_ms:0 \
    POLARS_MAX_THREADS=1 \
    DAGSTER_DISABLE_TELEMETRY=1
LABEL org.opencontainers.image.title="gata-assets" \
      org.opencontainers.image.description="Turns support tickets and interactions into machine-learning training data, one batch a run" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${GATA_REVISION}"

# Dagster keeps what it needs during a run below TMPDIR. Declared a volume, because Fargate gives a mounted one
# the rights of the image's directory (1777) only then; otherwise it belongs to root alone.
VOLUME ["/tmp"]
# Of `gata serve`.
EXPOSE 8002
USER 10001:10001
ENTRYPOINT ["gata", "prepare"]
