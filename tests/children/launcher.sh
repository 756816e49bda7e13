#!/bin/sh
# Starts an application as launchers do: `launcher.sh WAY PROGRAM [ARGUMENT ...]`. The pid is never the application's.
way=$1
shift
case $way in
child) "$@" ;; # and waits for it
background)
    "$@" &
    wait $!
    ;;
session) setsid --wait "$@" ;;
bare) setsid --wait env -u CHILDMINDER_SESSION -u CHILDMINDER_ENGINE "$@" ;;
orphan) # started by one that is gone at once
    (setsid sh -c '"$@"; echo $? > "$0"' "$CODE" "$@" &)
    while [ ! -s "$CODE" ]; do sleep 0.05; done
    exit "$(cat "$CODE")"
    ;;
esac
code=$?
exit $code
