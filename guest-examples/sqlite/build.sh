#!/bin/sh
# Builds sqlite.wasm. Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
#
# With an argument, builds the same program for this machine instead, against the library itself (no
# development package is needed: the interface is its header):
#     ./build.sh native OUTPUT
set -eu
cd "$(dirname "$0")"
if [ "${1:-}" = native ]; then
    exec "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -I../../interfaces -o "$2" sqlite.c -l:libsqlite3.so.0
fi

# --allow-undefined: what the header declares is the host's to define.
# malloc and free are exported for the strings and blobs that SQLite returns: Portcullis copies them
# into the guest, and binds the import sqlite3_free to this free.
"${CLANG:-clang}" --target=wasm32-wasi -std=c11 -Oz -flto -Wall -Wextra -I../../interfaces \
    -Wl,--allow-undefined -Wl,--export-table -Wl,--export=malloc -Wl,--export=free -Wl,--strip-all \
    -o sqlite.wasm sqlite.c
