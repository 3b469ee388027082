#!/bin/sh
# Builds rows.wasm. Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
#
# With an argument, builds the same functions for this machine instead, as the benchmark does:
#     ./build.sh native OUTPUT
set -eu
cd "$(dirname "$0")"
if [ "${1:-}" = native ]; then
    exec "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -shared -fPIC -I../../interfaces -o "$2" rows.c -l:libsqlite3.so.0
fi

"${CLANG:-clang}" --target=wasm32-wasi -mexec-model=reactor -std=c11 -O2 -flto -Wall -Wextra -I../../interfaces \
    -Wl,--allow-undefined -Wl,--export-table -Wl,--export=malloc -Wl,--export=free \
    -Wl,--export=rows_open -Wl,--export=rows_clear -Wl,--export=rows_insert -Wl,--export=rows_select -Wl,--strip-all \
    -o rows.wasm rows.c
