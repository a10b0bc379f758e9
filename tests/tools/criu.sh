#!/bin/sh
# criu.sh: brings a CRIU for tests, unpacked and not installed: Debian 12's own (3.17) does not know newer kernels. It
# comes from unstable, or else from the newest release. Where none can be had, nothing is brought and the tests that need
# it say so. Usage: criu.sh DIRECTORY (the program is DIRECTORY/criu)
set -eu
directory=$1
. "$(dirname "$0")/unpacked.sh"
[ ! -e "$directory/criu" ] || exit 0
can_fetch "tests of checkpoint and restore will skip" || exit 0

# The program is started by its own loader; it starts no copy of itself, so that is enough
finish() {
    libraries=$(libraries "$directory")
    loader=$(loader "$directory")
    [ -x "$loader" ] || return 1
    cat >"$directory/start" <<START
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")/new
exec "\$here/${loader#$directory/new/}" --library-path "\$here/${libraries#$directory/new/}" "\$here/usr/sbin/criu" "\$@"
START
    chmod 755 "$directory/start"
    "$directory/start" --version >/dev/null || return 1
    mv "$directory/start" "$directory/criu"
}

mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
for suite in sid trixie; do
    if fetch "$directory" criu "$suite" && finish; then exit 0; fi
    echo "criu.sh: no CRIU from $suite" >&2
done
rm -rf "$directory"
echo "criu.sh: no CRIU; tests of checkpoint and restore will skip" >&2
