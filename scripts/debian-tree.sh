# A clean Debian 12 in a folder of its own, which is removed at the end. Sourced by scripts that try the project there; they
# define `fail`.

# Variables that programs inside get, as NAME=VALUE.
passed=()

make_tree() { # DEBOOTSTRAP-ARGUMENT...: sets root
  local file
  [ "$(id -u)" = 0 ] || fail "this needs root"
  command -v debootstrap >/dev/null || fail "debootstrap is missing; install it with: apt-get install debootstrap"
  root=$(mktemp -d /var/tmp/livelabel-tree.XXXXXX)
  chmod 755 "$root"
  trap remove_tree EXIT
  debootstrap --variant=minbase "$@" bookworm "$root" >/dev/null
  mount -t proc proc "$root/proc"
  cp /etc/resolv.conf "$root/etc/"
  for file in /etc/apt/apt.conf.d/*proxy* /usr/local/share/ca-certificates/*.crt; do
    [ ! -e "$file" ] || cp --parents "$file" "$root"
  done
}

remove_tree() { umount -q "$root/proc" || true; rm -rf --one-file-system "$root"; }

in_root() { # COMMAND...
  chroot "$root" /usr/bin/env -i PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "${passed[@]}" "$@"
}

# The size of all installed packages in KiB.
packages_kib() { in_root dpkg-query -W -f='${Installed-Size}\n' | awk '{ sum += $1 } END { print sum }'; }
