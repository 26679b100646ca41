#!/bin/sh
# What the images need of Debian: a compiler and Python's headers stay, since Jittor compiles operators when they first run.
set -eu
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends g++ python3-dev python3-venv
rm -rf /var/lib/apt/lists/*
