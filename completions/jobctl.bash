# bash completion for jobctl; made by `jobctl completion bash`
_jobctl() {
    local IFS=$'\n' previous="${COMP_WORDS[COMP_CWORD - 1]}"
    if [[ $previous == --project ]]; then
        compopt -o dirnames
        COMPREPLY=()
        return
    fi
    COMPREPLY=($(_JOBCTL_COMPLETE=bash "${COMP_WORDS[0]}" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -F _jobctl jobctl
