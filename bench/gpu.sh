#!/bin/sh
# All of bench/gpu.py on a machine that has a GPU and no network.
#
#   bench/gpu.sh pack FOLDER             where there is a network: everything to install, as wheels
#   bench/gpu.sh run FOLDER [OPTIONS]    there, with the same Python: installs, compiles on all cores, measures
#
# FOLDER then has figures/ (the table, which is also printed last, the figures, a log of each part) and cache.tar, the
# compiled code: unpacked into the same FOLDER on the same kind of machine it spares compiling. OPTIONS are gpu.py's.
# PYTHON names the Python to use. What that one has already, PyTorch for one, is found, too.
set -eu

[ $# -ge 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 2; }
what=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
shift 2
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

case $what in
pack)
    "$python" -m pip wheel --wheel-dir "$folder/wheels" -c constraints.txt '.[gpu]'
    ;;
run)
    ECGAN_CACHE=${ECGAN_CACHE:-$folder/cache}
    export ECGAN_CACHE
    [ -x "$folder/venv/bin/python" ] || "$python" -m venv --system-site-packages "$folder/venv"
    "$folder/venv/bin/python" -m pip install --quiet --no-index --find-links "$folder/wheels" 'ecgan-cluster[gpu]'
    [ ! -f "$folder/cache.tar" ] || [ -d "$folder/cache" ] || tar -C "$folder" -xf "$folder/cache.tar"
    PYTHONPATH=$PWD "$folder/venv/bin/python" launch/doctor.py --warm || true
    status=0
    "$folder/venv/bin/python" bench/gpu.py --out "$folder/figures" "$@" || status=$?
    if [ -d "$folder/cache" ]; then tar -C "$folder" -cf "$folder/cache.tar" cache; fi
    exit $status
    ;;
*)
    echo "pack or run, not $what" >&2
    exit 2
    ;;
esac
