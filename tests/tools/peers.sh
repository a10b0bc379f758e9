#!/bin/sh
# peers.sh: brings the newest runc and crun that Debian's packages give, unpacked and not installed, beside those of this
# release: to be compared with (make bench, docs/conformance.md). Usage: peers.sh DIRECTORY (DIRECTORY/bin/runc-VERSION, …)
set -eu
directory=$1
. "$(dirname "$0")/unpacked.sh"
[ ! -e "$directory/bin" ] || exit 0
can_fetch "the newest runc and crun will be missing" || exit 0
command -v patchelf >/dev/null || apt-get install -y -qq --no-install-recommends patchelf >/dev/null
rm -rf "$directory"
mkdir -p "$directory/made"
directory=$(cd "$directory" && pwd)

# bring PROGRAM SUITE...: runtimes start copies of themselves, so the loader and the libraries are written into the program
bring() {
    name=$1
    shift
    tree=$directory/$name-$1
    fetch "$tree" "$name" "$@" || return 1
    program=$(find "$tree/new" -path "*bin/$name" -type f | head -n 1)
    [ -n "$program" ] || return 1
    patchelf --set-interpreter "$(loader "$tree")" --force-rpath --set-rpath "$(libraries "$tree")" "$program" || return 1
    version=$("$program" --version | sed -n 's/^[a-z]* version \([0-9.]*[0-9]\).*/\1/p')
    ln -sf "$program" "$directory/made/$name-$version"
}

for name in runc crun; do
    bring "$name" experimental sid || bring "$name" sid || echo "peers.sh: no newer $name" >&2
done
bring runc sid || true
mv "$directory/made" "$directory/bin"
ls "$directory/bin" >&2
