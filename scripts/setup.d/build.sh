# Builds the programs.

need_cargo() {
  command -v cargo >/dev/null || fail "Rust 1.89 or newer is missing; install it with rustup (https://rustup.rs)"
}

# Compiles the library while packages are downloaded; nothing is linked yet.
start_compiling() {
  [ ! -e "$DEPS/.built-run" ] || return 0
  say "compiling in the background"
  cargo build --release --lib >"$DEPS/build.log" 2>&1 &
  compiling=$!
  trap 'kill "$compiling" 2>/dev/null || true' EXIT
}

finish_compiling() {
  [ -n "${compiling:-}" ] || return 0
  local all now reported=0
  all=$(cargo tree --quiet --prefix none --edges normal,build 2>/dev/null | sort -u | wc -l)
  while kill -0 "$compiling" 2>/dev/null; do
    now=$(grep -c '^ *Compiling' "$DEPS/build.log") || true
    [ "$now" -lt $((reported + 50)) ] || { reported=$now && say "compiled: $now of about $all crates"; }
    sleep 1
  done
  wait "$compiling" || { tail -n 20 "$DEPS/build.log" >&2 && broke "the build failed; check the network, and run it again"; }
  trap - EXIT
}

build_analyzer() { build run --bin livelabel; }
build_trainer() { build train --features train --bin livelabel-train --bin livelabel-train-torch; }

# A build writes a stamp file; sources newer than the stamp need another build.
build() { # NEED OPTIONS...
  local mark=$DEPS/.built-$1 cargo_says=--quiet
  shift
  touch "$mark.part"
  [ ! -t 2 ] || cargo_says=--color=auto
  cargo build "$cargo_says" --release "$@" >&2 || broke "the build failed; see above, and run it again"
  mv "$mark.part" "$mark"
}

# Whether the program for NEED was built from these sources.
is_built() { # NEED PROGRAM
  local mark=$DEPS/.built-$1
  [ -e "$mark" ] && [ -x "target/release/$2" ] &&
    [ -z "$(find Cargo.toml Cargo.lock rust-toolchain.toml .cargo build.rs src -newer "$mark" -print -quit)" ]
}
