"""The completion scripts for bash, zsh and fish. Each asks jobctl itself, by ``_JOBCTL_COMPLETE``.

A shell hands them the words as they were typed: a ``~/`` in front of the program is theirs to expand. What
jobctl answers is data for the shell: no pattern in it is expanded, and nothing of it is executed.
"""

_BASH = r"""# bash completion for jobctl; made by `jobctl completion bash`
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
}
complete -F _jobctl jobctl
"""

_ZSH = r"""#compdef jobctl
# zsh completion for jobctl; made by `jobctl completion zsh`
_jobctl() {
    if [[ ${words[CURRENT-1]} == --project ]]; then
        _files -/
        return
    fi
    local -a found
    local program="${words[1]/#\~\//$HOME/}"
    found=("${(@f)$(_JOBCTL_COMPLETE=zsh "$program" "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    [[ -n ${found[1]} ]] && _describe 'jobctl' found
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _jobctl "$@"
else
    compdef _jobctl jobctl
fi
"""

_FISH = r"""# fish completion for jobctl; made by `jobctl completion fish`
function __jobctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    _JOBCTL_COMPLETE=fish $program $words[2..-1] 2>/dev/null
end
complete -c jobctl -f -a '(__jobctl_complete)'
complete -c jobctl -l project -r -f -a '(__fish_complete_directories)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
