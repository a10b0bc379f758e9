#!/bin/sh
# criu.sh: brings a CRIU for tests, unpacked and not installed: Debian 12's own (3.17) does not know newer kernels. It
# comes with the libraries it was built with, from unstable, or else from the newest release. Where none can be had,
# nothing is brought and the tests that need it say so. Usage: criu.sh DIRECTORY (the program is DIRECTORY/criu)
set -eu
directory=$1
[ ! -e "$directory/criu" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "criu.sh: needs root on Debian; tests of checkpoint and restore will skip" >&2
    exit 0
fi

# fetch SUITE: unpacks CRIU and all it depends on to $directory/new
fetch() {
    rm -rf "$directory"
    mkdir -p "$directory/apt/lists/partial" "$directory/apt/archives/partial" "$directory/new"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' 'Created-By: Packages' | sort -u | head -n 1)
    [ -n "$mirror" ] || return 1
    echo "deb $mirror $1 main" >"$directory/apt/list"
    set -- -qq -o "Dir::Etc::SourceList=$directory/apt/list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$directory/apt/lists" -o "Dir::Cache::Archives=$directory/apt/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::State::status=/dev/null \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Debug::NoLocking=true
    timeout 60 apt-get "$@" update || return 1
    timeout 60 apt-get "$@" -y --no-install-recommends --download-only install criu >/dev/null || return 1
    for deb in "$directory"/apt/archives/*.deb; do dpkg -x "$deb" "$directory/new" || return 1; done
    rm -rf "$directory/apt"
}

# The program is started by its own loader; it starts no copy of itself, so that is enough
finish() {
    libraries=$(dirname "$(find "$directory/new/usr/lib" -name libc.so.6)")
    loader=$(find "$libraries" -name 'ld-linux*.so.*' | head -n 1)
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
    if fetch "$suite" && finish; then exit 0; fi
    echo "criu.sh: no CRIU from $suite" >&2
done
rm -rf "$directory"
echo "criu.sh: no CRIU; tests of checkpoint and restore will skip" >&2
