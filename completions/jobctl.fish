# fish completion for jobctl; made by `jobctl completion fish`
function __jobctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    _JOBCTL_COMPLETE=fish $program $words[2..-1] 2>/dev/null
end
complete -c jobctl -f -a '(__jobctl_complete)'
complete -c jobctl -l project -r -f -a '(__fish_complete_directories)'
