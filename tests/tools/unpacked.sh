# unpacked.sh: for scripts that bring programs of a newer Debian, unpacked and not installed, with the libraries they were
# built with. To be sourced.

# can_fetch WITHOUT: whether packages can be had here; says who asks, and what there will be without
can_fetch() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && return
    echo "$(basename "$0"): needs root on Debian; $1" >&2
    return 1
}

# fetch DIRECTORY PACKAGE SUITE...: unpacks a package of the first suite and all it depends on, of any, to DIRECTORY/new
fetch() (
    directory=$1 package=$2
    shift 2
    rm -rf "$directory"
    mkdir -p "$directory/apt/lists/partial" "$directory/apt/archives/partial" "$directory/new"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' 'Created-By: Packages' | sort -u | head -n 1)
    [ -n "$mirror" ] || return 1
    suite=$1
    for one in "$@"; do echo "deb $mirror $one main"; done >"$directory/apt/list"
    set -- -qq -o "Dir::Etc::SourceList=$directory/apt/list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$directory/apt/lists" -o "Dir::Cache::Archives=$directory/apt/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::State::status=/dev/null \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
        -o Acquire::Check-Valid-Until=false -o Debug::NoLocking=true
    timeout 60 apt-get "$@" update || return 1
    timeout 120 apt-get "$@" -y --no-install-recommends --download-only -t "$suite" install "$package" >/dev/null || return 1
    for deb in "$directory"/apt/archives/*.deb; do dpkg -x "$deb" "$directory/new" || return 1; done
    rm -rf "$directory/apt"
)

# The directory of a tree's C library, and its loader
libraries() { dirname "$(find "$1/new/usr/lib" -name libc.so.6)"; }
loader() { find "$(libraries "$1")" -name 'ld-linux*.so.*' | head -n 1; }
