#compdef rds-token rds rds-env
# Completion for rds-token, and for rds and rds-env of `rds-token init zsh`.

function _rds-token {
    local -a first lines values
    case ${service:-$words[1]} in
        (rds) first=(connect) ;;
        (rds-env) first=(env) ;;
    esac
    local -i start index=$(( CURRENT - 1 + $#first ))
    lines=("${(@f)$(
        RDS_TOKEN_COMPLETE=$index command rds-token $first "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null
    )}")
    case $lines[1] in
        (values)
            # VALUE:DESCRIPTION
            values=("${(@)lines[2,-1]//:/\\:}")
            values=("${(@)values/$'\t'/:}")
            _describe -t values value values
            ;;
        (files)
            compset -P '--*='
            _files
            ;;
        ('command '*)
            start=$(( ${lines[1]#command } - $#first ))
            shift $start words
            (( CURRENT -= start ))
            _normal
            ;;
    esac
}

# compdef exists only after compinit. Without it, the first prompt registers the completion.
function _rds_token_register {
    if (( ${+functions[compdef]} )); then
        compdef _rds-token rds-token rds rds-env
    fi
    if (( ${+functions[add-zsh-hook]} )); then
        add-zsh-hook -d precmd _rds_token_register
    fi
    unfunction _rds_token_register
}

if [[ ${funcstack-} == _rds-token* ]]; then
    # zsh has autoloaded this file as the completion function.
    unfunction _rds_token_register
    _rds-token "$@"
elif (( ${+functions[compdef]} )); then
    _rds_token_register
elif [[ -o interactive ]]; then
    autoload -Uz add-zsh-hook
    add-zsh-hook precmd _rds_token_register
fi
