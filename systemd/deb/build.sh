#!/bin/sh
# `make deb`: a package for Debian 12 that brings all it needs, so that it installs where there is no network.
# Of the environment it takes PYTHON (with pip), DIST (where to), DEBARCH and DEBFLAGS (of dpkg-deb).
# The wheels are chosen for Debian's Python and C library, whatever this machine's are.
set -eu
umask 022
die() { echo "make deb: $*" >&2; exit 1; }
command -v dpkg-deb >/dev/null || die "dpkg-deb is missing; this needs a Debian"
case $DEBARCH in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    armhf) machine=armv7l ;;
    *) die "not for $DEBARCH, only amd64, arm64 and armhf" ;;
esac
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' mjpegd/__init__.py)
# The same source gives the same package: no file is younger than the last change.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
export SOURCE_DATE_EPOCH

mkdir -p "$DIST"
work=$(mktemp -d "$DIST/.deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
bundle=$root/usr/lib/mjpegd
doc=$root/usr/share/doc/mjpegd
mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/etc/mjpegd" "$root/usr/share/mjpegd" "$doc"

# Python: our own wheel, then it and its dependencies as wheels that fit glibc 2.36 (Debian 12) or older.
mkdir "$work/source"
cp -RL mjpegd setup.cfg pyproject.toml README.md LICENSE "$work/source"
"$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$work/source"
platforms=$(printf -- "--platform=manylinux_2_%s_$machine " $(seq 36 -1 17); echo "--platform=manylinux2014_$machine --platform=linux_$machine")
"$PYTHON" -m pip install --quiet --no-compile --target "$bundle" --python-version 3.11 --implementation cp \
    --abi cp311 --abi abi3 --abi none $platforms --only-binary=:all: "$work"/mjpegd-*.whl ||
    die "the index has no wheels for Python 3.11 on $machine of all in setup.cfg"

# What no daemon needs: tests, headers, annotations, commands, and what pip notes for itself.
rm -rf "$bundle/bin" "$bundle"/numpy/f2py "$bundle"/numpy/_core/include "$bundle"/cv2/data/*.xml
find "$bundle" -type d -name tests -prune -exec rm -r {} +
find "$bundle" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.a' \
    -o -name RECORD -o -name INSTALLER -o -name REQUESTED -o -name direct_url.json \) -delete
find "$bundle" -type f -name '*.so*' -exec chmod 644 {} +

install -m 755 systemd/deb/mjpegd "$root/usr/bin/mjpegd"
install -m 644 systemd/mjpegd.service systemd/mjpegd.socket "$root/usr/lib/systemd/system"
install -m 644 mjpegd.toml "$root/etc/mjpegd"
install -m 644 systemd/secrets.toml "$root/usr/share/mjpegd"
{ cat systemd/deb/copyright; echo; echo 'License: MIT'; sed '1,2d; s/^$/./; s/^/ /' LICENSE; } >"$doc/copyright"
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"

install -m 755 systemd/deb/postinst systemd/deb/prerm systemd/deb/postrm "$root/DEBIAN"
echo /etc/mjpegd/mjpegd.toml >"$root/DEBIAN/conffiles"
sed "s/@VERSION@/$version/; s/@ARCH@/$DEBARCH/; s/@SIZE@/$(du -sk "$root" | cut -f1)/" systemd/deb/control >"$root/DEBIAN/control"
(cd "$root" && find usr -type f | LC_ALL=C sort | xargs md5sum) >"$root/DEBIAN/md5sums"

package=$DIST/mjpegd_${version}_$DEBARCH.deb
dpkg-deb --root-owner-group $DEBFLAGS --build "$root" "$package" >/dev/null
echo "$package: $(($(stat -c %s "$package") / 1000000)) MB"
