#!/bin/sh
# sh build.sh SOURCE [EXTRA]: installs the project that lies in SOURCE into /opt/ecgan, as a wheel and with the versions
# of constraints.txt, and compiles Jittor for this machine's CPU into ECGAN_CACHE, where everybody may then write.
set -eu
source=$1
extra=${2:-}
wheels=$(mktemp -d)

python3 -m venv /opt/ecgan
pip() {
    /opt/ecgan/bin/python -m pip --disable-pip-version-check --no-cache-dir "$@"
}
pip wheel --no-deps --wheel-dir "$wheels" "$source"
pip install --no-deps --constraint "$source/constraints.txt" jittor  # it asks for a NumPy that this Python does not have
pip install --constraint "$source/constraints.txt" "$(echo "$wheels"/*.whl)${extra:+[$extra]}"
rm -r "$wheels"

/opt/ecgan/bin/python -m ecgan.runtime cpu
chmod -R a+rwX "$ECGAN_CACHE"
