# Runs in the image while it is made: names, the user, what systemd starts.
set -eu
echo pyoci-vm > /etc/hostname
echo '127.0.0.1 localhost pyoci-vm' > /etc/hosts
echo 0123456789abcdef0123456789abcdef > /etc/machine-id

id tester > /dev/null 2>&1 || useradd -m -u 1000 -s /bin/bash tester
for file in /etc/subuid /etc/subgid; do grep -q ^tester: $file || echo tester:100000:65536 >> $file; done

# what a desktop's or a server's systemd would delegate
mkdir -p /etc/systemd/system/user@.service.d /etc/systemd/system.conf.d /etc/systemd/journald.conf.d /etc/containers /host
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' > /etc/systemd/system/user@.service.d/delegate.conf
# emulation is slow
printf '[Manager]\nDefaultTimeoutStartSec=300\nDefaultTimeoutStopSec=20\nDefaultDeviceTimeoutSec=300\n' \
    > /etc/systemd/system.conf.d/slow.conf
printf '[Journal]\nStorage=volatile\n' > /etc/systemd/journald.conf.d/volatile.conf
printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' > /etc/containers/policy.json

# everything the tests do not need, as each takes a second of the boot
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    systemd-timesyncd.service systemd-networkd.service systemd-network-generator.service systemd-pstore.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-journal-flush.service \
    systemd-random-seed.service systemd-hwdb-update.service systemd-binfmt.service systemd-modules-load.service \
    systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udev-trigger.service \
    ldconfig.service apparmor.service containerd.service podman.service podman.socket podman-auto-update.service \
    podman-auto-update.timer podman-restart.service buildah.service getty@tty1.service serial-getty@ttyS0.service \
    console-getty.service modprobe@drm.service modprobe@efi_pstore.service modprobe@dm_mod.service \
    modprobe@loop.service modprobe@configfs.service modprobe@fuse.service proc-sys-fs-binfmt_misc.automount \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount; do
    ln -sf /dev/null /etc/systemd/system/$unit
done
rm -f /etc/modules-load.d/* /etc/apparmor.d/lsb_release /etc/apparmor.d/nvidia_modprobe /etc/apparmor.d/usr.bin.passt
ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sf /etc/systemd/system/vm-agent.service /etc/systemd/system/multi-user.target.wants/vm-agent.service
rm -rf /var/cache/apt/* /var/lib/apt/lists/*
