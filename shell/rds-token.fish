# Shell integration of rds-token. In ~/.config/fish/config.fish:
#
#     rds-token init fish | source

function rds --description "Run the engine's client, or a command, logged in"
    set -l start (command date +%s)
    command rds-token connect $argv
    set -l code $status
    # Higher codes are signals, or a program that was not found.
    if set -q argv[1]; and test $code -gt 0 -a $code -lt 126; and test (math (command date +%s) - $start) -lt 10
        set -l target TARGET
        string match -qr '^[A-Za-z0-9@:/._][A-Za-z0-9@:/._-]*$' -- $argv[1]
        and set target $argv[1]
        printf "rds-token: run 'rds-token doctor %s' to find the cause\n" $target >&2
    end
    return $code
end

function rds-env --description "Set a target's variables in this shell, or restore them (--unset)"
    set -l lines (RDS_TOKEN_SAVED="$RDS_TOKEN_SAVED" command rds-token env --shell fish $argv)
    or return
    if string match -q 'set *' -- $lines[1]
        eval $lines
    else
        # --help
        printf '%s\n' $lines
    end
end

function rds-ttl --description 'Print the remaining lifetime of the token in whole minutes, for a prompt'
    set -q RDS_TOKEN_EXPIRES_AT
    or return 0
    set -l at (string match -r '^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$' -- $RDS_TOKEN_EXPIRES_AT)
    or return 0
    # The year starts in March here, so that a leap day is the last day of a year.
    set -l year $at[2]
    set -l month $at[3]
    if test $month -le 2
        set year (math $year - 1)
        set month (math $month + 12)
    end
    set -l days (math "365 * $year + floor($year / 4) - floor($year / 100) + floor($year / 400) + floor((153 * $month - 457) / 5) + $at[4] - 719469")
    set -l left (math "$days * 86400 + $at[5] * 3600 + $at[6] * 60 + $at[7] - "(command date +%s))
    test $left -le 0
    or math "floor($left / 60)"
    return 0
end
