# shellcheck shell=bash
# Shell integration of rds-token. In ~/.bashrc:
#
#     eval "$(rds-token init bash)"

# Runs the engine's client, or a command, logged in.
function rds {
    command rds-token connect "$@"
}

# Sets a target's variables in this shell. --unset restores the values that they had before.
function rds-env {
    local lines
    lines=$(RDS_TOKEN_SAVED=${RDS_TOKEN_SAVED-} command rds-token env --shell bash "$@") || return
    case $lines in
        'export '* | 'unset '*) eval "$lines" ;;
        *) printf '%s\n' "$lines" ;; # --help
    esac
}

# Prints the remaining lifetime of the token in whole minutes, for a prompt. Prints nothing if no token is loaded.
function rds-ttl {
    local at=${RDS_TOKEN_EXPIRES_AT-} digits='[0-9][0-9]' form now year month left
    form="$digits$digits-$digits-${digits}T$digits:$digits:${digits}Z"
    # shellcheck disable=SC2053 # a pattern
    [[ $at == $form ]] || return 0
    # bash before 4.2 can't tell the time.
    printf -v now '%(%s)T' -1 2>/dev/null || now=$(date +%s)
    # Counted from March, so that the day that leap years add is the last one.
    year=$((10#${at:0:4})) month=$((10#${at:5:2}))
    [[ $month -gt 2 ]] || year=$((year - 1)) month=$((month + 12))
    left=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * month - 457) / 5 + 10#${at:8:2} - 719469))
    left=$((left * 86400 + 10#${at:11:2} * 3600 + 10#${at:14:2} * 60 + 10#${at:17:2} - now))
    [[ $left -le 0 ]] || printf '%s\n' "$((left / 60))"
}

# Completes rds-token, rds and rds-env. The completions of rds-token are loaded on the first TAB.
function _rds_token_complete {
    local first=(rds-token) words word
    COMPREPLY=()
    if ! declare -F _rds__token >/dev/null; then
        eval "$(command rds-token completions bash 2>/dev/null)"
        complete -o bashdefault -o default -F _rds_token_complete rds-token
        declare -F _rds__token >/dev/null || return 0
    fi
    case $1 in
        rds) first+=(connect) ;;
        rds-env) first+=(env) ;;
    esac
    words=("${first[@]}" "${COMP_WORDS[@]:1}")
    local COMP_CWORD=$((COMP_CWORD + ${#first[@]} - 1)) COMP_WORDS
    COMP_WORDS=("${words[@]}")
    # After --: a command, then its arguments, which bash completes as files.
    for word in "${words[@]:0:COMP_CWORD}"; do
        [[ $word == -- ]] || continue
        if [[ ${words[COMP_CWORD - 1]} == -- ]]; then
            while IFS= read -r word; do
                COMPREPLY+=("$word")
            done < <(compgen -c -- "$2")
        fi
        return 0
    done
    _rds__token rds-token "$2" "$3"
}

complete -o bashdefault -o default -F _rds_token_complete rds-token rds rds-env
