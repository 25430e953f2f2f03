# shellcheck shell=bash
# Shell integration of rds-token. In ~/.bashrc:
#
#     eval "$(rds-token init bash)"

# Runs the engine's client, or a command, logged in. If it fails at once, names the command that finds the cause.
function rds {
    local code=0 start=$SECONDS target=TARGET
    command rds-token connect "$@" || code=$?
    # Higher codes are signals, or a program that was not found.
    if [[ $# -gt 0 && $code -gt 0 && $code -lt 126 && $((SECONDS - start)) -lt 10 ]]; then
        case $1 in
            -* | *[!A-Za-z0-9@:/._-]*) ;;
            *) target=$1 ;;
        esac
        printf "rds-token: run 'rds-token doctor %s' to find the cause\n" "$target" >&2
    fi
    return $code
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
    # bash before 4.2 can't format times.
    printf -v now '%(%s)T' -1 2>/dev/null || now=$(date +%s)
    # The year starts in March here, so that a leap day is the last day of a year.
    year=$((10#${at:0:4})) month=$((10#${at:5:2}))
    [[ $month -gt 2 ]] || year=$((year - 1)) month=$((month + 12))
    left=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * month - 457) / 5 + 10#${at:8:2} - 719469))
    left=$((left * 86400 + 10#${at:11:2} * 3600 + 10#${at:14:2} * 60 + 10#${at:17:2} - now))
    [[ $left -le 0 ]] || printf '%s\n' "$((left / 60))"
}
