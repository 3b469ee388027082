#!/bin/sh
# Builds guest.wasm. Debian: apt-get install rustc libstd-rust-dev-wasm32 lld
# With rustup: rustup target add wasm32-wasip1; RUSTC=rustc TARGET=wasm32-wasip1 ./build.sh
set -eu
cd "$(dirname "$0")"
"${RUSTC:-/usr/bin/rustc}" --edition 2021 --target "${TARGET:-wasm32-wasi}" -C opt-level=z -C lto -C panic=abort \
    -C codegen-units=1 -C strip=symbols -o guest.wasm guest.rs
