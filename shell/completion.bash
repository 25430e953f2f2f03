# shellcheck shell=bash
# Completion for rds-token, and for rds and rds-env of `rds-token init bash`.

function _rds_token_complete {
    local line=${COMP_LINE:0:COMP_POINT} blank word words=() first=() answer value values=()
    COMPREPLY=()
    # bash splits words at : = and @. Join the parts that no blank separates.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        blank=${line%%[![:blank:]]*}
        line=${line#"$blank"}
        if [[ -n $blank || ${#words[@]} -eq 0 ]]; then
            words+=('')
        fi
        # The last word ends at the cursor.
        case $line in
            "$word"*) ;;
            *) word=$line ;;
        esac
        words[${#words[@]}-1]+=$word
        line=${line#"$word"}
    done
    case ${words[0]-} in
        rds) first=(rds-token connect) ;;
        rds-env) first=(rds-token env) ;;
        *) first=(rds-token) ;;
    esac
    words=("${first[@]}" "${words[@]:1}")
    local index=$((${#words[@]} - 1)) current=${words[${#words[@]}-1]}
    answer=$(RDS_TOKEN_COMPLETE=$index command rds-token "${words[@]:1}" 2>/dev/null) || return 0
    case $answer in
        values*)
            # Only the part after the last split is replaced.
            local prefix=${current%"$2"}
            while IFS=$'\t' read -r value _; do
                value=${value#"$prefix"}
                # bash inserts a candidate as it is, and would expand the characters in it.
                [[ $current == [\"\']* ]] || printf -v value %q "$value"
                values+=("$value")
            done <<<"${answer#values}"
            COMPREPLY=("${values[@]:1}")
            ;;
        "command $index")
            while IFS= read -r value; do
                values+=("$value")
            done < <(compgen -c -- "$2")
            COMPREPLY=(${values[@]+"${values[@]}"})
            ;;
        command* | files*)
            # bash before 4.0 has no compopt.
            if ! compopt -o default -o bashdefault 2>/dev/null; then
                while IFS= read -r value; do
                    values+=("$value")
                done < <(compgen -f -- "$2")
                COMPREPLY=(${values[@]+"${values[@]}"})
            fi
            ;;
    esac
}

complete -F _rds_token_complete rds-token rds rds-env
