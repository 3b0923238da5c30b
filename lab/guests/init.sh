#!/bin/busybox sh
# The first process of a guest. The kernel puts host=NAME of its command line into
# the environment. When this ends, the kernel panics and with it the machine.
set -e
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /root /mnt
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
hostname "$host"
while read -r module; do
	insmod "/modules/$module"
done </modules/order
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
stty -echo </dev/ttyS0

# Disks are found in the background.
tries=0
until [ "$(ls /sys/class/scsi_disk 2>/dev/null | wc -l)" = "$disks" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 300 ]; then
		echo "$host: the disks were not found"
		exit 1
	fi
	sleep 0.1
done
set +e
(sleep 900 && reboot -f) & # should the driver be gone
printf '%s has booted in %s s\n\0360\n' "$host" "$(cut -d ' ' -f 1 /proc/uptime)"
shell='sh -e -o pipefail'
. /console.sh
reboot -f
