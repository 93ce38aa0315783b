#!/bin/sh
# N shards, some at the same time: shards-xargs.sh N [argument of asyncsync ...]
#
# AT_ONCE=4 runs four at the same time, which is the default. It ends with 0 if all shards did, and
# otherwise with 123: run it again then, and what is here already costs a listing only.
set -eu
shards=$1
shift
seq "$shards" | xargs -P "${AT_ONCE:-4}" -I '{}' \
    asyncsync --quiet --processes 0 --shard "{}/$shards" "$@"
