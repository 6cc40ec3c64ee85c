#!/usr/bin/env bash
# Clients behind NATs: two behind one, and each behind one of its own, with NATs that map every destination to another port (the kind that lets
# no two browsers meet without a relay). What they see of each other is the relay alone.
#
#    anna 192.168.1.2 ──┐
#                       nat1 203.0.113.1 ──┐
#    ben  192.168.1.3 ──┘                  ├── bridge in `net` ── dpx0 10.83.84.1 … TAP ── duplex-relay 10.83.84.2
#    cleo 192.168.1.2 ──── nat2 203.0.113.2 ──┘
#
# The two home networks have the same addresses, as they do.
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

# nat NS OUTSIDE: a home router. Its mapping is random for every destination.
nat() {
	ip -n "$1" addr add 192.168.1.1/24 dev home
	ip -n "$1" addr add "$2/24" dev wan
	ip -n "$1" route add default via 203.0.113.254
	ip netns exec "$1" sysctl -qw net.ipv4.ip_forward=1
	ip netns exec "$1" nft -f - <<-RULES
		table ip nat {
			chain out { type nat hook postrouting priority srcnat; oifname wan masquerade random,fully-random; }
		}
		table ip door {
			chain in { type filter hook forward priority filter; policy accept; iifname wan ct state new drop; }
		}
	RULES
}

namespace NET
namespace NAT1
namespace NAT2
namespace ANNA
namespace BEN
namespace CLEO
for ns in NAT1 NAT2; do
	ip -n "${!ns}" link add home type bridge
	ip -n "${!ns}" link set home up
done
ip -n "$NET" link add street type bridge
ip -n "$NET" link set street up
veth "$NET" s1 "$NAT1" wan
veth "$NET" s2 "$NAT2" wan
for port in s1 s2; do ip -n "$NET" link set "$port" master street; done
ip -n "$NET" addr add 203.0.113.254/24 dev street
ip netns exec "$NET" sysctl -qw net.ipv4.ip_forward=1
host() { # host NS NAT PORT ADDRESS
	veth "$1" eth0 "$2" "$3"
	ip -n "$2" link set "$3" master home
	ip -n "$1" addr add "$4/24" dev eth0
	ip -n "$1" route add default via 192.168.1.1
}
host "$ANNA" "$NAT1" h1 192.168.1.2
host "$BEN" "$NAT1" h2 192.168.1.3
host "$CLEO" "$NAT2" h1 192.168.1.2
nat "$NAT1" 203.0.113.1
nat "$NAT2" 203.0.113.2

# The clients' end of the relay is a router here: their answers go back through it.
relay_start "$NET" 'cores = 2' || done_testing

pair() {
	"$BIN/turnpair" "$REALM" "$TMP/secret" 50 "$1" "$2" "$RELAY_IP" "$3" "$4" "$RELAY_IP"
}

# mapped NS: the address from which the relay sees a client.
mapped() {
	timeout 2 ip netns exec "$1" turnutils_stunclient "$RELAY_IP" 2>/dev/null | sed -n 's/.*UDP reflexive addr: \([0-9.]*\):.*/\1/p' | head -n 1
}

check 'a client behind a NAT is told the address of the NAT' [ "$(mapped "$ANNA")" = 203.0.113.1 ]
check 'and one behind another NAT that of the other' [ "$(mapped "$CLEO")" = 203.0.113.2 ]
sums_start "$NET"
check 'two clients behind one NAT' pair "$ANNA" 192.168.1.2 "$BEN" 192.168.1.3
check 'two clients behind two NATs, at the same address inside' pair "$ANNA" 192.168.1.2 "$CLEO" 192.168.1.2
check 'and the other way round' pair "$CLEO" 192.168.1.2 "$BEN" 192.168.1.3
sums_check 'through NATs'

check 'no allocation is left behind' until_true 5 no_allocations
check 'SIGTERM ends it with status 0' relay_stop
done_testing
