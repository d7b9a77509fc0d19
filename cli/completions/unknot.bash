# bash completion for unknot
_unknot() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command="" i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        # What follows "--" is the command that is started, or looked at.
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            if ((i + 1 == COMP_CWORD)); then
                mapfile -t COMPREPLY < <(compgen -c -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi
            return
        fi
        [[ -z $command && ${COMP_WORDS[i]} != -* ]] && command=${COMP_WORDS[i]}
    done
    case $before in
        --allocator) mapfile -t COMPREPLY < <(compgen -W "tcmalloc tcmalloc_minimal mimalloc jemalloc" -f -- "$word"); return ;;
        --mode) mapfile -t COMPREPLY < <(compgen -W "auto protect walks observe off" -- "$word"); return ;;
        --format) mapfile -t COMPREPLY < <(compgen -W "text json openmetrics" -- "$word"); return ;;
        --library | --report | --core | --exe | --sysroot | --textfile) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --only) mapfile -t COMPREPLY < <(compgen -W "deadlocked at-risk unknown protected not-affected" -- "$word"); return ;;
        --watch | --count | --interval | --listen | --program | --rescue-interval) return ;;
    esac
    local options=""
    case $command in
        "") options="run doctor stat check rescue immunise watch help version --help --version" ;;
        run) options="--allocator --mode --stats --library --dry-run --json --help --" ;;
        doctor) options="--all --only --core --exe --sysroot --json --report --help --" ;;
        check) options="--library --json --help" ;;
        stat) options="--all --watch --count --format --json --help" ;;
        rescue) options="--dry-run --help" ;;
        watch) options="--listen --textfile --json --interval --count --per-process --report --program --rescue --rescue-interval --help" ;;
        immunise | immunize) options="--undo --dry-run --help" ;;
    esac
    if [[ $word != -* && $command =~ ^(doctor|stat|rescue|immuni[sz]e)$ ]]; then
        local pids=(/proc/[0-9]*)
        options="${pids[*]#/proc/}"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _unknot unknot
