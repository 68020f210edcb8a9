#!/usr/bin/env bash
# Measures scripts/run on a Debian 12 with this machine's Rust and nothing else (debootstrap): time and disk, as the tables of
# docs/setup.md. Called by scripts/bench. Needs root, debootstrap and the network; passes on proxies and certificates.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf 'bench: error: %s\n' "$*" >&2; exit 1; }
say() { printf 'bench: %s\n' "$*" >&2; }

[ "$(id -u)" = 0 ] || fail "this needs root"
command -v debootstrap >/dev/null || fail "debootstrap is missing; install it with: apt-get install debootstrap"

root=$(mktemp -d /var/tmp/livelabel-setup.XXXXXX)
chmod 755 "$root"
finish() { umount -q "$root/proc" || true; rm -rf --one-file-system "$root"; }
trap finish EXIT
mapfile -t passed < <(env | grep -iE '^(https?_proxy|no_proxy|SSL_CERT_FILE|PIP_CERT|NODE_EXTRA_CA_CERTS|CURL_CA_BUNDLE)=')
in_root() {
  chroot "$root" /usr/bin/env -i PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "${passed[@]}" "$@"
}
packages_kb() { in_root dpkg-query -W -f='${Installed-Size}\n' | awk '{ sum += $1 } END { print sum }'; }
row() { printf '| %s | %s |\n' "$1" "$2"; }

say "making a clean Debian 12 with Rust"
debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >/dev/null
mount -t proc proc "$root/proc"
cp /etc/resolv.conf "$root/etc/"
for file in /etc/apt/apt.conf.d/*proxy* /usr/local/share/ca-certificates/*.crt; do
  [ ! -e "$file" ] || cp --parents "$file" "$root"
done
in_root update-ca-certificates >/dev/null 2>&1
cp -r "$(rustc --print sysroot)" "$root/opt/rust"
git clone --quiet . "$root/livelabel"
before=$(packages_kb)

say "running scripts/run; its output is in $root/livelabel/run.log"
TIMEFORMAT='%R %U %S'
times=$({ time in_root sh -c 'cd /livelabel && scripts/run >run.log 2>&1' || true; } 2>&1)
[ -s "$root/livelabel/sample.timeline.json" ] || { tail -n 20 "$root/livelabel/run.log" >&2; fail "scripts/run failed"; }
read -r elapsed user system <<<"$times"
again=$({ time in_root sh -c 'cd /livelabel && scripts/run >run.log 2>&1'; } 2>&1)

echo "| step | seconds |"
echo "|---|---|"
row "from the command to the labelled sample" "$elapsed; $(awk "BEGIN { print $user + $system }") of CPU time"
row "the same again" "${again%% *}"
echo
echo "| part | MB |"
echo "|---|---|"
row "Debian packages" $((($(packages_kb) - before) / 1024))
compiler=$(in_root dpkg-query -W -f='${Package} ${Installed-Size}\n' | awk '/^(g\+\+|gcc|cpp|libstdc\+\+-12-dev|libgcc-12-dev|libc6-dev|binutils)/ { sum += $2 } END { print int(sum / 1024) }')
row "of these, the C++ compiler" "$compiler"
row ".deps/" "$(du -sm "$root/livelabel/.deps" | cut -f1)"
row "target/" "$(du -sm "$root/livelabel/target" | cut -f1)"
