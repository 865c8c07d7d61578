#!/usr/bin/env bash
# Let this machine join a Ray cluster, and stay with it until it is told to go: worker.sh HEAD ADDRESS [OPTION OF ray start]...
#
# SIGTERM lets it drain, so that what it computes is saved, and leave. If the head is not there yet it is waited for.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
# shellcheck source=infra/machines/node-settings.sh
source "$here/node-settings.sh"
head=$1 address=$2
shift 2
for _ in $(seq 60); do
    if (: < "/dev/tcp/$head/6379") 2> /dev/null; then break; fi
    sleep 2
done
# It answers some seconds before its node is known, without which none joins.
sleep 5
exec ray start --block --address "$head:6379" --node-ip-address "$address" --metrics-export-port 8080 "$@"
