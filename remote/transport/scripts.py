"""What a device's shell does for us (POSIX sh with the usual tools of a Linux): each a script that takes words."""

BEAT_S = 20
SILENCE_S = 70  # without a beat for so long, a link counts as lost, here and there

# $1: a link's number, or one of its commands', $2: for how many rounds of 0.2 s SIGTERM will do, $3: how many rounds must
# find nothing before all have ended, for a command may just have been starting.
_END = r"""
find_all() { grep -lzE "^GAITPRESS_RUN=$1(\.|$)" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3; }
end_all() {
  rounds=0 quiet=0
  while [ "$quiet" -lt "$3" ] && [ "$rounds" -lt 100 ]; do
    children=$(find_all "$1")
    if [ -z "$children" ]; then quiet=$((quiet + 1)); else quiet=0; fi
    if [ "$rounds" -lt "$2" ]; then signal=TERM; else signal=KILL; fi
    for process in $children; do kill -s "$signal" "$process" 2>/dev/null; done
    rounds=$((rounds + 1))
    sleep 0.2
  done
}
"""

# $1: the link's number. Says where our folder is, removes what is old and no other link's (dates alone do not tell: a board
# without a clock of its own sets it while it works), answers each beat, and ends what runs over the link when it has broken.
# The word "end" says that nothing does, so that nothing is looked for while the next one measures.
GUARD = (
    _END
    + rf"""
case ${{XDG_CACHE_HOME:-}} in /*) home=$XDG_CACHE_HOME/gaitpress ;; *) home=$HOME/.cache/gaitpress ;; esac
umask 077
room() {{ (df "$1" "$home" 2>/dev/null || df "$1" "$HOME") | awk 'NR == 2 {{print $4}}'; }}
if ! mkdir -p "$home/files" "$home/run/$1"; then
  echo "its disk has $(room -Pk) KB and $(room -Pi) inodes free" >&2
  exit 1
fi
others=
for run in "$home/run"/*; do
  if [ "${{run##*/}}" = "$1" ]; then continue; fi
  if printf '%s\n' "${{run##*/}}" | grep -qzxFf - /proc/[0-9]*/cmdline 2>/dev/null; then
    others=yes
  else
    find "$run" -prune -mtime +2 -exec rm -rf {{}} + 2>/dev/null
  fi
done
[ -n "$others" ] || find "$home/files" -type f -mtime +30 -exec rm -f {{}} + 2>/dev/null
printf '%s\n' "$home"
trap '' HUP PIPE
while beat=$(timeout {SILENCE_S} sh -c 'IFS= read -r beat && printf "%s" "$beat"'); do
  if [ "$beat" = end ]; then rm -rf "$home/run/$1"; exit; fi
  echo
done
end_all "$1" 50 20
rm -rf "$home/run/$1"
"""
)

# The same for commands of this machine, whose files are nobody's.
LOCAL_GUARD = (
    _END
    + """
read -r word
[ "$word" = end ] || end_all "$1" 50 20
"""
)

# $1: the number of a command.
KILL = _END + 'end_all "$1" 0 1\n'

# $1: where to, $2: the content's SHA-256, $3: its bytes, $4: how its unfinished part is called. Says "there", or from which
# byte on it takes the content.
RECEIVE = r"""
there() { [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -c1-64)" = "$2" ]; }
umask 077
if there "$1" "$2"; then touch -c -- "$1"; echo there; exit 0; fi
mkdir -p -- "$(dirname -- "$1")" && exec 9>>"$4" || exit 1
flock 9
if there "$1" "$2"; then echo there; exit 0; fi
if [ "$(wc -c <"$4")" -gt "$3" ]; then : >"$4"; fi
echo "from $(wc -c <"$4")"
cat >>"$4"
status=$?
if [ "$status" -gt 128 ] && [ "$status" -ne 153 ]; then exit 75; fi
if [ "$status" -ne 0 ]; then rm -f -- "$4"; exit 1; fi
if [ "$(wc -c <"$4")" -lt "$3" ]; then exit 75; fi
if ! there "$4" "$2"; then rm -f -- "$4"; echo 'the content did not arrive as it was sent' >&2; exit 75; fi
mv -f -- "$4" "$1" && echo there
"""

# $1: the file, $2: from which byte on, $3: where it stays, named by its SHA-256, if anywhere. Says its SHA-256 and bytes
# first.
GIVE = r"""
[ -f "$1" ] || { echo 'no such file' >&2; exit 1; }
digest=$(sha256sum <"$1" | cut -c1-64)
if [ -n "$3" ]; then ln -f -- "$1" "$3/$digest" 2>/dev/null; fi
printf '%s %s\n' "$digest" "$(wc -c <"$1")"
tail -c "+$(($2 + 1))" -- "$1"
"""
