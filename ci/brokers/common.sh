# What the scripts that start brokers share; to be read by them.

die() {
  echo "$0: $*" >&2
  exit 1
}

# Works in this directory, alone: a second one waits until this one has its broker.
enter() {
  mkdir -p "$1"
  cd "$1"
  exec 9>.lock
  flock 9
}

# Packages of a release, into debs/, with lists of our own beside the system's; `--with-dependencies`: and all that they need.
fetch() {
  local dependencies=false
  if [[ $1 == --with-dependencies ]]; then
    dependencies=true
    shift
  fi
  local release=$1
  shift
  local apt=$PWD/apt
  mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial "$apt"/etc/preferences.d debs
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $release main" >"$apt/etc/sources.list"
  touch "$apt/status"
  local options=(
    -qq -o Dir::Etc="$apt/etc" -o Dir::Etc::SourceList="$apt/etc/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State="$apt" -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache"
    -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
  )
  apt-get "${options[@]}" update >&2
  if $dependencies; then
    # To apt nothing is installed.
    apt-get "${options[@]}" -y --no-install-recommends --download-only install "$@" >&2
    mv "$apt"/cache/archives/*.deb debs
  else
    (cd debs && apt-get "${options[@]}" download "$@" >&2)
  fi
  rm -rf "$apt"
}

# A program of a release with all that it needs, in root/, unless it is there. No script of a package is run.
install_root() {
  local release=$1 program=$2
  [[ "$(cat version 2>/dev/null)" == "$release" ]] && return
  rm -rf root debs
  fetch --with-dependencies "$release" "$program" base-files bash coreutils dash grep sed libc-bin procps hostname mount net-tools
  for deb in debs/*.deb; do
    dpkg-deb -x "$deb" root
  done
  rm -rf debs
  mkdir -p root/{proc,dev,tmp}
  : >root/dev/null
  echo 'root:x:0:0:root:/root:/bin/sh' >root/etc/passwd
  echo 'root:x:0:' >root/etc/group
  echo '127.0.0.1 localhost' >root/etc/hosts
  echo "$release" >version
}

# So many ports that nobody listens on now, below those which the system hands out by itself: until the broker has them nobody else
# gets them by chance.
free_ports() {
  python3 - "$1" <<'CODE'
import random, socket, sys
sockets = []
while len(sockets) < int(sys.argv[1]):
    try:
        sockets.append(socket.create_server(('127.0.0.1', random.randrange(15000, 32000))))
    except OSError:
        pass
print(*(each.getsockname()[1] for each in sockets))
CODE
}

# Starts a broker, waits until it listens on this port, and says where it is.
start() {
  local port=$1
  shift
  "$@" >log 2>&1 </dev/null 9>&- &
  local pid=$!
  for _ in $(seq 300); do
    kill -0 "$pid" 2>/dev/null || die "the broker has ended: $(tail -n 5 log)"
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "mqtt://127.0.0.1:$port $pid"
      return
    fi
    sleep 0.2
  done
  kill "$pid"
  die "the broker does not listen: $(tail -n 5 log)"
}

# As `start`, root/run.sh in there. It has namespaces of its own: what it starts and mounts goes with it.
start_in_root() {
  start "$1" contain unshare -r --mount --pid --fork --kill-child chroot "$PWD/root" /bin/sh /run.sh
}

# Runs a command that SIGTERM does not end, until SIGTERM.
contain() {
  "$@" &
  local child=$!
  trap 'kill -KILL "$child"' TERM
  wait "$child" || true
}
