#!/bin/sh
# N shards with GNU parallel, on one machine or several: shards-parallel.sh N [argument ...]
#
# AT_ONCE=4 runs four at the same time on each machine. SSHLOGINFILE=hosts runs them on the machines
# that it lists, which have the destination under the same path. A shard that fails is tried three
# times. It ends with 0 if all shards did, and otherwise with how many did not; shards.log has the
# exit code of each.
set -eu
shards=$1
shift
seq "$shards" | parallel --quote --jobs "${AT_ONCE:-4}" --retries 3 --joblog shards.log \
    ${SSHLOGINFILE:+--sshloginfile "$SSHLOGINFILE"} ${SSHLOGINFILE:+--workdir "$PWD"} \
    asyncsync --quiet --processes 0 --shard "{}/$shards" "$@"
