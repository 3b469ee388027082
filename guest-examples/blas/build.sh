#!/bin/sh
# Builds blas.wasm. Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
#
# With an argument, builds the same program for this machine instead, against the library itself (no
# development package is needed: the interface is its header):
#     ./build.sh native OUTPUT
set -eu
cd "$(dirname "$0")"
if [ "${1:-}" = native ]; then
    exec "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -I../../interfaces -o "$2" blas.c -l:libopenblas.so.0
fi

"${CLANG:-clang}" --target=wasm32-wasi -std=c11 -Oz -flto -Wall -Wextra -I../../interfaces \
    -Wl,--allow-undefined -Wl,--strip-all \
    -o blas.wasm blas.c
