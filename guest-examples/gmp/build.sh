#!/bin/sh
# Builds numbers.wasm. Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
#
# With an argument, builds the same program for this machine instead, against the library and its own
# header (libgmp-dev):
#     ./build.sh native OUTPUT
set -eu
cd "$(dirname "$0")"
if [ "${1:-}" = native ]; then
    exec "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -DUSE_SYSTEM_GMP_H -o "$2" numbers.c -lgmp
fi

# malloc and free are exported: Portcullis needs them where a library returns strings.
"${CLANG:-clang}" --target=wasm32-wasi -std=c11 -Oz -flto -Wall -Wextra -I../../interfaces \
    -Wl,--allow-undefined -Wl,--export=malloc -Wl,--export=free -Wl,--strip-all \
    -o numbers.wasm numbers.c
