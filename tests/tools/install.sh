#!/bin/sh
# install.sh: brings what `make` needs on a Debian machine: a compiler, busybox, and a virtual environment with the
# Python tools. What is there is left alone, so a second run takes a moment. Usage: install.sh VENV
set -eu
venv=$1
here=$(cd "$(dirname "$0")" && pwd)

# package, and a file that shows it is there
wanted() {
    cat <<LIST
gcc /usr/bin/gcc
libc6-dev /usr/include/stdio.h
musl-tools /usr/bin/musl-gcc
linux-libc-dev /usr/include/linux/mount.h
make /usr/bin/make
busybox-static /bin/busybox
libseccomp2 /usr/lib/$(uname -m)-linux-gnu/libseccomp.so.2
iproute2 /bin/ip
strace /usr/bin/strace
uidmap /usr/bin/newuidmap
runc /usr/sbin/runc
crun /usr/bin/crun
clang /usr/bin/clang
clang-tools /usr/bin/scan-build
llvm /usr/bin/llvm-cov
libclang-rt-14-dev /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.asan-x86_64.a
valgrind /usr/bin/valgrind
LIST
}

missing=$(wanted | while read -r package file; do [ -e "$file" ] || printf '%s ' "$package"; done)
python=${PYTHON:-python3}
if ! "$python" -c 'import ensurepip' 2>/dev/null; then missing="$missing python3-venv"; fi
if ! "$python" -c 'import os, sysconfig; raise SystemExit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; then
    missing="$missing python3-dev"
fi
if [ -n "$missing" ]; then
    echo "installing: $missing" >&2
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "these packages are needed and this is not root on Debian; install them and run make again" >&2
        exit 1
    fi
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

if ! cmp -s "$here/requirements.txt" "$venv/.requirements"; then
    "$python" -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/.requirements"
fi
