#!/bin/sh
# install.sh: brings the engines that tests/callers drives, from Debian's packages. What is there is left alone.
# dockerd is unpacked, not installed: nothing of it may start by itself. Usage: install.sh VENV DIRECTORY
set -eu
venv=$1
directory=$2
here=$(cd "$(dirname "$0")" && pwd)

# package, and a file that shows it is there
wanted() {
    cat <<LIST
podman /usr/bin/podman
conmon /usr/bin/conmon
catatonit /usr/bin/catatonit
uidmap /usr/bin/newuidmap
slirp4netns /usr/bin/slirp4netns
fuse-overlayfs /usr/bin/fuse-overlayfs
containernetworking-plugins /usr/lib/cni/bridge
iptables /usr/sbin/iptables
nftables /usr/sbin/nft
buildah /usr/bin/buildah
containerd /usr/bin/containerd
runc /usr/sbin/runc
tini /usr/bin/tini
busybox-static /bin/busybox
procps /bin/ps
bsdutils /usr/bin/script
LIST
}

missing=$(wanted | while read -r package file; do [ -e "$file" ] || printf '%s ' "$package"; done)
docker=$directory/docker/usr/sbin/dockerd
updated=
if [ -n "$missing" ] || [ ! -e "$docker" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "needed, and this is not root on Debian: $missing docker.io" >&2
        exit 1
    fi
    apt-get update -qq
    updated=yes
fi
if [ -n "$missing" ]; then
    echo "installing: $missing" >&2
    # The machine's own containerd is not wanted: a package's script that starts services gets "no" for an answer
    if [ -n "$updated" ] && [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if [ ! -e "$docker" ]; then
    mkdir -p "$directory"
    # The client has a package of its own since Debian 13
    client=$(apt-cache show docker-cli 2>/dev/null | sed -n 's/^Package: \(docker-cli\)$/\1/p' | head -n 1)
    # shellcheck disable=SC2086 # one word or none
    (cd "$directory" && apt-get download -qq docker.io $client 2>/dev/null &&
        for deb in docker*.deb; do dpkg -x "$deb" docker && rm -f "$deb"; done)
    # which Debian 12's needs, and nothing else brings
    if ldd "$docker" | grep -q 'libdevmapper.* not found'; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libdevmapper1.02.1 >/dev/null
    fi
fi
if ! cmp -s "$here/requirements.txt" "$venv/.callers"; then
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/.callers"
fi
