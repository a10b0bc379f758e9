#!/bin/bash
# A Debian machine with cgroup v2, systemd as PID 1, AppArmor and an unprivileged user, emulated by QEMU in software.
#   vm.sh build                                  make the image, two minutes besides downloads
#   vm.sh save                                   boot it once and keep the booted state
#   vm.sh start [-d DIRECTORY]                   resume that state (or boot, if there is none); DIRECTORY is its /host
#   vm.sh exec [-u USER] [-t SECONDS] COMMAND    run a shell command in it; its output and status are ours
#   vm.sh stop                                   end it; what it changed on its disk is forgotten
#   vm.sh running                                whether there is one
#   vm.sh image DIRECTORY COMMAND                run a shell command in the image's files, without a machine
#   vm.sh sources DIRECTORY                      a copy of this checkout's sources
# Needs root. Everything lies in $PYOCI_VM (default ~/.cache/pyoci-vm). A machine takes two CPUs whole.
# PYOCI_VM_ARCH     amd64 (default) or arm64: the machine's processor, whatever the host's
# PYOCI_VM_DEBIAN   bookworm (default: systemd 252, podman 4.3, Linux 6.12 of backports) or trixie (systemd 257,
#                   podman 5.4, its own kernel, v2 alone); each has a store of its own
# PYOCI_VM_CGROUPS  v2 (default); or with Debian 12's own kernel, which has all of v1, and InfiniBand in software:
#                   v1 and hybrid, as systemd set machines up before; v2-old
# PYOCI_VM_LIVE     a directory of a second machine's own, to run beside another
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
arch=${PYOCI_VM_ARCH:-amd64}
store=${PYOCI_VM:-${XDG_CACHE_HOME:-$HOME/.cache}/pyoci-vm}
[ "$arch" = amd64 ] || store=$store/$arch
release=${PYOCI_VM_DEBIAN:-bookworm}
[ "$release" = bookworm ] || store=$store/$release
root=$store/root            # the image's files, also for building pyoci with the image's own Python
qemu=$store/qemu
cgroups=${PYOCI_VM_CGROUPS:-v2}
saved=$store/saved-$cgroups # the booted state: .img and .ram
native=$(dpkg --print-architecture)
live=${PYOCI_VM_LIVE:-$store/live-$cgroups} # sockets, logs and pids of the running machine
memory=${PYOCI_VM_MEMORY:-3072}

case $release/$cgroups in
    bookworm/v2 | trixie/v2) kernel=cloud ;;
    bookworm/v1 | bookworm/hybrid | bookworm/v2-old) kernel=stock ;;
    *) echo "PYOCI_VM_DEBIAN/PYOCI_VM_CGROUPS: bookworm has v2, v2-old, hybrid, v1, trixie v2; no $release/$cgroups" >&2; exit 2 ;;
esac

case $arch in
    amd64) machine=x86_64 system=qemu-system-x86 console=ttyS0 tuned="tsc=reliable no_timer_check"
        processor=(-M pc,memory-backend=ram,hpet=off,usb=off -cpu max,la57=off) ;;
    # a processor of today that emulation is quick with: atomic instructions, no pointer authentication, 32-bit programs
    arm64) machine=aarch64 system=qemu-system-arm console=ttyAMA0 tuned=
        processor=(-M virt,gic-version=3,memory-backend=ram,highmem=on -cpu neoverse-n1) ;;
    *) echo "PYOCI_VM_ARCH is amd64 or arm64, not $arch" >&2; exit 2 ;;
esac

say() { echo "vm: $*" >&2; }
die() { say "$*"; exit 1; }

# ---------------------------------------------------------------------------------------------- what the host lends

host_packages() {
    local wanted=() package file
    while read -r package file; do [ -e "$file" ] || wanted+=("$package"); done <<LIST
$system /usr/bin/qemu-system-$machine
seabios /usr/share/seabios/bios.bin
qemu-system-common /usr/lib/qemu/virtiofsd
e2fsprogs /sbin/mke2fs
zstd /usr/bin/zstd
perl /usr/bin/perl
python3 /usr/bin/python3
kmod /sbin/depmod
LIST
    [ ${#wanted[@]} = 0 ] && return
    say "installing ${wanted[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" > /dev/null
}

# Debian 12's own QEMU 7.2 crashes a 6.12 kernel, so QEMU 10 comes from backports, unpacked here and not installed.
apt_beside() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' 'Created-By: Packages' | sort -u | head -n 1)
    [ -n "$mirror" ] || die "no mirror of Debian is configured here"
    mkdir -p "$store"/apt/lists/partial "$store"/apt/archives/partial
    printf "deb ${mirror%/} %s main\n" "$release" "$release-updates" > "$store/apt/image.list"
    { cat "$store/apt/image.list"; printf "deb ${mirror%/} %s main\n" bookworm bookworm-backports; } | sort -u > "$store/apt/beside.list"
    apt=(-qq -o "Dir::Etc::SourceList=$store/apt/beside.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$store/apt/lists" -o "Dir::Cache::Archives=$store/apt/archives"
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o "APT::Architectures::=$native" -o "APT::Architectures::=$arch" -o APT::Sandbox::User=root -o Acquire::Languages=none)
    apt-get "${apt[@]}" update
}

# Whether this host's processor is another than the image's
foreign() { [ "$arch" != "$native" ]; }

# Runs a command that may run the image's programs: emulated, where their processor is another
emulated() {
    if foreign; then "$here/machine.py" emulate "$qemu/usr/bin/qemu-$machine" "$@"; else unshare -m "$@"; fi
}

# A shell command in the image's files, at the host's speed or near it; a directory is its /host, as in the machine
image() {
    emulated sh -euc 'mount --bind "$1" "$2/host"; mount -t proc proc "$2/proc"; mount --rbind /dev "$2/dev"
        exec chroot "$2" /bin/bash -c "$3"' sh "$1" "$root" "${*:2}"
}

# Files are exchanged in their directory, which a running machine may have, and what was built of them stays: only a copy
# of another checkout is begun anew. Unchanged files keep their times, by which the build knows what to do.
sources() {
    local checkout list=.vm-sources
    checkout=$(cd "$here/../.." && pwd)
    mkdir -p "$1"
    [ "$(head -z -n 1 "$1/$list" 2> /dev/null | tr -d '\0')" = "$checkout" ] || find "$1" -mindepth 1 -delete
    { printf '%s\0' "$checkout"; cd "$checkout"; git ls-files -z --cached --others --exclude-standard \
        | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done; } > "$1/$list.new"
    [ ! -e "$1/$list" ] || comm -z -23 <(tail -z -n +2 "$1/$list" | sort -z) <(tail -z -n +2 "$1/$list.new" | sort -z) \
        | (cd "$1" && xargs -0 -r rm -f --)
    tail -z -n +2 "$1/$list.new" | tar -c --null -C "$checkout" -T - | tar -x -C "$1"
    mv "$1/$list.new" "$1/$list"
}

# What a kernel's metapackage stands for: kernel_of NAME:ARCHITECTURE/SUITE
kernel_of() {
    apt-cache "${apt[@]}" show "$1" | sed -n 's/^Depends: *\(linux-image[^ ]*\).*/\1/p' | head -n 1
}

# A recent kernel, whose v1 memory and cpuset Debian leaves out, and for bookworm its own, which has all of v1.
kernels() {
    [ "$release" = bookworm ] && echo "cloud linux-image-cloud-$arch:$arch/bookworm-backports
stock linux-image-$arch:$arch/bookworm" || echo "cloud linux-image-cloud-$arch:$arch/$release"
}

fetch() {
    local name package wanted=() more=() deb
    foreign && more=(qemu-user/bookworm-backports)
    mkdir -p "$store/debs"
    rm -rf "$store"/debs/* "$qemu" "$store"/kernel* "$store/mmdebstrap"
    while read -r name package; do wanted+=("$name $(kernel_of "$package"):$arch"); done < <(kernels)
    say "downloading ${wanted[*]#* }, QEMU and mmdebstrap"
    (cd "$store/debs" && apt-get "${apt[@]}" download "${wanted[@]#* }" mmdebstrap/bookworm \
        "$system/bookworm-backports" "${more[@]}" qemu-system-common/bookworm-backports qemu-system-data/bookworm-backports)
    for deb in "$store"/debs/qemu-*.deb; do dpkg -x "$deb" "$qemu"; done
    for name in "${wanted[@]}"; do name=${name%:*}; dpkg -x "$store/debs/${name#* }"_*.deb "$store/kernel-${name% *}"; done
    # since Debian 13 packages have /usr/lib alone
    for name in "$store"/kernel-*; do [ -d "$name/lib" ] || ln -s usr/lib "$name/lib"; done
    dpkg -x "$store"/debs/mmdebstrap_*.deb "$store/mmdebstrap"
}

# --------------------------------------------------------------------------------------------------------- the image

image_packages() {
    tr -s ' \n' , <<'LIST' | sed 's/^,//; s/,$//'
systemd systemd-sysv dbus dbus-user-session libpam-systemd udev kmod apparmor apparmor-utils
python3 python3-cffi python3-jeepney python3-jsonschema python3-protobuf python3-setuptools python3-wheel python3-pytest
python3-pytest-xdist python3-hypothesis python3-dev python3-pip gcc libc6-dev musl-tools libseccomp-dev libseccomp2 pkg-config
busybox-static runc crun podman buildah conmon containerd criu catatonit golang-github-containers-common
uidmap iproute2 iptables netavark aardvark-dns slirp4netns fuse-overlayfs jq procps strace util-linux-extra
LIST
}

build() {
    local name
    [ "$(id -u)" = 0 ] || die "building needs root"
    mkdir -p "$store"
    host_packages
    apt_beside
    fetch
    say "installing Debian into $root"
    rm -rf "$root"
    PATH=$store/mmdebstrap/usr/bin:$PATH emulated perl "$store/mmdebstrap/usr/bin/mmdebstrap" --quiet --variant=apt --mode=root \
        --architectures="$arch" --skip=check/qemu,chroot/mount/sys \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io \
        --aptopt='APT::Install-Recommends "false"' --include="$(image_packages)" \
        "$release" "$root" "$store/apt/image.list" > "$store/install.log" 2>&1 || { tail -n 20 "$store/install.log" >&2; die "that failed"; }
    while read -r name _; do install_kernel "$name"; done < <(kernels)
    install -m 755 "$here/guest/agent.py" "$root/usr/local/sbin/vm-agent"
    cp "$here/guest/vm-agent.service" "$root/etc/systemd/system/"
    mkdir -p "$root/host"
    image "$here" /bin/bash /host/guest/configure.sh
    rm -f "$store"/disk.img "$store"/saved*
    mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1,nodiscard -d "$root" "$store/disk.img" 4G
    say "the image is made: $(du -sh "$store/disk.img" | cut -f 1)"
}

# install_kernel NAME: its modules, only those a virtual machine can use, and unpacked: emulated, every decompression
# takes long. Then the kernel itself without its decompressor, and a ramdisk that finds the disk.
install_kernel() {
    local version modules wanted
    version=$(ls "$store/kernel-$1/lib/modules")
    modules=$root/lib/modules/$version
    mkdir -p "$root/lib/modules"
    cp -a "$store/kernel-$1/lib/modules/$version" "$root/lib/modules/"
    (cd "$modules/kernel" && rm -rf sound drivers/infiniband/{hw,ulp} drivers/{gpu,media,scsi,staging,usb,hid,input,iio,ata} \
        drivers/{target,xen,hv,video,md,mtd,isdn,nvme,power,thunderbolt,platform,firewire,leds,mmc,hwmon,i2c,edac,comedi} \
        drivers/net/{ethernet,wireless,can,phy,wwan,usb,dsa,fddi,hamradio,arcnet,ieee802154} drivers/{net/plip,nfc,bluetooth} \
        net/{sunrpc,can,bluetooth,mac80211,wireless,tipc,sctp,openvswitch,ceph,rds,batman-adv,dccp,nfc,appletalk} \
        fs/{xfs,ocfs2,gfs2,f2fs,jfs,nfs,nfsd,ceph,smb,cifs,ntfs3,ubifs,reiserfs,btrfs,bcachefs,dlm,afs,orangefs,hfs,hfsplus})
    find "$modules" -name '*.xz' -exec unxz -f {} +
    depmod -b "$root" -a "$version"
    mapfile -t wanted < <(for name in virtio_pci virtio_blk virtio_console ext4; do
        modprobe -d "$root" -S "$version" --show-depends "$name"
    done | sed -n "s|^insmod \([^ ]*\).*|\1|p" | awk '!seen[$0]++')
    "$here/machine.py" initrd "$root/bin/busybox" "$store/initrd-$1" "${wanted[@]}"
    "$here/machine.py" vmlinux "$store/kernel-$1"/boot/vmlinuz-* "$store/vmlinux-$1"
}

# ------------------------------------------------------------------------------------------------------- the machine

running() { [ -e "$live/qemu.pid" ] && kill -0 "$(cat "$live/qemu.pid")" 2>/dev/null; }

# boot DISK fresh|resume [more QEMU options]
boot() {
    local disk=$1 how=$2 snapshot=on
    shift 2
    [ "$disk" = "$store/disk.img" ] || [ "$how" = resume ] || snapshot=off
    ulimit -n 65536 2> /dev/null || true
    "$qemu/usr/bin/qemu-system-$machine" -L "$qemu/usr/share/qemu" -L /usr/share/seabios -L /usr/share/qemu \
        -nodefaults -no-user-config -display none -no-reboot "${processor[@]}" \
        -accel tcg,thread=multi,tb-size=1024 -smp 2 -m "$memory" \
        -object "memory-backend-memfd,id=ram,size=${memory}M,share=on" \
        -kernel "$store/vmlinux-$kernel" -initrd "$store/initrd-$kernel" -append "$(command_line)" -serial "file:$live/console.log" \
        -drive "file=$disk,format=raw,if=none,id=disk,snapshot=$snapshot,cache=unsafe" -device virtio-blk-pci,drive=disk \
        -device virtio-serial-pci -chardev "socket,id=agent,path=$live/agent.sock,server=on,wait=off" \
        -device virtserialport,chardev=agent,name=vm-agent \
        -object rng-random,id=random,filename=/dev/urandom -device virtio-rng-pci,rng=random \
        -qmp "unix:$live/qmp.sock,server=on,wait=off" "$@" > "$live/qemu.log" 2>&1 &
    echo $! > "$live/qemu.pid"
}

command_line() {
    local unified=0 legacy=0
    case $cgroups in v2*) unified=1 ;; v1) legacy=1 ;; esac
    echo "console=$console quiet loglevel=4 panic=-1 audit=0 mitigations=off nokaslr random.trust_cpu=on" \
        "$tuned net.ifnames=0 apparmor=1 security=apparmor systemd.show_status=0" \
        "systemd.unified_cgroup_hierarchy=$unified systemd.legacy_systemd_cgroup_controller=$legacy"
}

share() {
    /usr/lib/qemu/virtiofsd --socket-path="$live/share.sock" -o source="$1" -o cache=auto -o sandbox=chroot -o xattr \
        --thread-pool-size=2 > "$live/share.log" 2>&1 &
    echo $! > "$live/share.pid"
    "$here/machine.py" await "$live/share.sock" "$live/share.pid"
}

start() {
    local directory=$PWD
    while getopts d: option; do case $option in d) directory=$OPTARG ;; *) exit 2 ;; esac; done
    running && die "a machine runs already ($live); vm.sh stop ends it"
    [ -e "$store/disk.img" ] || die "there is no image: vm.sh build"
    rm -rf "$live"
    mkdir -p "$live"
    share "$directory"
    if [ -e "$saved.ram" ]; then
        boot "$saved.img" resume -incoming "file:$saved.ram"
        "$here/machine.py" resume "$live"
    else
        boot "$store/disk.img" fresh -chardev "socket,id=share,path=$live/share.sock" \
            -device vhost-user-fs-pci,chardev=share,tag=host
    fi
    "$here/machine.py" exec "$live" root 300 "$(cat "$here/guest/ready.sh")"
}

# The saved state has no shared directory: that device cannot be saved, and is plugged in after each resume.
save() {
    running && die "a machine runs already ($live); vm.sh stop ends it"
    rm -rf "$live" "$saved".*
    mkdir -p "$live"
    cp --sparse=always "$store/disk.img" "$saved.img"
    boot "$saved.img" fresh
    "$here/machine.py" exec "$live" root 300 "$(cat "$here/guest/warm.sh")"
    "$here/machine.py" save "$live" "$saved.ram" || { rm -f "$saved.ram"; stop; die "the state was not saved"; }
    stop
}

run_in() {
    local user=root seconds=600
    while getopts u:t: option; do
        case $option in u) user=$OPTARG ;; t) seconds=$OPTARG ;; *) exit 2 ;; esac
    done
    shift $((OPTIND - 1))
    running || die "no machine runs: vm.sh start"
    "$here/machine.py" exec "$live" "$user" "$seconds" "$*"
}

stop() {
    local name
    for name in qemu share; do
        [ -e "$live/$name.pid" ] || continue
        "$here/machine.py" end "$live/$name.pid"
        rm -f "$live/$name.pid"
    done
}

command=${1:-}
[ $# -gt 0 ] && shift
case $command in
    build | save | stop | running) "$command" ;;
    sources) sources "$@" ;;
    start) start "$@" ;;
    exec) run_in "$@" ;;
    image) image "$@" ;;
    *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
