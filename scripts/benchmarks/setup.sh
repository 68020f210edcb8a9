#!/usr/bin/env bash
# Measures scripts/run on a Debian 12 with this machine's Rust and nothing else (debootstrap): time and disk, as the tables of
# docs/setup.md. Called by scripts/bench. Needs root, debootstrap and the network; passes on proxies and certificates.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/debian-tree.sh
. scripts/debian-tree.sh

fail() { printf 'bench: error: %s\n' "$*" >&2; exit 1; }
say() { printf 'bench: %s\n' "$*" >&2; }

row() { printf '| %s | %s |\n' "$1" "$2"; }

say "making a clean Debian 12 with Rust"
make_tree --include=ca-certificates
mapfile -t passed < <(env | grep -iE '^(https?_proxy|no_proxy|SSL_CERT_FILE|PIP_CERT|NODE_EXTRA_CA_CERTS|CURL_CA_BUNDLE)=')
in_root update-ca-certificates >/dev/null 2>&1
cp -r "$(rustc --print sysroot)" "$root/opt/rust"
git clone --quiet . "$root/livelabel"
before=$(packages_kib)

say "running scripts/run; its output is in $root/livelabel/run.log"
TIMEFORMAT='%R %U %S'
times=$({ time in_root sh -c 'cd /livelabel && scripts/run >run.log 2>&1' || true; } 2>&1)
[ -s "$root/livelabel/labelled/sample.timeline.json" ] || { tail -n 20 "$root/livelabel/run.log" >&2; fail "scripts/run failed"; }
read -r elapsed user system <<<"$times"
again=$({ time in_root sh -c 'cd /livelabel && scripts/run >run.log 2>&1'; } 2>&1)

echo "| step | seconds |"
echo "|---|---|"
row "from the command to the labelled sample" "$elapsed; $(awk "BEGIN { print $user + $system }") of CPU time"
row "the same again" "${again%% *}"
echo
echo "| part | MB |"
echo "|---|---|"
row "Debian packages" $((($(packages_kib) - before) / 1024))
compiler=$(in_root dpkg-query -W -f='${Package} ${Installed-Size}\n' | awk '/^(g\+\+|gcc|cpp|libstdc\+\+-12-dev|libgcc-12-dev|libc6-dev|binutils)/ { sum += $2 } END { print int(sum / 1024) }')
row "of these, the C++ compiler" "$compiler"
row ".deps/" "$(du -sm "$root/livelabel/.deps" | cut -f1)"
row "target/" "$(du -sm "$root/livelabel/target" | cut -f1)"
