#!/bin/sh
# Back up, export, tidy up, import: the memories of Memory Service in one run (see docs/chromadb-scripts.md).

usage() {
    cat <<'END'
Back up the Chroma folder of Memory Service, export it, let you tidy the export up in the window, and bring it back
when the window is closed. Stops where a step fails, with that step's exit code.

usage: scripts/chromadb_workflow.sh [OPTION]...

--chroma-path FOLDER  the Chroma folder; default: CHROMA_PATH, else Memory Service's
--output FILE         the export; default: memory_export.db
--collection NAME     default: memory_collection, or the only one
--no-window           tidy up here in the terminal, by questions
--auto                open no window, ask nothing, and merge what surely says the same
--no-model            with --no-window or --auto: compare without a language model
-h, --help            show this

Where an older Chroma made the folder, it is asked first who is to write it; without a terminal, it ends there with 25.
All other options go to the import (see scripts/import_to_chromadb.py --help): --dry-run, --no-backup, --mirror,
--chroma-python PATH and so on. Stop Memory Service first, and start it again afterwards.
END
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit
python=${PYTHON:-python3}
[ -n "${PYTHON:-}" ] || [ ! -x "$here/../.venv/bin/python" ] || python=$here/../.venv/bin/python

fail() {
    printf '%s\n' "$2" >&2
    exit "$1"
}

# As it was typed, for a shell to read.
typed=''
for word in "$0" "$@"; do
    case $word in
        '' | *[!A-Za-z0-9_./:=,+-]*) word="'$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'" ;;
    esac
    typed="${typed:+$typed }$word"
done

# The options of this script are taken out; what is left in "$@" goes to the import.
chroma=${CHROMA_PATH:-} output=memory_export.db collection='' way=window model=''
left=$#
while [ "$left" -gt 0 ]; do
    option=$1
    shift
    left=$((left - 1))
    case $option in
        --chroma-path | --output | --collection)
            [ "$left" -gt 0 ] || fail 2 "$option needs a value."
            value=$1
            shift
            left=$((left - 1))
            ;;
        --chroma-path=* | --output=* | --collection=*) value=${option#*=} ;;
    esac
    case $option in
        -h | --help) usage && exit 0 ;;
        --chroma-path | --chroma-path=*) chroma=$value ;;
        --output | --output=*) output=$value ;;
        --collection | --collection=*) collection=$value ;;
        --no-window) [ "$way" = auto ] || way=terminal ;;
        --auto | --auto=sure) way=auto ;;
        --no-model) model=--no-model ;;
        *) set -- "$@" "$option" ;;
    esac
done

display=${DISPLAY:-}${WAYLAND_DISPLAY:-}${QT_QPA_PLATFORM:-}
if [ "$way" = window ] && [ -z "$display" ] && [ "$(uname)" != Darwin ]; then
    [ -t 0 ] && [ -t 2 ] || fail 41 "There is no display here for the window, and nobody to ask. Nothing was done.
Say --auto to merge what surely says the same (as memdefrag optimize $output --auto sure does)."
    printf '%s\n' "There is no display here for the window: memdefrag optimize asks in the terminal instead."
    way=terminal
fi

step() {
    printf '\n== %s\n' "$1"
    name=$1
    shift
    "$@"
    code=$?
    [ "$code" -eq 0 ] || fail "$code" "$name ended with exit code $code: stopped here. Nothing after it was done."
}

run() {
    script=$1
    shift
    "$python" "$here/$script" "$@"
}

# A folder of an older Chroma is written by its own version: who that is is asked now, not after all the work.
writer=$(run import_to_chromadb.py "$output" ${chroma:+--chroma-path "$chroma"} --settle-for "$typed" "$@")
code=$?
[ "$code" -eq 0 ] || { printf '%s' "$writer" && exit "$code"; }
[ -z "$writer" ] || set -- "$@" "$writer"

step "1 of 4: backup" run backup_memories.py ${chroma:+--chroma-path "$chroma"}
step "2 of 4: export to $output" run export_chromadb.py ${chroma:+--chroma-path "$chroma"} --output "$output" \
    ${collection:+--collection "$collection"}
case $way in
    window) step "3 of 4: tidy up; this goes on when you close the window" run _run.py open "$output" ;;
    terminal) step "3 of 4: tidy up" run _run.py optimize "$output" $model ;;
    auto) step "3 of 4: merge what surely says the same" run _run.py optimize "$output" --auto sure $model ;;
esac
step "4 of 4: import" run import_to_chromadb.py "$output" ${chroma:+--chroma-path "$chroma"} \
    ${collection:+--collection "$collection"} "$@"
printf '\n%s\n' "Done. Start Memory Service again; to go back: memdefrag history, memdefrag undo."
