#!/bin/bash
#SBATCH --job-name=asyncsync
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# One shard for each task of a job array: sbatch slurm-array.sh [argument of asyncsync ...]
#
# The array says how many shards there are, 8 here. To run some of them again, requeue those tasks
# (scontrol requeue JOB_3), or say how many shards there are: SHARDS=8 sbatch --array=3,5 ...
set -u

if [ -n "${SHARDS:-}" ]; then
    shard="$SLURM_ARRAY_TASK_ID/$SHARDS"
else
    shard="$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN + 1))/$SLURM_ARRAY_TASK_COUNT"
fi

asyncsync --shard "$shard" --no-progress --max-duration 11h30m "$@"
code=$?

# 1, 4, 6: what may pass. 7: its time was up. The next run goes on; three more, then somebody looks.
case $code in
    1 | 4 | 6 | 7)
        if [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
            scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
        fi
        ;;
esac
exit $code
