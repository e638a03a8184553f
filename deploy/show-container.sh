#!/usr/bin/env bash
# Shows without a Docker engine what the image does: installs as the Dockerfile does (the same install.sh, the
# same files), then starts the installed entry point as the workflow starts the container, against a local RDS
# Data API over a real PostgreSQL and a local S3 server: tickets first, then a tenant's interactions, with the loops that
# were compiled when the image was built, then the HTTP service. Takes about two minutes; leaves nothing behind.
#
#   deploy/show-container.sh          after `make test`, which makes the environment of the services
#
# Not shown: the base image and its Python (this machine's is taken), the read-only root file system, the limits
# of CPU and memory, and IAM, which gata_assets_tests/test_deploy.py tries.
set -euo pipefail

BATCH=${BATCH:-2026010203}
EMPTY_BATCH=2024010203 # exists, but no sample ticket is as old
BUCKET=gata-training-data
USER_ID=10001 # the Dockerfile's, as is
CPU_NAME=generic
TENANT=acme

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dev_python=${DEV_PYTHON:-$root/.venv/bin/python}
[ -x "$dev_python" ] || { echo "There is no $dev_python: run \`make test\` first." >&2; exit 1; }

# The space is on purpose: nothing here may depend on there being none.
work=$(mktemp -d "/tmp/gata container.XXXXXX")
chmod 755 "$work"
services=
service=
clean_up() {
    if [ -n "$service" ]; then kill "$service" 2>/dev/null || true; fi
    if [ -n "$services" ]; then
        kill "$services" 2>/dev/null || true
        wait "$services" 2>/dev/null || true
    fi
    chmod -R u+w "$work"
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n==> %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# `env` in both, because setpriv gives root's rights up only when it has found the program that it starts.
as_user=(env)
if [ "$(id -u)" = 0 ]; then
    command -v setpriv >/dev/null || fail "started as root, this needs setpriv to become another user"
    as_user=(setpriv "--reuid=$USER_ID" "--regid=$USER_ID" --clear-groups --no-new-privs env)
fi

# The user must be able to run the interpreter; below /root it is not.
python=
for candidate in "${PYTHON:-}" "$dev_python" python3.13 python3.12 python3.11 /usr/bin/python3.13 /usr/bin/python3.12 \
    /usr/bin/python3.11 /usr/bin/python3; do
    [ -n "$candidate" ] || continue
    found=$("$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null) || continue
    if "${as_user[@]}" "$found" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
        2>/dev/null; then
        python=$found
        break
    fi
done
[ -n "$python" ] || fail "no Python 3.11 to 3.14 that user $USER_ID may run; name one: PYTHON=… $0"

say "Services: PostgreSQL with sample tickets, RDS Data API, S3 (in the background)"
# Their own TMPDIR, because the PostgreSQL package keeps a lock file there, which belongs to who came first.
mkdir "$work/services"
TMPDIR=$work/services "$dev_python" "$root/deploy/local_services.py" serve --batch "$BATCH" --bucket "$BUCKET" --ready "$work/places" \
    >"$work/services.log" 2>&1 &
services=$!

say "Build stage: install.sh with $("$python" -V), from the files that .dockerignore lets through"
mkdir "$work/build"
while IFS= read -r name; do
    [ -e "$root/$name" ] || { echo "    (there is no $name yet)"; continue; }
    mkdir -p "$work/build/$(dirname "$name")"
    cp -R "$root/$name" "$work/build/$name"
done < <(sed -n 's/^!//p' "$root/.dockerignore")
find "$work/build" -name __pycache__ -prune -exec rm -rf {} +

install() {
    (cd "$work/build" && NUMBA_CPU_NAME=$CPU_NAME PYTHON=$python PIP_PYTHON=$dev_python deploy/install.sh "$@") >"$work/install.log" 2>&1 \
        || { cat "$work/install.log" >&2; fail "install.sh $1"; }
}
install dependencies requirements.lock "$work/opt gata"
install project . "$work/opt gata"
gata=$work/opt\ gata/bin/gata
grep -v '^WARNING' "$work/install.log" || true
rm -rf "$work/build" # as in the final stage: only the environment is left
du -sh "$work/opt gata" | sed 's/^/    /'
touch "$work/installed"

say "Final stage: started as $(if [ "$(id -u)" = 0 ]; then echo "user $USER_ID (by setpriv, since this is root)"; \
    else echo "user $(id -u)"; fi)"
for ((tries = 0; tries < 120; tries++)); do
    [ -e "$work/places" ] && break
    kill -0 "$services" 2>/dev/null || { cat "$work/services.log" >&2; fail "the services did not start"; }
    sleep 0.5
done
[ -e "$work/places" ] || fail "the services were not ready in time"
# shellcheck source=/dev/null
. "$work/places"
echo "    $TICKETS tickets; Data API $DATA_API_URL; S3 $S3_URL"

mkdir "$work/srv" "$work/home" "$work/tmp"
cp "$root/workspace.yaml" "$root/dagster.yaml" "$work/srv/"
chmod 555 "$work/srv" "$work/home"
chmod 1777 "$work/tmp"

# What the last ENV of the Dockerfile sets, but for the two that name places.
mapfile -t of_image < <(sed -n '/^ENV GATA_REVISION=/,/[^\\]$/p' "$root/Dockerfile" | sed 's/^ENV //; s/^ *//; s/ *\\$//' \
    | grep -v '^GATA_REVISION=\|^PATH=')
[ "${#of_image[@]}" -ge 5 ] || fail "the variables of the Dockerfile were not found"

# First the five variables of the workflow; then what the image sets; then what stands in for AWS: the addresses
# of its services, and the credentials and the region that ECS hands to a task.
environment=(
    "DB_ARN=$CLUSTER_ARN"
    "DB_SECRET_ARN=$SECRET_ARN"
    "LOG_LEVEL=INFO"
    "LOW_VOLUME_FALLBACK_LABEL=$FALLBACK_LABEL"
    "TARGET_BUCKET=$BUCKET"

    "GATA_REVISION="
    "PATH=$work/opt gata/bin:/usr/bin:/bin"
    "${of_image[@]}"
    "HOME=$work/home"
    "TMPDIR=$work/tmp"

    "AWS_ENDPOINT_URL_RDS_DATA=$DATA_API_URL"
    "AWS_ENDPOINT_URL_SECRETS_MANAGER=$DATA_API_URL"
    "AWS_ENDPOINT_URL_S3=$S3_URL"
    "AWS_ACCESS_KEY_ID=$DATA_API_KEY_ID"
    "AWS_SECRET_ACCESS_KEY=$DATA_API_SECRET_KEY"
    "AWS_DEFAULT_REGION=us-east-1"
)
container() { # EXPECTED_CODE ENTRYPOINT_AND_ARGUMENTS…: like `docker run`, and checks the exit code
    local expected=$1 code=0
    shift
    (cd "$work/srv" && exec "${as_user[@]}" -i "${environment[@]}" "$@") </dev/null >"$work/run.log" 2>&1 || code=$?
    sed 's/^/    /' "$work/run.log"
    echo "    exit code $code"
    [ "$code" = "$expected" ] || fail "exit code $expected was expected"
}

say "gata doctor"
container 0 "$gata" doctor

say "The entry point with the batch ID alone: gata prepare $BATCH"
container 0 "$gata" prepare "$BATCH"

say "What was written"
"$dev_python" "$root/deploy/local_services.py" list --s3-url "$S3_URL" --bucket "$BUCKET" 2>>"$work/services.log" \
    | tee "$work/objects"
for channel in train test; do
    grep -q "/training/gata-general/$BATCH/$channel/data.json" "$work/objects" || fail "no gata-general/$channel"
done

say "A batch ID that is none: gata prepare 2026-02-30"
container 2 "$gata" prepare 2026-02-30

say "A window without tickets: gata prepare $EMPTY_BATCH"
container 1 "$gata" prepare "$EMPTY_BATCH"

say "Interactions of a tenant, each command a new process: what each compiles by itself, and how long it takes"
mkdir "$work/files"
{
    echo user_id,item_id,interaction_type,timestamp
    for ((n = 0; n < 2000; n++)); do
        printf 'u%d,i%d,click,2025-12-%02dT10:00:00Z\n' $((n % 100)) $((n * 7 % 90)) $((n % 31 + 1))
    done
} >"$work/files/clicks.csv"
{
    echo item_id,title,category,price,available_at
    for ((n = 0; n < 100; n++)); do echo "i$n,a title,a category,1.5,2025-01-01"; done
} >"$work/files/items.csv"
counted=$(cat <<'PYTHON'
import sys
from time import perf_counter

from numba.core.event import install_recorder

from gata_assets.cli.main import main

started = perf_counter()
try:
    with install_recorder("numba:compile") as compiling:
        main()
finally:
    names = [event.data["dispatcher"].py_func.__qualname__ for _, event in compiling.buffer if event.is_start]
    print(f"COMPILED {len(names)} functions, {perf_counter() - started:.1f} s", *names, file=sys.stderr)
PYTHON
)
compiles_nothing() { # ARGUMENT…: the command with a tenant
    container 0 env "TENANTS=$TENANT" "$work/opt gata/bin/python" -c "$counted" "$@"
    grep -q '^COMPILED 0 functions' "$work/run.log" || fail "gata $1 compiled what the image should have"
}
compiles_nothing ingest items "$work/files/items.csv" --tenant "$TENANT"
compiles_nothing ingest interactions "$work/files/clicks.csv" --tenant "$TENANT"
compiles_nothing prepare "$BATCH" --only interactions
"$dev_python" "$root/deploy/local_services.py" list --s3-url "$S3_URL" --bucket "$BUCKET" 2>>"$work/services.log" \
    | grep "/$TENANT/training_data/" || fail "no training data of $TENANT"

say "The service as its containers start it: gata serve --port 0 --json, on loopback alone"
container 0 "$gata" keys create --tenant "$TENANT" --scope ingest --json >"$work/key.log"
key=$(sed -n 's/.*"secret": "\([^"]*\)".*/\1/p' "$work/run.log")
[ -n "$key" ] || fail "no key was made"
(cd "$work/srv" && exec "${as_user[@]}" -i "${environment[@]}" "$gata" serve --host 127.0.0.1 --port 0 --json) \
    </dev/null >"$work/service.log" 2>&1 &
service=$!
for ((tries = 0; tries < 120; tries++)); do
    url=$(sed -n 's/.*"event": "SERVICE_READY", "url": "\([^"]*\)".*/\1/p' "$work/service.log")
    [ -n "$url" ] && break
    kill -0 "$service" 2>/dev/null || { cat "$work/service.log" >&2; fail "the service did not start"; }
    sleep 0.5
done
[ -n "$url" ] || { cat "$work/service.log" >&2; fail "the service was not ready in time"; }
ask() { # STATUS ARGUMENT…: curl, and checks the status
    local expected=$1 status
    shift
    status=$(curl --silent --show-error --max-time 60 --output "$work/answer" --write-out '%{http_code}' "$@")
    sed 's/^/    /' "$work/answer"
    echo
    [ "$status" = "$expected" ] || fail "$expected was expected, and $status came"
}
ask 200 "$url/health"
grep -q '"s3_connected": *true' "$work/answer" || fail "the service does not see its target"
echo "    $(sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$service/status" 2>/dev/null || echo unknown) of memory"
ask 401 --form "file=@$work/files/clicks.csv" "$url/internal/data/upload-csv?data_type=interactions"
sed 's/click/view/' "$work/files/clicks.csv" >"$work/files/views.csv"
ask 200 --header "X-API-Key: $key" --form "file=@$work/files/views.csv" \
    "$url/internal/data/upload-csv?data_type=interactions"
grep -q '"rows_accepted": *2000' "$work/answer" || fail "not all rows were accepted"
kill -TERM "$service"
code=0
wait "$service" || code=$?
service=
echo "    exit code $code after SIGTERM"
[ "$code" = 0 ] || { cat "$work/service.log" >&2; fail "exit code 0 was expected"; }
rm "$work/answer" "$work/key.log"

say "What was written beside that"
for place in srv home tmp; do
    left=$(cd "$work/$place" && find . -mindepth 1 ! -name workspace.yaml ! -name dagster.yaml)
    echo "    $place: ${left:-nothing}"
    [ -z "$left" ] || fail "files were left in $place"
done
changed=$(find "$work/opt gata" -newer "$work/installed" -type f | wc -l)
echo "    opt gata: $changed files"
[ "$changed" -eq 0 ] || fail "files were written into the environment"

say "All as expected, in $SECONDS s."
