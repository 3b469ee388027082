#!/bin/sh
# Builds lines.wasm. Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
#
# With an argument, builds the same program for this machine instead:
#     ./build.sh native OUTPUT
set -eu
cd "$(dirname "$0")"
if [ "${1:-}" = native ]; then
    exec "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -o "$2" lines.c
fi

"${CLANG:-clang}" --target=wasm32-wasi -std=c11 -Oz -flto -Wall -Wextra -Wl,--strip-all -o lines.wasm lines.c
