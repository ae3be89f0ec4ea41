#!/usr/bin/env bash
# Five organisations: three parties, a lab with a model, a clinic with texts. Each has a folder of its own; what goes from
# one folder to another is what would be sent by mail or over the network. Each party has a network namespace of its own
# where the system lets this user make some, a loopback address elsewhere (or with NETWORK=loopback). In earnest every
# folder is on a machine of its own, and nothing else changes but the addresses.
#
#   examples/three-organisations/walk.sh [FOLDER]
set -eu
namespaces() { unshare --user --map-root-user --net --mount --fork --kill-child "$@"; }
wire='mount -t tmpfs none /run && mkdir /run/netns && ip link add hosts type bridge && ip netns add try &&
  ip link add one type veth peer name two netns try'
if [ -z "${NETWORK:-}" ] && namespaces sh -c "$wire" 2>/dev/null; then
  export NETWORK=namespaces
  namespaces "$0" "$@"
  exit
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
pumac=${PUMAC:-$root/pumac}
port=${PORT:-7100}
here=${1:-$(mktemp -d)}
model=$root/models/bert-sst2/bert_sst2.legacy.op14.onnx
tokenizer=$root/models/bert-sst2/tokenizer.json
export XDG_STATE_HOME=$here/lab
declare -A running=()
trap 'for id in "${running[@]}"; do kill -9 "$id" 2>/dev/null || true; done' EXIT

# Where P0, P1 and P2 are, and a command as it runs on the machine of one of them.
address() {
  if [ "${NETWORK:-}" = namespaces ]; then echo "10.77.0.$(($1 + 1)):$port"; else echo "127.0.0.$(($1 + 1)):$((port + $1))"; fi
}
at() {
  local machine=$1
  shift
  if [ "${NETWORK:-}" = namespaces ]; then exec nsenter --net="/run/netns/$machine" "$@"; else exec "$@"; fi
}
if [ "${NETWORK:-}" = namespaces ]; then
  mount -t tmpfs none /run
  mkdir /run/netns
  ip link add hosts type bridge
  ip address add 10.77.0.254/24 dev hosts
  ip link set hosts up
  for i in 0 1 2; do
    ip netns add P$i
    ip link add p$i type veth peer name net netns P$i
    ip link set p$i master hosts up
    ip -n P$i address add "10.77.0.$((i + 1))/24" dev net
    ip -n P$i link set net up
    ip -n P$i link set lo up
  done
fi

say() { printf '\n── %s\n' "$*"; }
# Runs a command that must end with this status.
expect() {
  local wanted=$1 status=0
  shift
  "$@" || status=$?
  [ "$status" = "$wanted" ] || { echo "ended with $status instead of $wanted: $*" >&2; exit 1; }
}
start() {
  at "$1" "$pumac" party --topology "$here/$1/$1.toml" --timeout 5 2>"$here/$1/log" &
  running[$1]=$!
  for _ in $(seq 200); do
    grep -q '"listening"' "$here/$1/log" && return
    sleep 0.1
  done
  cat "$here/$1/log" >&2
  exit 1
}
# Shows the answer's class, or why there is none.
ask() {
  local status=0
  "$pumac" infer "$here/clinic/film.pumac" --topology "$here/clinic/clinic.toml" --timeout 5 \
    --input "text:$1" --tokenizer "$tokenizer" --quiet >"$here/clinic/answer" 2>"$here/clinic/said" || status=$?
  printf '%-50s %s\n' "$1" "$(cat "$here/clinic/answer" "$here/clinic/said" | grep -m1 -E '^(class|error)')"
  return $status
}

say "three parties, on ${NETWORK:-loopback}: $(for i in 0 1 2; do printf '%s ' "$(address $i)"; done)"
say "every organisation makes its key; the public parts are exchanged, fingerprints are compared"
mkdir -p "$here"
for i in 0 1 2; do
  "$pumac" init --party P$i --address "$(address $i)" --folder "$here/P$i" --quiet
done
"$pumac" init --owner lab --folder "$here/lab" --quiet
"$pumac" init --owner clinic --folder "$here/clinic" --quiet
for name in P0 P1 P2 lab clinic; do
  others=()
  for other in P0 P1 P2 lab clinic; do
    [ "$other" = "$name" ] || others+=("$here/$other/$other.public.toml")
  done
  "$pumac" topology add "${others[@]}" --topology "$here/$name/$name.toml" --quiet >/dev/null
done

say "the lab compiles a plan and gives it to the clinic; the parties start"
"$pumac" compile "$model" --dim b=1,s=48 -o "$here/lab/film.pumac" --quiet
cp "$here/lab/film.pumac" "$here/clinic/film.pumac"
for name in P0 P1 P2; do start $name; done

say "the lab shares: the parties take the plan, but nobody has approved it (exit 8)"
share=("$pumac" share "$model" --plan "$here/lab/film.pumac" --topology "$here/lab/lab.toml" --timeout 5 --quiet)
expect 8 "${share[@]}" 2>"$here/lab/refused"
grep -o 'at P.: pumac trust approve [0-9a-f]*' "$here/lab/refused"

say "each operator looks at the plan and approves it; the lab shares again, and leaves"
digest=$("$pumac" trust list --topology "$here/P0/P0.toml" | cut -d' ' -f1)
"$pumac" inspect "$here/P0/P0.state/plans/$digest.pumac" | grep -E '^(P0|P1, P2|data owner) '
for name in P0 P1 P2; do
  "$pumac" trust approve "$digest" --topology "$here/$name/$name.toml" --quiet >/dev/null
done
"${share[@]}"
mv "$here/lab" "$here/lab-is-gone"

say "the clinic asks three times; no weight moves any more"
ask "An inventive, moving story, beautifully acted."
ask "A dull film, badly acted."
ask "I would see it again tomorrow."

say "P1 loses its power: the clinic is told who is missing (exit 6)"
kill -9 "${running[P1]}"
wait "${running[P1]}" 2>/dev/null || true
expect 6 ask "Is anybody there?"
say "P1 comes back, with what it kept"
start P1
ask "A film to fall asleep in."

say "P2 does not trust the plan any more (exit 8), then again"
"$pumac" trust revoke "$digest" --topology "$here/P2/P2.toml" --quiet >/dev/null
expect 8 ask "Do you still trust me?"
"$pumac" trust approve "$digest" --topology "$here/P2/P2.toml" --quiet >/dev/null
ask "A warm and funny film."

say "what P0 has written down"
"$pumac" party audit --topology "$here/P0/P0.toml"

say "the parties stop: what runs is finished, then exit 0"
for name in P0 P1 P2; do kill -TERM "${running[$name]}"; done
for name in P0 P1 P2; do
  expect 0 wait "${running[$name]}"
  unset "running[$name]"
done
say "done: $here"
