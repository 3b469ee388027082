#!/bin/sh
# Builds picture.wasm. Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
#
# With arguments, builds the shim that the host needs, or the same program for this machine (both with
# libpng-dev):
#     ./build.sh shim libportcullis_png.so
#     ./build.sh native OUTPUT
set -eu
cd "$(dirname "$0")"
case "${1:-}" in
shim)
    exec "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -shared -fPIC -o "$2" ../../interfaces/shims/png.c -lpng16
    ;;
native)
    exec "${CC:-cc}" -std=c11 -O2 -ffp-contract=off -Wall -Wextra -I../../interfaces -o "$2" picture.c \
        ../../interfaces/shims/png.c -lpng16
    ;;
esac

"${CLANG:-clang}" --target=wasm32-wasi -std=c11 -Oz -flto -Wall -Wextra -I../../interfaces \
    -Wl,--allow-undefined -Wl,--strip-all -o picture.wasm picture.c
