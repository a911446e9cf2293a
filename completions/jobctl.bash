# bash completion for jobctl; made by `jobctl completion bash`
_jobctl() {
    local previous="${COMP_WORDS[COMP_CWORD - 1]}"
    if [[ $previous == --project ]]; then
        compopt -o dirnames
        COMPREPLY=()
        return
    fi
    local program="${COMP_WORDS[0]/#\~\//$HOME/}"
    IFS=$'\n' read -r -d '' -a COMPREPLY \
        < <(_JOBCTL_COMPLETE=bash "$program" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -F _jobctl jobctl
