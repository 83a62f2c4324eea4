# What makes a Debian file tree a bare machine for tests: sshd, two logins, and an init that a container can be.
# Run by mmdebstrap with the tree's folder; nothing of Enginehouse's own needs is in it.
set -eu
root=$1

install -d -m 700 "$root/root/.ssh"
chroot "$root" useradd --create-home --shell /bin/bash ops
install -d -o 1000 -g 1000 -m 700 "$root/home/ops/.ssh"
echo 'ops ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/ops"
chmod 440 "$root/etc/sudoers.d/ops"

# Each machine has an identity of its own.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
cat >"$root/etc/systemd/system/hostkey.service" <<'UNIT'
[Unit]
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
[Install]
WantedBy=multi-user.target
UNIT
chroot "$root" systemctl enable -q hostkey.service ssh.service
chroot "$root" systemctl set-default -q multi-user.target
chroot "$root" systemctl mask -q systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-modules-load.service sys-kernel-debug.mount sys-kernel-tracing.mount getty.target console-getty.service \
    systemd-remount-fs.service e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer

# A container shares the kernel's boot id; a machine has a new one with each boot.
cat >"$root/sbin/init-machine" <<'INIT'
#!/bin/sh
cat /proc/sys/kernel/random/uuid >/run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
exec /lib/systemd/systemd
INIT
chmod 755 "$root/sbin/init-machine"
