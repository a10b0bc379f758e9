#!/bin/sh
# install.sh: brings what `make` needs on a Debian machine of any release and processor: packages, and a virtual
# environment with the Python tools. What is there is left alone, so a second run takes a moment.
# Usage: install.sh VENV building|installing|testing; PYTHON names another Python than python3
set -eu
venv=$1
purpose=$2
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
# Debian's packages are called as the interpreter: python3-dev, python3.13-dev
case $(basename "$python") in python3*) name=$(basename "$python") ;; *) name=python3 ;; esac

# package, and a file that shows it is there
building() {
    cat <<LIST
gcc /usr/bin/gcc
libc6-dev /usr/include/stdio.h
musl-tools /usr/bin/musl-gcc
linux-libc-dev /usr/include/linux/mount.h
make /usr/bin/make
busybox-static /bin/busybox
libseccomp2 /usr/lib/$(uname -m)-linux-gnu/libseccomp.so.2
LIST
}

# What the program takes, of which Debian's Python has packages
installing() {
    building
}

testing() {
    building
    cat <<LIST
git /usr/bin/git
iproute2 /bin/ip
iptables /usr/sbin/iptables
procps /bin/ps
strace /usr/bin/strace
uidmap /usr/bin/newuidmap
runc /usr/sbin/runc
crun /usr/bin/crun
clang /usr/bin/clang
llvm /usr/bin/llvm-cov
valgrind /usr/bin/valgrind
zsh /usr/bin/zsh
man-db /usr/bin/man
LIST
}

install() {
    [ $# != 0 ] || return 0
    echo "installing: $*" >&2
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "these packages are needed and this is not root on Debian; install them (docs/install.md has their names" \
            "elsewhere) and run make again" >&2
        exit 1
    fi
    [ -n "${updated:-}" ] || apt-get update -qq
    updated=yes
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing=$("$purpose" | while read -r package file; do [ -e "$file" ] || printf '%s ' "$package"; done)
if ! "$python" -c 'import ensurepip' 2>/dev/null; then missing="$missing $name-venv"; fi
if ! "$python" -c 'import os, sysconfig; raise SystemExit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
    2>/dev/null; then missing="$missing $name-dev"; fi
# shellcheck disable=SC2086 # a list of words
install $missing

if [ "$purpose" = installing ] && ! "$python" -I -c 'import _cffi_backend, jsonschema' 2>/dev/null; then
    install python3-cffi-backend python3-jsonschema
fi

# Python 3.15's static library names libzstd, and no package brings it along
if "$python" -c 'import sysconfig; raise SystemExit("-lzstd" not in (sysconfig.get_config_var("MODLIBS") or "").split())' &&
    ! "$python" -c 'import glob; raise SystemExit(not glob.glob("/usr/lib/*/libzstd.so"))'; then install libzstd-dev; fi

# What sanitizers need is named after the clang that is there
if [ "$purpose" = testing ]; then
    runtime=$(clang -print-file-name="libclang_rt.asan-$(uname -m).a")
    [ -e "$runtime" ] || install "libclang-rt-$(clang -dumpversion | cut -d . -f 1)-dev"
fi

# A building's environment is the first part of a testing's
wanted=$here/requirements.txt
if [ "$purpose" != testing ] && ! cmp -s "$wanted" "$venv/.requirements"; then
    wanted=$(mktemp)
    trap 'rm -f "$wanted"' EXIT
    sed '/^# testing/,$d' "$here/requirements.txt" >"$wanted"
fi
if ! cmp -s "$wanted" "$venv/.requirements"; then
    "$python" -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/.requirements"
fi
