#!/bin/sh
# deps.sh run|lab|test: installs the Debian packages that are missing for that purpose, and says what it does.
#
# The packages' own daemons are not started, and Debian's Postgres package makes no cluster of its own: Keepwatch
# uses their programs and runs what it needs itself.
set -eu

run="postgresql ca-certificates"
lab="$run iproute2 haproxy nginx-light"
test="$lab keepalived ganglia-monitor gmetad rrdtool ganglia-webfrontend php-cli prometheus-node-exporter snmpd snmp chromium fonts-noto-cjk nftables gcc libc6-dev procps psmisc systemd util-linux"

case "${1:-}" in
run) want=$run ;;
lab) want=$lab ;;
test) want=$test ;;
*) echo "usage: deps.sh run|lab|test" >&2; exit 2 ;;
esac

missing=
for p in $want; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: these Debian packages are missing and only root can install them; as root, run: apt-get install$missing" >&2
		exit 1
	fi
	as_root=sudo
fi

echo "deps: installing$missing"

# While this file says 101, a package's scripts start no daemon.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
	$as_root chmod 755 $policy
	trap '$as_root rm -f $policy' EXIT
fi
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
	$as_root mkdir -p /etc/postgresql-common
	echo 'create_main_cluster = false' | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
fi

log=$(mktemp)
apt() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" >"$log" 2>&1
}
fail() {
	grep -E '^(E|W):' "$log" | head -n 3 >&2 || tail -n 3 "$log" >&2
	echo "deps: cannot install$missing: $1" >&2
	rm -f "$log"
	exit 1
}
echo "deps: fetching the list of packages"
apt update || fail "the package lists cannot be fetched; check the network, or install them by hand"
echo "deps: fetching and unpacking (some minutes on a slow line)"
# shellcheck disable=SC2086
apt install --no-install-recommends $missing || fail "see the lines above; check the network and the free space, then run this again"
rm -f "$log"
echo "deps: done"
