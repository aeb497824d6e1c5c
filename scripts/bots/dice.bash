#!/usr/bin/env bash
# Rolls dice for a room: whoever says "!roll 2d6+1" there, or to the bot in private, is answered in the same place.
# It needs nothing but bash, and connects again when it is cut off. Run it as:  dice.bash HOST PORT ROOM [NICK]
# (CHINWAG_PASSWORD has the server's password, if it wants one; CHINWAG_TOKEN a token of NICK, if somebody owns that)
(($# >= 3)) || { echo "usage: ${0##*/} HOST PORT ROOM [NICK]" >&2; exit 2; }
host=$1 port=$2 room=$3 nick=${4:-dice}

# Sends a command. Each is answered by one line with + or !, in order, so a list of those still open tells which.
ask() { asked+=("$1") && printf '%s\n' "$1"; }

# What became of the oldest command still open: $1 is + or !, $2 the rest of the line.
replied() {
    local command=${asked[0]}
    asked=("${asked[@]:1}")
    case $1$2 in
        '!nick taken'*) ((++tries > 9)) || ask "/nick $nick$tries" ;; # and after nine it stays a guest
        '!join'* | '!pass'* | '!login refused'* | '!login insecure'*) echo "$2" >&2 && exit 1 ;;
        '!'*) echo "${command%% *}: $2" >&2 ;;
    esac
}

# Rolls what $2 asks for, for $1.
roll() {
    if [[ ! ${2:-1d6} =~ ^([1-9]|1[0-9]|20)?d([1-9][0-9]{0,2})([+-][1-9][0-9]{0,2})?$ ]]; then
        echo "$1: say !roll 2d6, !roll d20 or !roll 3d8+2; at most 20 dice of 999 sides" && return
    fi
    local dice=${BASH_REMATCH[1]:-1} sides=${BASH_REMATCH[2]} bonus=${BASH_REMATCH[3]} total shown=() i
    for ((i = 0, total = bonus; i < dice; i++)); do
        shown[i]=$((${SRANDOM:-$RANDOM} % sides + 1))
        ((total += shown[i]))
    done
    echo "$1 rolls ${2:-1d6}: ${shown[*]}${bonus:+ ($bonus)} = $total"
}

# Talks to the server from the greeting to the end: its lines come from standard input, ours go to standard output.
talk() {
    local asked=() tries=1 first second rest name="/nick $nick"
    [[ ! $CHINWAG_TOKEN ]] || name="/login $nick token:$CHINWAG_TOKEN"
    while IFS=' ' read -r -t 20 first second rest || (($? > 128 && ${#asked[@]} == 0)); do
        case "$first $second" in
            ' ') ask /ping ;; # after a silence: is anybody there?
            '* locked') ask "/pass $CHINWAG_PASSWORD" ;;
            '* hello') ask "$name" && ask '/set presence off' && ask "/join $room" ;;
            '* bye') echo "$rest" >&2 && return ;;
            '+ '* | '! '*) replied "$first" "$second $rest" ;;
            [#@]*' <'*) # The first field, #room or @nick, is also where the answer goes.
                [[ $rest != '!roll'?( *) ]] || ask "/msg $first $(roll "${second:1:-1}" "${rest:6}")" ;;
        esac
    done
}

trap '' PIPE # a connection that has gone shows as the end of input
while :; do
    { talk <&3 >&3; } 3<>"/dev/tcp/$host/$port" # "exit" in it ends the bot, for it is no subshell
    echo "no connection to $host $port any more; trying again" >&2
    sleep 2
done
