#!/usr/bin/env bash
# How the image's Python environment is made. The Dockerfile runs these steps and show-container.sh runs them
# too: what is shown without a Docker engine is what the image gets.
#
#   install.sh dependencies LOCK_FILE VENV   a new environment with exactly what is locked
#   install.sh project SOURCE VENV           the project itself, not editable, with its loops compiled
#
# PYTHON makes the environment, PIP_PYTHON has pip; both are `python3` in the image.
set -euo pipefail

PYTHON=${PYTHON:-python3}
PIP_PYTHON=${PIP_PYTHON:-$PYTHON}

pip_install() { # VENV ARGUMENT...
    local venv=$1
    shift
    # --no-compile: see precompile.
    "$PIP_PYTHON" -m pip --python "$venv/bin/python" --disable-pip-version-check \
        install --quiet --no-compile --no-deps "$@"
}

precompile() { # VENV DIRECTORY
    # The root file system is read-only at run time, so what is not compiled here is compiled at every start.
    # `unchecked-hash`: no file's time is compared, which the copy into the next stage could change.
    "$1/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$2"
}

case "${1:-}" in
dependencies)
    lock=$2 venv=$3
    # Without pip: nothing is installed into it later.
    "$PYTHON" -m venv --without-pip "$venv"
    # Wheels only: a slim image has no compiler, and a source package would run its own code here.
    pip_install "$venv" --require-hashes --only-binary :all: --requirement "$lock"
    precompile "$venv" "$venv/lib"
    ;;
project)
    source=$2 venv=$3
    # setuptools is locked too: --no-build-isolation takes that one and fetches nothing.
    pip_install "$venv" --no-build-isolation "$source"
    precompile "$venv" "$venv"/lib/python*/site-packages/gata_assets
    # The loops over interactions, beside their sources, from where a process that may not write reads them; otherwise
    # each batch would compile for ten seconds. -P: of the installed project, not of the one in this directory.
    env --unset=NUMBA_CACHE_DIR "$venv/bin/python" -P -m gata_assets.interactions.warm_up
    # --no-deps above believes the lock file; this proves it complete.
    "$PIP_PYTHON" -m pip --python "$venv/bin/python" --disable-pip-version-check check
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
