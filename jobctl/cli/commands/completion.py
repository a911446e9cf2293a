"""``jobctl completion SHELL``: prints the script that ``completions/`` holds too."""

from typing import Annotated, Literal

import typer

from jobctl.cli.context import Context


def run(
    context: Context,
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")
    ],
) -> int:
    """Print the completion script for a shell.

    Examples:
        jobctl completion bash > ~/.local/share/bash-completion/completions/jobctl
        jobctl completion zsh > "${fpath[1]}/_jobctl"
        jobctl completion fish > ~/.config/fish/completions/jobctl.fish
    """
    if context.output.json:
        context.output.document({"shell": shell, "script": SCRIPTS[shell]})
    else:
        context.output.raw(SCRIPTS[shell])
    return 0


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
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
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
    [[ -n ${found[1]} ]] || return
    if [[ ${found[1]%%:*} == *= ]]; then
        _describe 'jobctl' found -S ''
    else
        _describe 'jobctl' found
    fi
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
