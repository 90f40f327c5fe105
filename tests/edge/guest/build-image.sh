#!/bin/bash
# Makes what the guest boots from, in $EDGE_CACHE: root.img (ext4: Debian of this host's release with systemd, its
# stock kernel, V4L2 tools and Python), vmlinuz, initrd.img, and an ssh key. Installs what it and the other scripts need
# on the host. Does nothing more where the image is there already; --again makes it anew. Needs root.
# Where packages come from, and how, is read off this host's own apt configuration.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ "$(id -u)" = 0 ] || die "run as root"
mkdir -p "$EDGE_CACHE"; cd "$EDGE_CACHE"

miss=(); for p in qemu-system-x86 qemu-utils mmdebstrap e2fsprogs openssh-client ffmpeg curl; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || miss+=("$p"); done
if [ ${#miss[@]} -gt 0 ]; then
    echo "installing ${miss[*]}"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -y -qq install --no-install-recommends "${miss[@]}" >apt.log 2>&1 \
        || { tail -20 apt.log; die "apt-get failed"; }
fi
[ -f "$KEY" ] || ssh-keygen -q -t ed25519 -N '' -C edge -f "$KEY"
[ ! -f root.img ] || [ "${1:-}" = --again ] || exit 0

suite=$(. /etc/os-release; echo "$VERSION_CODENAME")
: >sources.in
for f in /etc/apt/sources.list /etc/apt/sources.list.d/debian*.sources /etc/apt/sources.list.d/debian*.list; do
    [ -s "$f" ] && { cat "$f"; echo; } >>sources.in; done
[ -s sources.in ] || die "no Debian source file found on this host"
aptopts=(); while IFS= read -r l; do aptopts+=(--aptopt="$l"); done < <(
    apt-config dump | grep -E '^Acquire::(http|https|Check-|ForceIPv|Retries|Proxy)[^ ]* "[^"]+";' || true)

cat >hook-early <<'H'
#!/bin/sh -e
# before the kernel is installed: a small initrd, made once
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/initramfs-tools/hooks"
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\nRESUME=none\nFSTYPE=ext4\n' >"$1/etc/initramfs-tools/conf.d/edge"
cat >"$1/etc/initramfs-tools/hooks/edge" <<'I'
#!/bin/sh -e
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk ext4 crc32c_generic
I
chmod +x "$1/etc/initramfs-tools/hooks/edge"
H
cat >hook-late <<'H'
#!/bin/bash -e
# a box that answers on ssh and makes no traffic of its own
R=$1
mkdir -p "$R/root/.ssh"
install -m 600 "$EDGE_KEY.pub" "$R/root/.ssh/authorized_keys"; chmod 700 "$R/root/.ssh"
printf 'UseDNS no\nX11Forwarding no\nPrintMotd no\nMaxSessions 100\n' >"$R/etc/ssh/sshd_config.d/edge.conf"
sed -i 's/^session.*pam_motd.*/#&/; s/^session.*pam_mail.*/#&/' "$R/etc/pam.d/sshd"
echo edge >"$R/etc/hostname"; printf '127.0.0.1 localhost edge\n::1 localhost\n' >"$R/etc/hosts"
printf '[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
    >"$R/etc/systemd/network/eth0.network"
printf '/dev/vda / ext4 noatime 0 1\n' >"$R/etc/fstab"
chroot "$R" systemctl -q enable systemd-networkd ssh
chroot "$R" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer getty@tty1.service \
    systemd-networkd-wait-online.service
chroot "$R" systemctl set-default multi-user.target >/dev/null 2>&1
: >"$R/etc/machine-id"; chroot "$R" systemd-machine-id-setup >/dev/null 2>&1
sed -i '/unsafe-io/d' "$R"/etc/dpkg/dpkg.cfg.d/*           # in the guest dpkg is to write as safely as anywhere
H
chmod +x hook-early hook-late

echo "making a $suite guest; this takes a minute or two"
rm -rf root; mkdir root
export EDGE_KEY=$KEY TMPDIR=$EDGE_CACHE
pkgs=linux-image-amd64,initramfs-tools,zstd,systemd,systemd-sysv,udev,dbus,kmod,iproute2,procps
pkgs+=,openssh-server,ca-certificates,curl,python3,v4l-utils
nice mmdebstrap --mode=root --variant=minbase --quiet --include="$pkgs" "${aptopts[@]}" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --essential-hook="$EDGE_CACHE/hook-early" --customize-hook="$EDGE_CACHE/hook-late" \
    "$suite" root sources.in >mmdebstrap.log 2>&1 || { tail -30 mmdebstrap.log; die "mmdebstrap failed"; }
cp -L root/vmlinuz vmlinuz; cp -L root/initrd.img initrd.img
rm -f root.img.new; truncate -s 6G root.img.new
mke2fs -q -t ext4 -d root -L edge-root -E lazy_itable_init=0,root_owner=0:0 root.img.new
rm -rf root; mv root.img.new root.img
echo "made root.img: $(du -sh root.img | cut -f1) on disk"
