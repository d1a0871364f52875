#!/bin/bash
# Delivers recordings that are on this BigBlueButton server already: those that were never delivered, or published anew since.
#
#   meetingpool_batch_delivery.sh [--all] [--dry-run]
#
# --all delivers what was delivered before once more; --dry-run only names the recordings. Each is handed to
# meetingpool_post_publish.rb as the user that BBB runs as. It does no harm every hour, from cron: so what failed is tried again.
# BBB_SCRIPTS_DIR and BBB_STATUS_DIR: where BBB's core/scripts and recording/status are, if not where BBB puts them.
# Exit codes: 0 everything is delivered; 1 something is not; 2 wrong usage, or BBB is not here.
set -u -o pipefail

scripts=${BBB_SCRIPTS_DIR:-/usr/local/bigbluebutton/core/scripts}
published=${BBB_STATUS_DIR:-/var/bigbluebutton/recording/status}/published
deliver=$scripts/post_publish/meetingpool_post_publish.rb
id_of_done='^([0-9a-f]{40,64}-[0-9]{13}(-[0-9]{13})?)-[a-z0-9_-]+\.done$'

give_up() {
    echo "meetingpool_batch_delivery: $1" >&2
    exit 2
}

# The ids of all recordings that something is published of.
published_ids() {
    local path
    for path in "$published"/*.done; do
        [[ $path == *-sender.done ]] && continue
        [[ ${path##*/} =~ $id_of_done ]] && echo "${BASH_REMATCH[1]}"
    done | sort -u
}

# Whether the recording $1 was delivered as it is now.
is_delivered() {
    local sender=$published/$1-sender.done path
    [[ -e $sender ]] || return 1
    for path in "$published/$1"-*.done; do
        [[ $path == "$sender" || $sender -nt $path ]] || return 1
    done
    return 0
}

as_bbb() {
    if ((EUID == 0)); then
        runuser -u "$(stat -c %U "$published")" -- "$@"
    else
        "$@"
    fi
}

all= dry_run=
for argument in "$@"; do
    case $argument in
        --all) all=yes ;;
        --dry-run) dry_run=yes ;;
        *) give_up "unknown option; call it as: meetingpool_batch_delivery.sh [--all] [--dry-run]" ;;
    esac
done
[[ -d $published ]] || give_up "there is no directory $published"
[[ -f $deliver ]] || give_up "there is no $deliver"

exec 9<"$published"
flock --nonblock 9 || { echo "meetingpool_batch_delivery: another run is not over yet" >&2; exit 0; }

failed=0
while read -r id; do
    [[ -z $all ]] && is_delivered "$id" && continue
    if [[ -n $dry_run ]]; then
        echo "$id"
    else
        as_bbb ruby "$deliver" -m "$id" </dev/null 9<&- || failed=1
    fi
done < <(published_ids)
exit "$failed"
