# Shell integration of rds-token. In ~/.zshrc:
#
#     eval "$(rds-token init zsh)"

# Runs the engine's client, or a command, logged in. If it fails at once, names the command that finds the cause.
function rds {
    local code=0 start=$SECONDS target=TARGET
    command rds-token connect "$@" || code=$?
    # Higher codes are signals, or a program that was not found.
    if [[ $# -gt 0 && $code -gt 0 && $code -lt 126 && $((SECONDS - start)) -lt 10 ]]; then
        case $1 in
            (-*|*[^A-Za-z0-9@:/._-]*) ;;
            (*) target=$1 ;;
        esac
        printf "rds-token: run 'rds-token doctor %s' to find the cause\n" "$target" >&2
    fi
    return $code
}

# Sets a target's variables in this shell. --unset restores the values that they had before.
function rds-env {
    # Do not change options here: eval must set variables in the shell, not in the function.
    local lines
    lines=$(RDS_TOKEN_SAVED=${RDS_TOKEN_SAVED-} command rds-token env --shell zsh "$@") || return
    case $lines in
        ('export '*|'unset '*) eval "$lines" ;;
        (*) printf '%s\n' "$lines" ;; # --help
    esac
}

# Prints the remaining lifetime of the token in whole minutes, for a prompt. Prints nothing if no token is loaded.
function rds-ttl {
    emulate -L zsh -o extended_glob
    local at=${RDS_TOKEN_EXPIRES_AT-}
    [[ $at == [0-9](#c4)-[0-9](#c2)-[0-9](#c2)T[0-9](#c2):[0-9](#c2):[0-9](#c2)Z ]] || return 0
    # The year starts in March here, so that a leap day is the last day of a year.
    local -i now=${(%):-"%D{%s}"} year=10#${at[1,4]} month=10#${at[6,7]} left
    (( month > 2 )) || (( year -= 1, month += 12 ))
    (( left = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month - 457) / 5 + 10#${at[9,10]} - 719469 ))
    (( left = left * 86400 + 10#${at[12,13]} * 3600 + 10#${at[15,16]} * 60 + 10#${at[18,19]} - now ))
    (( left <= 0 )) || print -r -- $(( left / 60 ))
}
