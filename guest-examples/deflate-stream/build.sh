#!/bin/sh
# Builds stream.wasm. Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
#
# With an argument, builds the same program for this machine instead, against the library itself (no
# development package is needed: the interface is its header):
#     ./build.sh native OUTPUT
set -eu
cd "$(dirname "$0")"
if [ "${1:-}" = native ]; then
    exec "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -I../../interfaces -o "$2" stream.c -l:libz.so.1
fi

# --max-memory: the guest's memory cannot grow beyond 2 MiB.
# malloc and free are exported for zlib's messages: Portcullis copies them into the guest.
"${CLANG:-clang}" --target=wasm32-wasi -std=c11 -Oz -flto -Wall -Wextra -I../../interfaces \
    -Wl,--allow-undefined -Wl,--export=malloc -Wl,--export=free -Wl,--max-memory=2097152 -Wl,--strip-all \
    -o stream.wasm stream.c
