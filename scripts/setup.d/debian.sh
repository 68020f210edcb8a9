# Debian packages.

# Needed before anything is compiled.
readonly COMPILER=(g++ pkg-config libturbojpeg0-dev)
# GLib, GStreamer and what decodes; OpenCV needs libtbb12. No development package: see .cargo/config.toml.
readonly ANALYZER=(
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-x
  gstreamer1.0-tools libsoup-3.0-0 libtbb12 ca-certificates unzip patchelf python3 python3-pip-whl
)
readonly TRAINER=(binutils npm)
readonly TESTS=(
  gstreamer1.0-plugins-bad libgstrtspserver-1.0-dev ffmpeg xvfb xdotool imagemagick mosquitto mosquitto-clients openssl
  chromium fonts-dejavu-core binutils npm procps nats-server
)
readonly BENCH=(python3-venv ffmpeg)

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo --preserve-env=http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY "$@"
  fi
}

can_be_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -v 2>/dev/null; }
}

apt_lists() {
  [ -z "${apt_updated:-}" ] || return 0
  as_root apt-get update -qq -o DPkg::Lock::Timeout=600 >/dev/null 2>&1 || true
  apt_updated=yes
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=600 \
    -o Dpkg::Use-Pty=0 -o APT::Keep-Downloaded-Packages=false -o Dpkg::Options::=--force-unsafe-io "$@"
}

missing_packages() { # PACKAGES: those that are not installed
  local present package
  present=" $(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | awk '$2 == "installed" { print $1 }' | tr '\n' ' ')" || true
  for package in "$@"; do
    case "$package" in
      npm | g++ | pkg-config) command -v "$package" >/dev/null && continue ;; # a version from elsewhere is fine
    esac
    [[ $present == *" $package "* ]] || echo "$package"
  done
}

# Fails early, naming every missing package, if this user cannot install packages.
can_install() { # PACKAGES
  local missing
  missing=$(missing_packages "$@" | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || fail "this is not Debian; install what these Debian packages hold: $missing"
  can_be_root || fail "neither root nor sudo; ask an administrator for: apt-get install --no-install-recommends $missing"
}

install_packages() { # PACKAGES
  local missing log what
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  apt_lists
  what=$(LC_ALL=C apt-get install -q --assume-no --no-install-recommends "${missing[@]}" 2>/dev/null |
    grep -E '^(Need to get|After this)' | tr '\n' ' ') || true
  say "installing ${missing[*]}"
  [ -z "$what" ] || say "$what"
  log=$DEPS/packages.log
  apt_get -o APT::Status-Fd=3 "${missing[@]}" 3>&1 >"$log" 2>&1 | percents "packages" ||
    broke "the packages cannot be installed: $(grep -m1 '^E:' "$log" || echo "see $log"); check the network and run it again"
}

# Prints apt-get's progress from lines such as pmstatus:PACKAGE:PERCENT:TEXT, first of the downloads, then of the rest.
percents() { # NAME
  local kind percent last=
  while IFS=: read -r kind _ percent _; do
    percent=${percent%%.*}
    case "$kind" in
      dlstatus) kind=downloaded ;;
      pmstatus) kind=installed ;;
      *) continue ;;
    esac
    percent=$((percent / 25 * 25))
    [ "$last" = "$kind$percent" ] || say "$1: $percent % $kind"
    last=$kind$percent
  done
}

# Extracts packages into a folder in .deps and prints its path; nothing is installed.
unpacked() { # NAME=VERSION...
  local folder package
  folder=$(mktemp -d "$DEPS/download.XXXXXX") || broke "$DEPS cannot be written"
  (cd "$folder" && apt-get download -qq -o APT::Sandbox::User=root "$@" 2>/dev/null >&2) || {
    can_be_root || fail "apt-get cannot fetch $*; ask an administrator to run: apt-get update"
    apt_lists
    (cd "$folder" && apt-get download -qq -o APT::Sandbox::User=root "$@" >&2) || return 1
  }
  for package in "$folder"/*.deb; do
    dpkg-deb -x "$package" "$folder" || broke "$package cannot be unpacked; run it again"
  done
  echo "$folder"
}

checked() { # FILE SHA256
  echo "$2  $1" | sha256sum --check --status || broke "$1 does not have the expected checksum; run it again"
}
