#!/bin/sh
# Builds guest.wasm. PyPI: pip install ziglang (0.17)
set -eu
cd "$(dirname "$0")"
${ZIG:-python3 -m ziglang} build-exe guest.zig -target wasm32-wasi -O ReleaseSmall -fstrip -femit-bin=guest.wasm
rm -f guest.wasm.o guest.o
