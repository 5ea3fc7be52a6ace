# Turns this process into the one that holds a node's namespaces open. It runs in the node's network namespace, in new
# mount and UTS namespaces whose mounts reach nobody else.
#
# $1 the node's name   $2 its folder   $3 where cgroup2 is   $4 the node's control group there
set -eu

hostname "$1"

# The sysfs of this network namespace, the node's control group as the root of cgroup2, and a bpffs of its own.
mount -t sysfs sysfs "$2/sys"
mount --rbind /sys/fs/cgroup "$2/sys/fs/cgroup"
umount "$2$3"
mount --bind "$4" "$2$3"
mount -t bpf -o mode=0700 bpf "$2/sys/fs/bpf"
mount --move "$2/sys" /sys

# What a reboot clears, and what it leaves.
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/lock /run/netns /run/weir
mount --bind "$2/var" /var

# A node that has been rebooted says so.
cat /proc/sys/kernel/random/uuid > "$2/boot_id"
mount --bind "$2/boot_id" /proc/sys/kernel/random/boot_id

# Pods see mounts that are made later, as they do where systemd has mounted everything.
mount --make-rshared /

echo booted > "$2/booted"
exec sleep infinity
