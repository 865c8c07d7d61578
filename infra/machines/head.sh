#!/usr/bin/env bash
# Start the head of a Ray cluster on this machine and stay with it: head.sh ADDRESS [OPTION OF ray start]...
#
# ADDRESS is that of this machine by which the others reach it. Its control service listens at port 6379, its dashboard,
# which takes jobs, at 8265 of loopback alone: reach it through a tunnel, ssh -L 8265:localhost:8265 HEAD.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
# shellcheck source=infra/machines/node-settings.sh
source "$here/node-settings.sh"
address=$1
shift
# The driver is here, and what it has of CPUs and GPUs computes as well: give --num-cpus 0 for a head that does not.
exec ray start --head --block --node-ip-address "$address" --port 6379 \
    --dashboard-host 127.0.0.1 --metrics-export-port 8080 "$@"
