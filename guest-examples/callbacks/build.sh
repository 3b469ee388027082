#!/bin/sh
# Builds callbacks.wasm. Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
#
# With an argument, builds the same program for this machine instead:
#     ./build.sh native OUTPUT
set -eu
cd "$(dirname "$0")"
if [ "${1:-}" = native ]; then
    exec "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -o "$2" callbacks.c
fi

# The table is exported so that the host finds the functions that C calls back. malloc and free are for
# what the library lends (gmtime): Portcullis copies it into the guest.
"${CLANG:-clang}" --target=wasm32-wasi -std=c11 -Oz -flto -Wall -Wextra \
    -Wl,--export-table -Wl,--export=malloc -Wl,--export=free -Wl,--strip-all \
    -o callbacks.wasm callbacks.c
