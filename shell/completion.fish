# Completion for rds-token, and for rds and rds-env of `rds-token init fish`.

function __rds_token_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l first
    switch $words[1]
        case rds
            set first connect
        case rds-env
            set first env
    end
    set -e words[1]
    set -l index (math 1 + (count $first $words))
    set -l lines (RDS_TOKEN_COMPLETE=$index command rds-token $first $words "$current" 2>/dev/null)
    or return
    switch "$lines[1]"
        case values
            set -e lines[1]
            string join -- \n $lines
        case files
            set -l flag (string match -r -- '^--[^=]*=' "$current")
            string replace -r -- '^' "$flag" (__fish_complete_path (string replace -- "$flag" '' "$current"))
        case 'command *'
            # The number of words before the program. The index also counts rds-token and $first.
            set -l before (math (string replace 'command ' '' $lines[1]) - 1 - (count $first))
            test $before -gt 0
            and set -e words[1..$before]
            complete -C (string join -- ' ' (string escape -- $words) (commandline -ct))
    end
end

complete -c rds-token -c rds -c rds-env -f -a '(__rds_token_complete)'
